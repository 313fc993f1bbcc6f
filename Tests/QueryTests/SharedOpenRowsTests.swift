import Dataflow
import Events
import HTTPServer
import Metrics
import Ports
import Synchronization
import Testing
import Views

@testable import QueryAPI

/// Questions that differ and share the rows that they are answered from.
@Suite struct SharedOpenRowsTests {
  private static let start: Int64 = 1_793_491_200_000_000

  /// One event a second; every tenth may be of the hour before.
  private func view(partitions: Int = 2, isLate: Bool = false) -> SimulatedView {
    SimulatedView(
      partitions: (0..<partitions).map { _ in
        SimulatedPartition(
          events: (0..<200).map { index in
            let time = Self.start + Int64(index) * 1_000_000
            return SimulatedEvent(
              logTime: time, time: isLate && index % 10 == 9 ? time - 3_600_000_000 : time,
              tuple: DimensionTuple(
                site: "default", campaign: index % 2 == 0 ? "spring" : "autumn",
                content: "c\(index % 3)"), kind: 1, revenueMicros: 0)
          })
      })
  }

  private func request(_ campaign: String, by dimensions: [Dimension] = []) -> QueryRequest {
    QueryRequest(
      pipeline: "default", site: "default", metrics: [.impressions], range: .lastMinutes(10),
      dimensions: dimensions, granularity: nil,
      filters: [DimensionFilter(operation: .isAnyOf, dimension: .campaign, values: [campaign])],
      order: [], limit: 10, offset: 0, timezone: "UTC", after: nil, timeoutMs: 0)
  }

  private func set(_ view: SimulatedView, committed: Int, hot: Int) {
    func all(_ value: Int) -> [Int] { view.partitions.map { _ in value } }
    view.set(
      committed: all(committed), coarse: all(committed), hot: all(hot), made: all(1))
  }

  /// Lets it see the copy, as one that was written at the first frame.
  private func look(_ executor: QueryExecutor, _ view: SimulatedView) async throws {
    set(view, committed: 1, hot: 1)
    _ = try await ask(executor, request("spring"), view, since: .now)
  }

  private func ask(
    _ executor: QueryExecutor, _ request: QueryRequest, _ view: SimulatedView,
    since: ContinuousClock.Instant, covering: Position? = nil
  ) async throws -> QueryAnswer {
    try await executor.answer(
      request, plan: QueryPlan.make(for: request, now: view.now, zone: .utc),
      sharing: LayerReader.Sharing(since: since, covering: covering))
  }

  private func impressions(_ answer: QueryAnswer) -> Int64 {
    answer.rows.reduce(0) { $0 + $1.counts.impressions }
  }

  /// What the first events of each partition come to.
  private func expected(_ view: SimulatedView, _ campaign: String, upTo count: Int) -> Int64 {
    let from = WindowLevel.tenSeconds.start(of: view.now + 9_999_999) - 600_000_000
    return Int64(
      view.partitions.flatMap { $0.events.prefix(count) }.filter {
        $0.tuple.campaign == campaign && $0.time >= from
      }.count)
  }

  @Test("questions that differ are answered from rows that were read once, as of one moment")
  func shared() async throws {
    let view = view()
    let registry = MetricRegistry()
    let executor = view.executor(ageMax: .seconds(60), metrics: QueryMetrics(registry))
    try await look(executor, view)
    set(view, committed: 100, hot: 120)
    let begin = ContinuousClock.now
    // Sums of windows that have left state are read by who comes first.
    for campaign in ["spring", "autumn"] {
      _ = try await ask(executor, request(campaign), view, since: begin)
      _ = try await ask(executor, request(campaign, by: [.content]), view, since: begin)
    }
    let reads = view.durable.state.withLock { $0.readCount }
    // Nobody has read it yet.
    view.hot.update { $0.isAway = true }
    for campaign in ["spring", "autumn"] {
      for dimensions in [[], [Dimension.content]] {
        let answer = try await ask(
          executor, request(campaign, by: dimensions), view, since: begin)
        #expect(answer.meta.position == Position("1~0.120~1.120"))
        #expect(answer.meta.warnings == [])
        #expect(impressions(answer) == expected(view, campaign, upTo: 120))
        #expect(answer.rows.count == (dimensions.isEmpty ? 1 : 3))
      }
    }
    #expect(view.durable.state.withLock { $0.readCount } == reads)
    let text = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    #expect(text.contains("smartcontent_query_open_rows_reads_total 2.0\n"))
  }

  @Test(
    "what came since the rows were read is in no answer that may be of before, and in every other one"
  )
  func since() async throws {
    let view = view()
    let executor = view.executor(ageMax: .seconds(60))
    try await look(executor, view)
    set(view, committed: 100, hot: 120)
    let begin = ContinuousClock.now
    for _ in 0..<2 { _ = try await ask(executor, request("spring"), view, since: begin) }
    set(view, committed: 100, hot: 128)
    let old = try await ask(executor, request("spring"), view, since: begin)
    #expect(old.meta.position == Position("1~0.120~1.120"))
    #expect(impressions(old) == expected(view, "spring", upTo: 120))
    let position = try #require(Position("1~0.128~1.128"))
    let known = try #require(Position("1~0.119~1.120"))
    let covered = try await ask(
      executor, request("spring"), view, since: .now, covering: known)
    #expect(covered.meta.position == Position("1~0.120~1.120"))
    let new = try await ask(
      executor, request("spring"), view, since: .now, covering: position)
    #expect(new.meta.position == position)
    #expect(impressions(new) == expected(view, "spring", upTo: 128))
  }

