import Dataflow
import Events
import Ports
import PostgresClient
import PostgresViews
import RedisViews
import Testing
import Views

@Suite("Read models of the second stage")
struct PostgresViewsSecondStageTests {
  private static let second: Int64 = 1_000_000
  private static let day: Int64 = 86_400 * second
  private let entries = ["c1", "c2", "c3"].map { Sample.entry(Sample.tuple($0)) }

  private func pipeline(_ name: String) -> PipelineSpec {
    PipelineSpec(name: name, persons: PersonPolicy(), trends: TrendPolicy())
  }

  private func prepare(_ name: String) async throws -> (Owner, PostgresViewReader) {
    let settings = try await ViewServers.postgres()
    let pipeline = pipeline(name)
    let owner = try Owner(settings, pipeline, .partials(of: pipeline))
    try owner.claim()
    return (owner, try PostgresViewReader(settings, pipeline: pipeline))
  }

  private func row(
    _ level: WindowLevel, _ start: Int64, _ entry: DimensionEntry, _ outcomes: Outcomes,
    revision: Int32 = 0
  ) -> WindowRow {
    WindowRow(
      level: level, start: start, dimensionID: entry.id, counts: outcomes.counts,
      revision: revision, isFinal: true)
  }

  private func trend(
    _ end: Int64, _ entry: DimensionEntry, clicks: Int64, isFinal: Bool = true
  ) -> TrendRow {
    var counts = Counts()
    counts.clicks = clicks
    return TrendRow(
      end: Sample.day + end * Self.second, dimensionID: entry.id, counts: counts, revision: 0,
      isFinal: isFinal)
  }

