import Dataflow
import Events
import MemoryPorts
import Metrics
import Ports
import Synchronization
import Testing
import Views

@testable import QueryAPI

/// Ranges that are read shortly before they are asked for.
@Suite struct RangesAheadTests {
  private static let start: Int64 = 1_793_491_200_000_000

  private let registry = MetricRegistry()
  private let view = SimulatedView(
    partitions: [
      SimulatedPartition(
        events: (0..<200).map { index in
          let time = Self.start + Int64(index) * 1_000_000
          return SimulatedEvent(
            logTime: time, time: time, tuple: DimensionTuple(site: "default", campaign: "spring"),
            kind: 1, revenueMicros: 0)
        })
    ])

  private func request(_ range: DateRange, limit: Int = 10) -> QueryRequest {
    QueryRequest(
      pipeline: "default", site: "default", metrics: [.impressions], range: range, dimensions: [],
      granularity: .minute, filters: [], order: [], limit: limit, offset: 0, timezone: "UTC",
      after: nil, timeoutMs: 0)
  }

  private func count(_ outcome: String) -> Bool {
    String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
      .contains("smartcontent_query_ranges_ahead_total{outcome=\"\(outcome)\"} 1.0\n")
  }

  @Test("what is asked shortly before its range moves on is read for the next one, once")
  func read() async throws {
    let metrics = QueryMetrics(registry)
    let executor = view.executor(ageMax: .seconds(60), metrics: metrics)
    let ahead = RangesAhead(executor, metrics: metrics)
    view.set(committed: [150], coarse: [150], hot: [160], made: [1])
    let request = request(.lastMinutes(3))
    let move = Self.start + 170_000_000
    // Long before, and ranges that do not move.
    ahead.heard(request, now: move - 4_000_001, zone: .utc)
    ahead.heard(self.request(.lastDays(3)), now: move - 1, zone: .utc)
    #expect(view.durable.state.withLock { $0.readCount } == 0)
    ahead.heard(request, now: move - 3_000_000, zone: .utc)
    ahead.heard(self.request(.lastMinutes(3), limit: 20), now: move - 2_000_000, zone: .utc)
    try await eventually { count("read") }
    let next = try QueryPlan.make(for: request, now: move + 1, zone: .utc)
    #expect(next.range.to == move + 10_000_000)
    let kept = view.durable.state.withLock { $0.kept }
    #expect(kept == [next.selection(for: request, .activity)])
  }

  @Test("what cannot be read ahead is counted, and left to who asks")
  func failed() async throws {
    let metrics = QueryMetrics(registry)
    let executor = view.executor(ageMax: .seconds(60), metrics: metrics)
    let ahead = RangesAhead(executor, metrics: metrics)
    view.durable.update { $0.isAway = true }
    ahead.heard(request(.lastMinutes(3)), now: Self.start + 9_000_000, zone: .utc)
    try await eventually { count("failed") }
  }

  @Test("there is an end to how many are read")
  func bounded() async throws {
    let metrics = QueryMetrics(registry)
    let executor = view.executor(ageMax: .seconds(60), metrics: metrics)
    let ahead = RangesAhead(
      executor, settings: RangesAhead.Settings(questionCountMax: 1), metrics: metrics)
    view.set(committed: [150], coarse: [150], hot: [160], made: [1])
    let move = Self.start + 170_000_000
    ahead.heard(request(.lastMinutes(3)), now: move - 2, zone: .utc)
    ahead.heard(request(.lastMinutes(4)), now: move - 1, zone: .utc)
    #expect(count("dropped"))
    // The next move has room.
    try await eventually { count("read") }
    ahead.heard(request(.lastMinutes(4)), now: move + 9_000_000, zone: .utc)
    try await eventually {
      String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
        .contains("smartcontent_query_ranges_ahead_total{outcome=\"read\"} 2.0\n")
    }
  }
}