  @Test("a correction that is committed shows in the first answer that is not of before")
  func corrected() async throws {
    let view = view(partitions: 1, isLate: true)
    let executor = view.executor(ageMax: .seconds(60))
    var all = request("spring")
    all.filters = []
    all.range = .lastMinutes(180)
    set(view, committed: 109, hot: 109)
    let begin = ContinuousClock.now
    for _ in 0..<2 {
      let answer = try await ask(executor, all, view, since: begin)
      #expect(impressions(answer) == 109)
    }
    set(view, committed: 110, hot: 110)
    #expect(impressions(try await ask(executor, all, view, since: .now)) == 110)
  }

  @Test(
    "where there are too many rows the longest windows are left out, and not even looked at for a while"
  )
  func bounded() async throws {
    let view = view()
    set(view, committed: 100, hot: 120)
    let executor = view.executor(ageMax: .seconds(60))
    var settings = SharedOpenRows.Settings(ageMax: .seconds(60))
    // Two partitions have 240 events in a day, and some 130 in windows of 10 s that are open.
    settings.rowCountMax = 200
    let shared = SharedOpenRows(
      view: executor.view, measure: .activity, copies: HotCopies(), settings: settings,
      metrics: QueryMetrics(MetricRegistry()))
    #expect(await shared.rows(of: [.tenSeconds, .day], since: .now)?.levels == nil)
    let reads = view.durable.state.withLock { $0.readCount }
    #expect(await shared.rows(of: [.day], since: .now)?.levels == nil)
    #expect(view.durable.state.withLock { $0.readCount } == reads)
    let rows = try #require(await shared.rows(of: [.tenSeconds], since: .now))
    #expect(rows.levels == [.tenSeconds])
    #expect((1...200).contains(rows.rows.rowCount))
  }

  @Test("levels that nobody asked for before are read with the others from then on")
  func levels() async throws {
    let view = view()
    set(view, committed: 100, hot: 120)
    let executor = view.executor(ageMax: .seconds(60))
    let shared = SharedOpenRows(
      view: executor.view, measure: .activity, copies: HotCopies(),
      settings: SharedOpenRows.Settings(ageMax: .seconds(60)),
      metrics: QueryMetrics(MetricRegistry()))
    let begin = ContinuousClock.now
    let first = try #require(await shared.rows(of: [.hour], since: begin))
    #expect(first.levels == [.hour])
    let second = try #require(await shared.rows(of: [.minute], since: begin))
    #expect(second.levels == [.hour, .minute])
    #expect(await shared.rows(of: [.hour], since: begin)?.began == second.began)
  }

  @Test(
    "rows of one window and tuple are one in columns, whatever partitions and order they come from")
  func columns() {
    var random = Random(seed: 3)
    var rows: [HotRow] = []
    for _ in 0..<500 {
      let tuple = DimensionTuple(
        site: random.pick(["default", "other"]),
        campaign: random.pick(["a", "b", "e\u{301}", "\u{e9}"]),
        content: random.pick(["", "x"]), currency: random.pick(["", "EUR"]))
      var counts = Counts()
      counts.clicks = Int64(random.below(9))
      counts.revenueMicros = Int64(random.below(100)) - 50
      rows.append(
        HotRow(
          row: WindowRow(
            level: random.pick([.minute, .hour]),
            start: Self.start + Int64(random.below(3)) * 3_600_000_000, dimensionID: 0,
            counts: counts, revision: Int32(random.below(3)), isFinal: false),
          tuple: tuple.encoded))
    }
    rows.append(
      HotRow(
        row: WindowRow(
          level: .minute, start: Self.start, dimensionID: 0, counts: Counts(), revision: 0,
          isFinal: false), tuple: [1, 2, 3]))
    for filters in [
      [], [DimensionFilter(operation: .isNoneOf, dimension: .campaign, values: ["a"])],
    ] {
      let selection = ViewSelection(
        site: "default",
        segments: [
          Segment(level: .minute, from: Self.start, to: Self.start + 7_200_000_000),
          Segment(level: .hour, from: Self.start + 7_200_000_000, to: .max),
        ], filters: filters, groupBy: [.content, .campaign],
        buckets: [Self.start, Self.start + 3_600_000_000])
      var table = GroupTable()
      #expect(table.add(RowColumns(rows), selection: selection) == 1)
      var expected: [GroupTable.Key: [String: Counts]] = [:]
      for row in rows.dropLast() {
        guard let tuple = row.tuple.withUnsafeBytes({ DimensionTuple(encoded: $0) }) else {
          continue
        }
        let isIn = selection.segments.contains {
          $0.level == row.row.level && $0.from <= row.row.start && row.row.start < $0.to
        }
        guard isIn, tuple.site == "default", filters.allSatisfy({ $0.admits(tuple.campaign) })
        else { continue }
        let key = GroupTable.Key(
          bucket: row.row.start < Self.start + 3_600_000_000 ? 0 : 1,
          dimensions: [tuple.content, tuple.campaign])
        expected[key, default: [:]][tuple.currency, default: Counts()] += row.row.counts
      }
      #expect(table.groups.count == expected.count)
      #expect(table.groups.map(\.key) == table.groups.map(\.key).sorted())
      for group in table.groups {
        let sums = Dictionary(
          uniqueKeysWithValues: ([(group.currency, group.sums)] + group.others).map {
            ($0.0, $0.1[.activity])
          })
        #expect(sums == expected[group.key])
      }
    }
  }
}