  @Test("outcomes have tables of their own: absolute rows replace, retractions subtract")
  func outcomes() async throws {
    let (owner, _) = try await prepare("s_outcomes")
    let full = Outcomes(
      sessions: 5, bounces: 4, sessionMicros: 3_000_000, attributedClicks: 2,
      attributedConversions: 1, attributedRevenueMicros: 9_000_000)
    let less = Outcomes(
      bounces: -1, sessionMicros: -500_000, attributedConversions: -1,
      attributedRevenueMicros: -9_000_000)
    try owner.commit { batch in
      batch.measure = .outcomes
      batch.dimensions = entries
      batch.rows = [row(.hour, Sample.day, entries[0], Outcomes(sessions: 1))]
    }
    try owner.commit { batch in
      batch.measure = .outcomes
      batch.rows = [row(.hour, Sample.day, entries[0], full)]
      batch.deltas = [row(.day, Sample.day, entries[1], full)]
    }
    try owner.commit { batch in
      batch.measure = .outcomes
      batch.deltas = [
        row(.hour, Sample.day, entries[0], less, revision: 1),
        row(.hour, Sample.day, entries[0], Outcomes(sessions: 2), revision: 1),
      ]
    }
    let connection = try PostgresConnection(try await ViewServers.postgres())
    let result = try connection.query(
      """
      select sessions, bounces, session_micros, attributed_clicks, attributed_conversions,
        attributed_revenue_micros, revision, source from p_s_outcomes_1.outcomes_1h
      """)
    #expect(result.rowCount == 1)
    #expect((0..<6).map { result.int8(0, $0) } == [7, 3, 2_500_000, 2, 0, 0])
    #expect(result.int4(0, 6) == 2 && result.int4(0, 7) == 0)
    #expect(
      try connection.query("select sessions from p_s_outcomes_1.outcomes_1d").int8(0, 0) == 5)
    #expect(
      try connection.query("select count(*) from p_s_outcomes_1.metrics_1h").int8(0, 0) == 0)
  }

  @Test("exposures and baselines come with the outcomes' commit, in tables of their own")
  func exposures() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(
      name: "s_exposures", persons: PersonPolicy(experiments: ExperimentPolicy()))
    let owner = try Owner(settings, pipeline, .partials(of: pipeline))
    try owner.claim()
    let reader = try PostgresViewReader(settings, pipeline: pipeline)
    let exposed = Exposures(
      persons: 9, clickers: 4, converters: 2, mixed: 1, revenueCentsSquared: .max - 5,
      revenueMicros: 7_000_000)
    let before = Baselines(
      prior: 3, priorSquared: 5, priorClicked: 2, priorConverted: 1, priorRevenueCents: 700,
      priorRevenueMicros: 4_000_000)
    func measured(
      _ counts: Counts, of measure: Measure, isDelta: Bool, _ level: WindowLevel
    ) -> MeasuredRows {
      let row = WindowRow(
        level: level, start: Sample.day, dimensionID: entries[0].id, counts: counts,
        revision: isDelta ? 1 : 0, isFinal: true)
      return MeasuredRows(
        measure: measure, rows: isDelta ? [] : [row], deltas: isDelta ? [row] : [])
    }
    try owner.commit { batch in
      batch.measure = .outcomes
      batch.dimensions = entries
      batch.rows = [row(.hour, Sample.day, entries[0], Outcomes(sessions: 1))]
      batch.experiments = WindowLevel.allCases.flatMap {
        [
          measured(exposed.counts, of: .exposures, isDelta: false, $0),
          measured(before.counts, of: .baselines, isDelta: false, $0),
        ]
      }
    }
    // A sum that is too large for its column ends there, and no commit fails by it.
    let more = Exposures(persons: 1, mixed: -1, revenueCentsSquared: 100, revenueMicros: -1)
    try owner.commit { batch in
      batch.measure = .outcomes
      batch.experiments = [measured(more.counts, of: .exposures, isDelta: true, .hour)]
    }
    func read(_ measure: Measure, _ level: WindowLevel) async throws -> [Counts] {
      try await reader.read(
        ViewSelection(
          measure: measure, site: "default",
          segments: [Segment(level: level, from: Sample.day, to: Sample.day + Self.day)],
          filters: [], groupBy: [.campaign], buckets: []), belowSeams: false
      ).groups.map(\.counts)
    }
    let sum = Exposures(
      persons: 10, clickers: 4, converters: 2, revenueCentsSquared: .max, revenueMicros: 6_999_999)
    #expect(try await read(.exposures, .hour) == [sum.counts])
    for level in [WindowLevel.tenSeconds, .minute, .day] {
      #expect(try await read(.exposures, level) == [exposed.counts])
      #expect(try await read(.baselines, level) == [before.counts])
    }
    #expect(try await read(.outcomes, .hour) == [Outcomes(sessions: 1).counts])
  }

  @Test("outcomes are read by measure, below the second stage's own seam or all of them")
  func reading() async throws {
    let (owner, reader) = try await prepare("s_reading")
    let first = try Owner(
      try await ViewServers.postgres(), pipeline("s_reading"), Sample.stream())
    try first.claim()
    let hour = WindowLevel.hour.length
    try first.commit { batch in
      batch.dimensions = entries
      batch.rows = [Sample.row(.hour, Sample.day, entries[0], impressions: 100)]
      batch.checkpoint.seams[.hour] = Sample.day + 24 * hour
    }
    try owner.commit { batch in
      batch.measure = .outcomes
      batch.dimensions = entries
      batch.rows = (0..<4).map {
        row(.hour, Sample.day + $0 * hour, entries[0], Outcomes(sessions: 1 << $0))
      }
      batch.checkpoint.seams[.hour] = Sample.day + 2 * hour
      batch.checkpoint.sources = [
        SourcePosition(generation: 1, partition: 0, sequence: 12),
        SourcePosition(generation: 1, partition: 1, sequence: .max),
      ]
    }
    func sum(_ measure: Measure, belowSeams: Bool) async throws -> [Int64] {
      let selection = ViewSelection(
        measure: measure, site: "default",
        segments: [Segment(level: .hour, from: Sample.day, to: Sample.day + Self.day)],
        filters: [], groupBy: [.content], buckets: [])
      return try await reader.read(selection, belowSeams: belowSeams).groups
        .map(\.counts.impressions)
    }
    #expect(try await sum(.outcomes, belowSeams: true) == [3])
    #expect(try await sum(.outcomes, belowSeams: false) == [15])
    #expect(try await sum(.activity, belowSeams: true) == [100])
    let sources = try await reader.checkpoints()[owner.stream]?.sources
    #expect(sources == owner.checkpoint.sources)
    try owner.claim()
    #expect(owner.checkpoint.sources == sources && owner.epoch == 2)
  }

  @Test("what the second stage takes in is not counted as events")
  func accounting() async throws {
    let (owner, reader) = try await prepare("s_accounting")
    let settings = try await ViewServers.postgres()
    let dead = StreamPartition(stream: "dead-letters", generation: 1, partition: -1)
    for stream in [Sample.stream(), dead, owner.stream] {
      let owner = try Owner(settings, pipeline("s_accounting"), stream)
      try owner.claim()
      try owner.commit {
        $0.accounting.received = 7
        $0.accounting.onTime = 7
      }
    }
    #expect(try await reader.accounting().received == 14)
  }

  @Test("trends are the newest window that log time has come to, beside the one a window before")
  func trends() async throws {
    let (owner, reader) = try await prepare("s_trends")
    let none = try await reader.trends(site: "default", groupBy: .content)
    #expect(none.end == nil && none.groups.isEmpty)
    // The watermark is in the window that ends at 1010 s, log time in the one at 1020 s.
    try owner.commit { batch in
      batch.measure = .outcomes
      batch.dimensions = entries + [Sample.entry(DimensionTuple(site: "other", content: "c1"))]
      batch.checkpoint.watermark = Sample.day + 1007 * Self.second
      batch.checkpoint.logTime = Sample.day + 1012 * Self.second
      batch.trends = [
        // The window before the newest one, and neighbours that do not count.
        trend(710, entries[0], clicks: 50), trend(720, entries[0], clicks: 60),
        trend(720, entries[2], clicks: 9), trend(730, entries[0], clicks: 70),
        trend(990, entries[0], clicks: 1), trend(1000, entries[0], clicks: 2),
        trend(1000, entries[1], clicks: 3), trend(1010, entries[0], clicks: 4, isFinal: false),
        trend(1020, entries[0], clicks: 5, isFinal: false),
        trend(1020, batch.dimensions[3], clicks: 1_000, isFinal: false),
        // A client's clock was ahead.
        trend(1320, entries[0], clicks: 999, isFinal: false),
      ]
    }
    let answer = try await reader.trends(site: "default", groupBy: .content)
    #expect(answer.end == Sample.day + 1020 * Self.second && answer.size == 300 * Self.second)
    #expect(answer.groups.map(\.bucket) == [0, 0, 1])
    #expect(answer.groups.map(\.dimensions) == [["c1"], ["c3"], ["c1"]])
    #expect(answer.groups.map(\.counts.clicks) == [60, 9, 5])
    #expect(answer.checkpoint == owner.checkpoint)
    // A row is replaced by what the window became.
    try owner.commit { batch in
      batch.measure = .outcomes
      batch.trends = [trend(1020, entries[0], clicks: 6)]
    }
    let after = try await reader.trends(site: "default", groupBy: .campaign)
    #expect(after.groups.map(\.counts.clicks) == [69, 6])
    #expect(after.groups.map(\.dimensions) == [["spring"], ["spring"]])
    // Nothing happened since: the last final window is the newest one, and empty.
    try owner.commit { batch in
      batch.measure = .outcomes
      batch.checkpoint.watermark = Sample.day + 1707 * Self.second
      batch.checkpoint.logTime = Sample.day + 1712 * Self.second
    }
    let quiet = try await reader.trends(site: "default", groupBy: .content)
    #expect(quiet.end == Sample.day + 1700 * Self.second && quiet.groups.isEmpty)
  }

  @Test("a pipeline has only the tables that it declares")
  func declared() async throws {
    let settings = try await ViewServers.postgres()
    let plain = PipelineSpec(name: "s_plain")
    try PostgresViewStore(settings, pipeline: plain).migrate()
    let result = try PostgresConnection(settings).query(
      """
      select count(*) from pg_tables where schemaname = 'p_s_plain_1'
        and (tablename like 'outcomes%' or tablename like 'trends%')
      """)
    #expect(result.int8(0, 0) == 0)
    let reader = try PostgresViewReader(settings, pipeline: plain)
    do throws(ViewReadError) {
      _ = try await reader.trends(site: "default", groupBy: .campaign)
      Issue.record("the pipeline has none")
    } catch {
      #expect("\(error)".contains("declares no trends"))
    }
  }

  @Test("rows of the second stage are dropped by its own log time")
  func retention() async throws {
    let (owner, _) = try await prepare("s_retention")
    let first = try Owner(
      try await ViewServers.postgres(), pipeline("s_retention"), Sample.stream())
    try first.claim()
    let connection = try PostgresConnection(try await ViewServers.postgres())
    func days(_ table: String, _ column: String) throws -> Int64 {
      try connection.query(
        "select count(distinct \(column)) from p_s_retention_1.\(table)"
      ).int8(0, 0)
    }
    for day in 0..<5 as Range<Int64> {
      let start = Sample.day + day * Self.day
      try first.commit { batch in
        batch.dimensions = entries
        batch.checkpoint.logTime = Sample.day + 100 * Self.day + day
        batch.rows = [Sample.row(.hour, start, entries[0], impressions: 1)]
      }
      try owner.commit { batch in
        batch.measure = .outcomes
        batch.dimensions = entries
        batch.rows = [row(.tenSeconds, start, entries[0], Outcomes(sessions: 1))]
        batch.trends = [trend(day * 86_400, entries[0], clicks: 1)]
        batch.checkpoint.logTime = Sample.day
      }
    }
    #expect(try days("outcomes_10s", "window_start") == 5)
    // A table that somebody looks at (autovacuum) is left for the next sweep.
    var sweeps: Int64 = 0
    while try days("outcomes_10s", "window_start") + days("trends", "window_end") > 4, sweeps < 100
    {
      sweeps += 1
      try owner.commit {
        $0.measure = .outcomes
        $0.checkpoint.logTime = Sample.day + 5 * Self.day + sweeps * 60 * Self.second
      }
    }
    #expect(try days("outcomes_10s", "window_start") == 2)
    #expect(try days("trends", "window_end") == 2)
    #expect(try days("metrics_1h", "window_start") == 5)
  }

  @Test("the hot copy of the second stage is beside those of the partitions, with its sources")
  func hotCopy() async throws {
    let settings = try await ViewServers.redis()
    let pipeline = pipeline("s_hot")
    let stream = StreamPartition.partials(of: pipeline)
    let store = RedisHotStore(settings, pipeline: pipeline)
    var header = HotHeader(
      epoch: 1, sequence: 7, lastDeltaSequence: 0, committedSequence: 0, copy: 1,
      isComplete: true, logTime: Sample.day, watermark: Sample.day, seams: Seams(),
      sources: [
        SourcePosition(generation: 1, partition: 0, sequence: 3),
        SourcePosition(generation: 2, partition: 15, sequence: .max),
      ])
    let hot = HotRow(
      row: row(.tenSeconds, Sample.day, entries[0], Outcomes(sessions: 2, bounces: -1)),
      tuple: entries[0].encoded)
    try store.rebuild([hot], stream: stream, header: header)
    let reader = RedisViewReader(settings, pipeline: pipeline, generation: stream.generation)
    let segments = [Segment(level: .tenSeconds, from: Sample.day, to: .max)]
    let answer = try await reader.read(segments: segments, seams: [stream.partition: Seams()])
    #expect(answer.rows == [hot] && answer.headers == [stream.partition: header])
    // Another position of a source is another header.
    let previous = header
    header.sources[0].sequence = 4
    try store.update(
      [], stream: stream, previous: previous, header: header, keepFrom: Seams())
    #expect(throws: HotStoreError.stale) {
      try store.update(
        [], stream: stream, previous: previous, header: header, keepFrom: Seams())
    }
    let events = RedisViewReader(settings, pipeline: pipeline, generation: 1)
    #expect(try await events.headers(partitions: [0, 1, 2]).isEmpty)
  }

  @Test(
    "positions of sources are read back from their text, and nothing else is",
    arguments: ["1", "1.0", "1.0.x", "1.0.1.2", "1..2", "-1.0.2", " 1.0.2"])
  func sources(text: String) {
    #expect(SourcePosition.parse(text) == nil)
    let list = (0..<3).map {
      SourcePosition(generation: UInt32($0), partition: $0 * 100, sequence: UInt64.max - UInt64($0))
    }
    #expect(SourcePosition.parse(SourcePosition.text(list)) == list)
    #expect(SourcePosition.text([]).isEmpty && SourcePosition.parse("") == [])
  }
}
