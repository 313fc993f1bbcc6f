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
  }

  let state = Mutex(State())

  var ids: [String] { state.withLock { $0.seen.map(\.id) } }
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
