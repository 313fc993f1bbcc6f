/// A bounded sample of what has an identity: the members whose hashes are smallest.
///
/// Bottom-k sampling (Cohen, Kaplan 2007): uniform and without replacement where hashes are, and a function of the
/// set of members alone, whatever order they come in. Cost: one comparison for most members, log k for those that
/// are taken in.
public struct HashSample: Sendable, Equatable {
  public struct Member: Sendable, Equatable {
    public let hash: UInt64
    /// What the caller knows it by.
    public let place: Int

    fileprivate func comes(before other: Member) -> Bool {
      hash != other.hash ? hash < other.hash : place < other.place
    }
  }

  public let countMax: Int
  /// A heap, the greatest first.
  private var heap: [Member] = []

  public init(countMax: Int) {
    precondition(countMax >= 1, "a sample has members")
    self.countMax = countMax
  }

  /// By hash.
  public var members: [Member] { heap.sorted { $0.comes(before: $1) } }

  public mutating func offer(hash: UInt64, place: Int) {
    let member = Member(hash: hash, place: place)
    if heap.count < countMax {
      heap.append(member)
      rise(heap.count - 1)
    } else if member.comes(before: heap[0]) {
      heap[0] = member
      sink()
    }
  }

  private mutating func rise(_ start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[parent].comes(before: heap[child]) else { return }
      heap.swapAt(parent, child)
      child = parent
    }
  }

  private mutating func sink() {
    var parent = 0
    while true {
      var greatest = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
        if heap[greatest].comes(before: heap[child]) { greatest = child }
      }
      guard greatest != parent else { return }
      heap.swapAt(parent, greatest)
      parent = greatest
    }
  }
}
