import Events

/// In which segments persons were at any time, as the log says it (decision 30).
///
///     customer   ──────entered───────────left──────
///     loyal      ────────────entered───────────────
///     sets       {}    {c}   {c,l}       {l}
///
/// A person is who a profile is of: the event's user, else its anonymous id. From the time of a change on it is in, or
/// out: the event that makes somebody a customer is not yet a customer's. Who is in is told of again after half of what
/// profiles remember (`memory` of `Streams/segments.yaml`); who was not told of for all of that is out, as in profiles.
///
/// Cost: a look-up and a binary search for an event; 12 bytes for each change, and 32 for each person.
public struct SegmentHistory: Sendable {
  /// Ids in order of their bytes.
  public let segments: [String]
  /// Distinct sets of segments by number, each rising indices into ``segments``; number 0 is the empty one.
  let sets: [[Int]]
  private var spans: [Key128: Range<Int>] = [:]
  /// Of each span's changes, rising within it.
  private var times: [Int64] = []
  /// By id the number of the set of that one alone.
  private var single: [String: Int] = [:]
  private var numbers: [UInt32] = []

  /// Where nobody was in any.
  public static let none = SegmentHistory([], segments: [])

  /// What the log says of a person and a segment.
  struct Change: BitwiseCopyable {
    var person: Key128
    /// Microseconds since the epoch.
    var at: Int64
    /// Of the changes of this person and segment; of copies the first counts.
    var number: UInt64
    /// Index into the segments.
    var segment: UInt32
    var isIn: Bool
  }

  /// - Parameters:
  ///   - changes: in any order, copies of one in the order of the log.
  ///   - segments: in order of their bytes.
  ///   - memory: how long a change holds, microseconds; nil for ever.
  init(_ changes: [Change], segments: [String], memory: Int64? = nil) {
    self.segments = segments
    let ordered = changes.indices.sorted {
      let (a, b) = (changes[$0], changes[$1])
      return (a.person, a.segment, a.number, UInt64($0)) < (
        b.person, b.segment, b.number, UInt64($1)
      )
    }
    var sets: [[Int]] = [[]]
    var setNumbers: [[Int]: UInt32] = [[]: 0]
    for (place, id) in segments.enumerated() {
      single[id] = sets.count
      setNumbers[[place]] = UInt32(sets.count)
      sets.append([place])
    }
    var start = 0
    while start < ordered.count {
      var end = start + 1
      let person = changes[ordered[start]].person
      while end < ordered.count, changes[ordered[end]].person == person { end += 1 }
      let begin = times.count
      for (at, set) in Self.sweep(ordered[start..<end].map { changes[$0] }, memory) {
        let number: UInt32
        if let known = setNumbers[set] {
          number = known
        } else {
          number = UInt32(sets.count)
          setNumbers[set] = number
          sets.append(set)
        }
        times.append(at)
        numbers.append(number)
      }
      spans[person] = begin..<times.count
      start = end
    }
    self.sets = sets
  }

  /// The sets of one person, each from a time on.
  ///
  /// - Parameter changes: by segment, then number.
  private static func sweep(
    _ changes: [Change], _ memory: Int64?
  ) -> [(at: Int64, set: [Int])] {
    var moves: [(at: Int64, order: Int, segment: Int, isIn: Bool)] = []
    var last: Change?
    /// What was said last of a segment holds until here, or until something else is said.
    func end(_ change: Change?, _ order: Int, before next: Int64) {
      guard let change, change.isIn, let memory else { return }
      let (end, isBeyond) = change.at.addingReportingOverflow(memory)
      guard !isBeyond, end < next else { return }
      moves.append((end, order, Int(change.segment), false))
    }
    for (order, change) in changes.enumerated() {
      var change = change
      if let before = last, before.segment == change.segment {
        if before.number == change.number { continue }
        // Numbers say what came first, also where clocks differ.
        change.at = max(change.at, before.at)
        end(last, order, before: change.at)
      } else {
        end(last, order, before: .max)
      }
      last = change
      moves.append((change.at, order, Int(change.segment), change.isIn))
    }
    end(last, changes.count, before: .max)
    moves.sort { ($0.at, $0.order) < ($1.at, $1.order) }
    var current: Set<Int> = []
    var found: [(at: Int64, set: [Int])] = []
    for (index, move) in moves.enumerated() {
      if move.isIn { current.insert(move.segment) } else { current.remove(move.segment) }
      guard index + 1 == moves.count || moves[index + 1].at > move.at else { continue }
      let set = current.sorted()
      if set != found.last?.set ?? [] { found.append((move.at, set)) }
    }
    return found
  }

  public var isEmpty: Bool { spans.isEmpty }

  /// The number of the set of segments that a person was in at a time, microseconds since the epoch.
  @inline(__always)
  func set(of person: Key128, at time: Int64) -> Int {
    guard let span = spans[person] else { return 0 }
    var (low, high) = (span.lowerBound, span.upperBound)
    while low < high {
      let middle = (low &+ high) &>> 1
      if times[middle] <= time { low = middle &+ 1 } else { high = middle }
    }
    return low == span.lowerBound ? 0 : Int(numbers[low &- 1])
  }

  /// The number of the set of who an event is of; of an event that says that a person changes the set of that segment.
  @inline(__always)
  func set(of frame: FrameView, _ index: Int, at time: Int64) -> Int {
    if frame.kind(index) == EventKind.segment.rawValue {
      return SegmentScan.change(in: frame.payload(index)).flatMap { single[$0.segment] } ?? 0
    }
    let user = frame.user(index)
    return set(of: user == .zero ? frame.person(index) : user, at: time)
  }

  /// The ids of a set; one empty text for who is in none.
  func texts(ofSet number: Int) -> [String] {
    sets[number].isEmpty ? [""] : sets[number].map { segments[$0] }
  }

  /// By number of a set, the bits of the alternatives that it holds.
  func held(_ alternatives: [(bit: UInt64, filter: BreakdownFilter)]) -> [UInt64] {
    var held = sets.map { _ in UInt64(0) }
    for (bit, filter) in alternatives {
      for (number, passes) in passes([filter]).enumerated() where passes { held[number] |= bit }
    }
    return held
  }

  /// By number of a set, whether filters on segments let it pass: `is` where the person is in one of them, `is not`
  /// where in none of them.
  func passes(_ filters: [BreakdownFilter]) -> [Bool] {
    sets.indices.map { number in
      let texts = texts(ofSet: number).map { Array($0.utf8) }
      return filters.allSatisfy { filter in
        filter.test == .isNoneOf
          ? texts.allSatisfy(filter.admits) : texts.contains(where: filter.admits)
      }
    }
  }
}
