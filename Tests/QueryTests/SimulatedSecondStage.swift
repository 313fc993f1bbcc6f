import Dataflow
import Events
import Ports
import Views

@testable import QueryAPI

/// A view over simulated partitions whose second stage has a simulated stream of partials.
///
/// Each event of a partition is one frame of the partials, in turns of the partitions; each of them is
/// a session, so that numbers say which frames are in them.
struct SimulatedSecondStage {
  let first: SimulatedView
  let second: SimulatedView
  let stream = StreamPartition.partials(of: pipeline)
  private let countPerPartition: Int

  static let pipeline = PipelineSpec(
    name: "default", persons: PersonPolicy(experiments: ExperimentPolicy()),
    trends: TrendPolicy())

  /// - Parameter times: event times of each partition, which are log times too.
  init(partitions: Int, times: [Int64]) {
    countPerPartition = times.count
    let tuple = DimensionTuple(site: "default", campaign: "spring")
    let events = times.map {
      SimulatedEvent(logTime: $0, time: $0, tuple: tuple, kind: 1, revenueMicros: 0)
    }
    first = SimulatedView(
      partitions: (0..<partitions).map { _ in SimulatedPartition(events: events) })
    second = SimulatedView(
      partitions: [
        SimulatedPartition(events: events.flatMap { Array(repeating: $0, count: partitions) })
      ])
  }

  var view: ReadView {
    var view = first.executor.view
    let durable = JointDurableReader(
      activity: first.durable, outcomes: second.durable, stream: stream)
    view = ReadView(
      name: view.name, durable: durable, hot: view.hot, generation: 1,
      partitionCount: view.partitions.count,
      secondStage: ReadView.SecondStage(
        of: Self.pipeline, hot: RenamedHotReader(inner: second.hot, partition: stream.partition)))
    return view
  }

  /// How far the second stage is where it has taken in `sequence` frames.
  func sources(at sequence: Int) -> [SourcePosition] {
    let count = first.partitions.count
    return (0..<count).map { partition in
      SourcePosition(
        generation: 1, partition: partition,
        sequence: UInt64((sequence + count - 1 - partition) / count))
    }
  }

  func set(activity: (committed: Int, hot: Int), outcomes: (committed: Int, hot: Int)) {
    let count = first.partitions.count
    func all(_ value: Int) -> [Int] { Array(repeating: value, count: count) }
    first.set(
      committed: all(activity.committed), coarse: all(activity.committed), hot: all(activity.hot),
      made: all(1))
    second.set(
      committed: [outcomes.committed], coarse: [outcomes.committed], hot: [outcomes.hot], made: [1])
    let committed = sources(at: outcomes.committed)
    let hot = sources(at: outcomes.hot)
    second.durable.update { $0.checkpoints[0]?.sources = committed }
    second.hot.update { $0.headers[0]?.sources = hot }
  }
}

/// Rows of either measure, as one store has them.
struct JointDurableReader: DurableViewReader {
  let activity: MemoryDurableReader
  let outcomes: MemoryDurableReader
  let stream: StreamPartition

  func read(
    _ selection: ViewSelection, belowSeams: Bool
  ) async throws(ViewReadError) -> DurableAnswer {
    var answer =
      selection.measure == .activity
      ? try await activity.read(selection, belowSeams: belowSeams)
      : try await outcomes.read(selection, belowSeams: belowSeams)
    answer.checkpoints = try await checkpoints()
    return answer
  }

  func trends(
    site: String, groupBy dimension: Dimension
  ) async throws(ViewReadError) -> TrendAnswer {
    try await outcomes.trends(site: site, groupBy: dimension)
  }

  func checkpoints() async throws(ViewReadError) -> [StreamPartition: Checkpoint] {
    var all = try await activity.checkpoints()
    all[stream] = try await outcomes.checkpoints().values.first
    return all
  }

  func accounting() async throws(ViewReadError) -> Accounting { try await activity.accounting() }
}

/// A copy of one partition under another number.
struct RenamedHotReader: HotViewReader {
  let inner: MemoryHotReader
  let partition: Int

  func headers(partitions: [Int]) async throws(ViewReadError) -> [Int: HotHeader] {
    renamed(try await inner.headers(partitions: partitions.contains(partition) ? [0] : []))
  }

  func read(
    segments: [Segment], seams: [Int: Seams], filter: TupleFilter
  ) async throws(ViewReadError) -> HotAnswer {
    let inner = try await inner.read(
      segments: segments, seams: seams[partition].map { [0: $0] } ?? [:], filter: filter)
    return HotAnswer(headers: renamed(inner.headers), rows: inner.rows)
  }

  private func renamed(_ headers: [Int: HotHeader]) -> [Int: HotHeader] {
    headers[0].map { [partition: $0] } ?? [:]
  }
}
