import Events

/// Who is to be looked at again when: a heap by time, in which what is outdated stays until its time comes.
struct DueTimes: Sendable {
  private struct Entry: Sendable {
    var time: Int64
    var person: Key128

    static func < (a: Self, b: Self) -> Bool {
      a.time != b.time ? a.time < b.time : a.person < b.person
    }
  }

  private var heap: [Entry] = []

  var count: Int { heap.count }

  mutating func removeAll() { heap.removeAll(keepingCapacity: true) }

  mutating func add(_ person: Key128, at time: Int64) {
    heap.append(Entry(time: time, person: person))
    var child = heap.count - 1
    while child > 0, heap[child] < heap[(child - 1) / 2] {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// The earliest one, if its time has come.
  mutating func next(until now: Int64) -> (person: Key128, time: Int64)? {
    guard let first = heap.first, first.time <= now else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      var parent = 0
      while true {
        var least = parent
        for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
          if heap[child] < heap[least] { least = child }
        }
        guard least != parent else { break }
        heap.swapAt(parent, least)
        parent = least
      }
    }
    return (first.person, first.time)
  }
}
