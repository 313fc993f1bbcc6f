import Dataflow
import Ports
import Synchronization
import Threads

/// The loops of this process, one thread each, started and stopped one by one.
final class LoopSet: LoopHost {
  /// Runs one loop to its end, on a thread of its own.
  typealias Body =
    @Sendable (PipelineStream, StopFlag, Shared<PartitionStatus>) -> PartitionLoop.End

  private struct Entry {
    var thread: LoopThread?
    var stop: StopFlag
    var status: Shared<PartitionStatus>
    var end: PartitionLoop.End?
  }

  private let entries = Mutex<[PipelineStream: Entry]>([:])
  private let idCountMax: @Sendable (PipelineStream) -> Int
  private let noted: @Sendable (PipelineStream, Int64) -> Void
  private let body: Body
  /// Rung when a loop ends.
  private let bell: Bell

  /// - Parameters:
  ///   - idCountMax: the most event ids that an item's loop remembers, for its status.
  ///   - noted: gets committed log times of all streams, microseconds since the epoch.
  init(
    bell: Bell, idCountMax: @escaping @Sendable (PipelineStream) -> Int,
    noted: @escaping @Sendable (PipelineStream, Int64) -> Void, body: @escaping Body
  ) {
    self.bell = bell
    self.idCountMax = idCountMax
    self.noted = noted
    self.body = body
  }

  /// What the loops of this process do now, in order of pipeline and stream.
  var statuses: [PartitionStatus] {
    entries.withLock { $0.values.map(\.status.current) }.sorted {
      ($0.pipeline, $0.stream.stream) < ($1.pipeline, $1.stream.stream)
    }
  }

  var epochs: [PipelineStream: Int64] {
    entries.withLock { $0.mapValues(\.status.current.epoch) }
  }

  func start(_ item: PipelineStream) {
    let stop = StopFlag()
    let status = Shared(
      PartitionStatus(
        pipeline: item.pipeline, stream: item.stream, phase: .starting, detail: "", sequence: 0,
        committed: 0, lastKnown: 0, logTime: .min, watermark: .min, idCountMax: idCountMax(item)))
    let isFirst = entries.withLock { entries in
      guard entries[item] == nil else { return false }
      entries[item] = Entry(stop: stop, status: status)
      return true
    }
    guard isFirst else { return }
    let thread = LoopThread(name: "\(item)") { [self] in
      let end = body(item, stop, status)
      entries.withLock { $0[item]?.end = end }
      bell.ring()
    }
    entries.withLock { $0[item]?.thread = thread }
  }

  func stop(_ item: PipelineStream) {
    let hasEnded = entries.withLock { entries in
      entries[item]?.stop.set()
      return entries[item]?.end != nil
    }
    // One that had halted is to be taken out; any other rings when it ends.
    if hasEnded { bell.ring() }
  }

  func takeEnded() -> [(item: PipelineStream, end: PartitionLoop.End)] {
    let ended = entries.withLock { entries in
      var ended: [(item: PipelineStream, end: PartitionLoop.End, thread: LoopThread)] = []
      for (item, entry) in entries {
        guard let end = entry.end, let thread = entry.thread else { continue }
        if case .halted = end, !entry.stop.isSet { continue }
        ended.append((item, end, thread))
        entries[item] = nil
      }
      return ended
    }
    for (_, _, thread) in ended { thread.join() }
    return ended.map { ($0.item, $0.end) }
  }

  func note(logTime: Int64, of item: PipelineStream) { noted(item, logTime) }
}
