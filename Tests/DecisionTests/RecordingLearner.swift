import Analyses
import Events
import Learning
import Operators
import Synchronization

/// What a learner was led past and published, for tests.
final class LearnerRecord: Sendable {
  struct Seen: Hashable, Sendable {
    var id: String
    var generation: UInt32
    var partition: Int
  }

  struct State: Sendable {
    var seen: [Seen] = []
    var published: [LearningProgress] = []
    var forgotten: [Key128] = []
    /// What one that is kept had learned before this start; nil where it began anew.
    var restored: [String]?
  }

  let state = Mutex(State())

  var ids: [String] { state.withLock { $0.seen.map(\.id) } }
  var restored: [String]? { state.withLock { $0.restored } }
  var seen: [Seen] { state.withLock { $0.seen } }
  var forgotten: [Key128] { state.withLock { $0.forgotten } }
  var published: [LearningProgress] { state.withLock { $0.published } }
  var isCaughtUp: Bool { published.last?.isCaughtUp ?? false }
}

/// Learns which events count.
final class RecordingLearner: Learner {
  let memory: Int64
  private let record: LearnerRecord

  init(_ record: LearnerRecord, memory: Int64 = 3_600_000_000) {
    self.record = record
    self.memory = memory
  }

  func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    for number in 0..<counted.count {
      let seen = LearnerRecord.Seen(
        id: frame.id(counted.index(number)), generation: stream.generation,
        partition: stream.partition)
      record.state.withLock { $0.seen.append(seen) }
    }
  }

  func forget(_ person: Key128, erasedAt: Int64) {
    record.state.withLock { $0.forgotten.append(person) }
  }

  func publish(_ progress: LearningProgress) {
    record.state.withLock { $0.published.append(progress) }
  }
}

/// Ids that were learned, without those that `back-…` names.
struct LearnedIDs {
  /// Those that are not to be learned.
  let told: Set<String>
  /// Those that were named too late for that.
  private(set) var owed: Set<String> = []
  var ids: [String] = []

  init(told: Set<String>) { self.told = told }

  mutating func add(_ id: String) {
    if id.hasPrefix("back-") {
      let back = String(id.dropFirst(5))
      if !told.contains(back) { owed.insert(back) }
    } else if !told.contains(id) {
      ids.append(id)
    }
  }
}

/// Learns ids, and what `back-…` names not at all: it is too late for that where it was learned already.
final class RestlessLearner: Learner {
  final class Record: Sendable {
    /// What was published last, and by which of those that followed one another.
    let said = Mutex<(ids: [String], number: Int)>(([], 0))

    var ids: [String] { said.withLock { $0.ids } }
    var learned: Set<String> { Set(ids) }
    var number: Int { said.withLock { $0.number } }
  }

  let memory: Int64 = 3_600_000_000
  private let record: Record
  private let number: Int
  private var learned: LearnedIDs

  init(_ record: Record, number: Int = 1, told: Set<String> = []) {
    self.record = record
    self.number = number
    learned = LearnedIDs(told: told)
  }

  func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    for place in 0..<counted.count { learned.add(frame.id(counted.index(place))) }
  }

  func forget(_ person: Key128, erasedAt: Int64) {}

  func publish(_ progress: LearningProgress) {
    guard progress.isCaughtUp else { return }
    record.said.withLock { $0 = (learned.ids, number) }
  }

  func successor() -> (any Learner)? { learned.owed.isEmpty ? nil : anew() }

  func anew() -> (any Learner)? {
    RestlessLearner(record, number: number + 1, told: learned.told.union(learned.owed))
  }
}
