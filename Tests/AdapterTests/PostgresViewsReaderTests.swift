import Dataflow
import Events
import Ports
import PostgresClient
import PostgresViews
import Testing
import Views

@Suite("Postgres view reader")
struct PostgresViewsReaderTests {
  private static let hour: Int64 = 3_600_000_000

  private func select(
    _ level: WindowLevel = .hour, from: Int64 = 0, to: Int64 = 24, groupBy: [Dimension] = [],
    filters: [DimensionFilter] = [], buckets: [Int64] = [], site: String = "default"
  ) -> ViewSelection {
    ViewSelection(
      site: site,
      segments: [
        Segment(
          level: level, from: Sample.day + from * Self.hour, to: Sample.day + to * Self.hour)
      ], filters: filters, groupBy: groupBy, buckets: buckets.map { Sample.day + $0 * Self.hour })
  }

  private func unavailablePort() -> PostgresSettings {
    PostgresSettings(connection: "postgresql://x:geheim@127.0.0.1:1/x")
  }

  /// Two partitions; partition p has its hour seam at hour 10 + p and a row of each hour.
  private func prepare(_ name: String) async throws -> (PostgresViewReader, PipelineSpec) {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: name)
    let tuples = [
      Sample.tuple("c1"), Sample.tuple("c2", currency: "EUR"), Sample.tuple("c2", currency: "USD"),
      DimensionTuple(site: "other", content: "c1"),
    ]
    let entries = tuples.map(Sample.entry)
    for partition in 0..<2 {
      let owner = try Owner(settings, pipeline, Sample.stream(partition))
      try owner.claim()
      try owner.commit { batch in
        batch.dimensions = entries
        for hour in 0..<24 as Range<Int64> {
          for (index, entry) in entries.enumerated() {
            batch.rows.append(
              Sample.row(
                .hour, Sample.day + hour * Self.hour, entry, impressions: Int64(index) + 1,
                revenue: index == 1 || index == 2 ? 1_000_000 : 0))
          }
        }
        batch.checkpoint.seams[.hour] = Sample.day + (10 + Int64(partition)) * Self.hour
      }
    }
    return (try PostgresViewReader(settings, pipeline: pipeline), pipeline)
  }

  @Test("windows are taken up to each partition's own seam, or all of them")
  func seams() async throws {
    let (reader, _) = try await prepare("t_seams")
    let below = try await reader.read(select(), belowSeams: true)
    let all = try await reader.read(select(), belowSeams: false)
    // Tuples with 1, 2 and 3 impressions in 10 + 11 or 24 + 24 hours.
    #expect(below.groups.map(\.counts.impressions) == [21, 42, 63])
    #expect(all.groups.map(\.counts.impressions) == [48, 96, 144])
    #expect(all.groups.map(\.currency) == ["", "EUR", "USD"])
    #expect(all.groups.map(\.counts.revenueMicros) == [0, 48_000_000, 48_000_000])
    #expect(below.checkpoints.count == 2)
    #expect(
      below.checkpoints[Sample.stream(1)]?.seams[.hour] == Sample.day + 11 * Self.hour)
  }

  @Test("groups are by bucket, wanted dimensions and always currency")
  func groups() async throws {
    let (reader, _) = try await prepare("t_groups")
    let answer = try await reader.read(
      select(from: 2, to: 8, groupBy: [.content, .campaign], buckets: [0, 4, 6, 8]),
      belowSeams: true)
    var expected: [ViewGroup] = []
    // Hours 2 and 3, 4 and 5, 6 and 7.
    for bucket in 0..<3 {
      for (content, currency, impressions) in [("c1", "", 1), ("c2", "EUR", 2), ("c2", "USD", 3)] {
        // Two hours from each of two partitions.
        var counts = Counts()
        counts.impressions = 4 * Int64(impressions)
        counts.views = 4
        counts.clicks = 8
        counts.engagements = 12
        counts.conversions = 16
        counts.revenueMicros = currency.isEmpty ? 0 : 4_000_000
        expected.append(
          ViewGroup(
            bucket: bucket, dimensions: [content, "spring"], currency: currency, counts: counts))
      }
    }
    #expect(answer.groups == expected)
  }

  @Test("filters are by any, none and part of a value; sites are apart; values are never SQL")
  func filters() async throws {
    let (reader, _) = try await prepare("t_filters")
    let cases: [(DimensionFilter.Operation, [String], Int64)] = [
      (.isAnyOf, ["c1"], 48), (.isAnyOf, ["c1", "c2", "x"], 288), (.isAnyOf, [], 0),
      (.isNoneOf, ["c1"], 240), (.isNoneOf, [], 288), (.contains, ["2"], 240),
      (.contains, ["1", "2"], 288), (.contains, ["%"], 0), (.contains, [], 0),
      (.isAnyOf, ["c1') or true --", "{c1}", "\0"], 0),
    ]
    for (operation, values, impressions) in cases {
      let filter = DimensionFilter(operation: operation, dimension: .content, values: values)
      let answer = try await reader.read(select(filters: [filter]), belowSeams: false)
      let sum = answer.groups.reduce(0) { $0 + $1.counts.impressions }
      #expect(sum == impressions, "\(operation) \(values)")
    }
    func sum(_ selection: ViewSelection) async throws -> Int64 {
      try await reader.read(selection, belowSeams: false).groups.reduce(0) {
        $0 + $1.counts.impressions
      }
    }
    let first = DimensionFilter(operation: .isAnyOf, dimension: .content, values: ["c1"])
    let none = DimensionFilter(
      operation: .isAnyOf, dimension: .campaign, values: ["x') or true --"])
    let all = DimensionFilter(operation: .contains, dimension: .campaign, values: ["pri"])
    for (alternatives, impressions) in [
      ([[first, none]], 48), ([[none, all]], 288), ([[none], [all]], 0),
      ([[first, none], [none, all]], 48), ([[none, none]], 0),
    ] as [([[DimensionFilter]], Int64)] {
      var selection = select()
      selection.alternatives = alternatives
      #expect(try await sum(selection) == impressions, "\(alternatives)")
    }
    let other = try await reader.read(select(groupBy: [.site], site: "other"), belowSeams: false)
    #expect(other.groups.map(\.dimensions) == [["other"]])
    let quoted = try await reader.read(select(site: "' or ''='"), belowSeams: false)
    #expect(quoted.groups.isEmpty)
  }

  @Test("several segments of several levels are one sum")
  func segments() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_segments")
    let owner = try Owner(settings, pipeline, Sample.stream())
    try owner.claim()
    let entry = Sample.entry(Sample.tuple("c"))
    try owner.commit { batch in
      batch.dimensions = [entry]
      for (factor, level) in WindowLevel.allCases.enumerated() {
        for index in 0..<3 as Range<Int64> {
          batch.rows.append(
            Sample.row(
              level, Sample.day + index * level.length, entry,
              impressions: index == 0 ? 0 : index == 1 ? [1, 10, 100, 1_000][factor] : 1_000_000))
        }
      }
    }
    var selection = select()
    selection.segments = WindowLevel.allCases.map {
      Segment(level: $0, from: Sample.day + $0.length, to: Sample.day + 2 * $0.length)
    }
    let answer = try await PostgresViewReader(settings, pipeline: pipeline).read(
      selection, belowSeams: false)
    #expect(answer.groups.map(\.counts.impressions) == [1_111])
    selection.segments = []
    let nothing = try await PostgresViewReader(settings, pipeline: pipeline).read(
      selection, belowSeams: true)
    #expect(nothing.groups.isEmpty && nothing.checkpoints.count == 1)
  }

  @Test("rows and checkpoints are of one instant while a writer commits")
  func oneInstant() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_instant")
    try Owner(settings, pipeline, Sample.stream()).claim()
    async let written: Void = onThread {
      let owner = try Owner(settings, pipeline, Sample.stream())
      try owner.claim()
      let entry = Sample.entry(Sample.tuple("c"))
      for commit in 1...100 as ClosedRange<Int64> {
        try owner.commit { batch in
          batch.dimensions = [entry]
          batch.rows = [Sample.row(.hour, Sample.day, entry, impressions: commit)]
        }
      }
    }
    let reader = try PostgresViewReader(settings, pipeline: pipeline)
    var last: UInt64 = 0
    while last < 100 {
      let answer = try await reader.read(select(), belowSeams: false)
      last = answer.checkpoints[Sample.stream()]?.sequence ?? 0
      #expect(answer.groups.map(\.counts.impressions) == (last == 0 ? [] : [Int64(last)]))
    }
    try await written
  }

  @Test("an answer of too many groups and a query that takes too long are refused with advice")
  func limits() async throws {
    let (_, pipeline) = try await prepare("t_limits")
    var settings = try await ViewServers.postgres()
    let small = try PostgresViewReader(settings, pipeline: pipeline, groupCountMax: 2)
    do {
      _ = try await small.read(select(), belowSeams: false)
      Issue.record("there are three groups")
    } catch {
      guard case .refused(let text) = error else { throw error }
      #expect(text.contains("more than 2 groups"))
    }
    settings.statementTimeoutMs = 1
    let hasty = try PostgresViewReader(settings, pipeline: pipeline)
    do {
      for hours in 0..<1_000 as Range<Int64> {
        _ = try await hasty.read(
          select(buckets: Array(0...(100 * hours))), belowSeams: false)
      }
      Issue.record("every query took less than 1 ms")
    } catch {
      guard case .refused(let text) = error else { throw error }
      #expect(text.contains("cancelled"))
    }
  }

  @Test("a hundred readers share a few sessions; more than may wait are turned away")
  func pool() async throws {
    let (_, pipeline) = try await prepare("t_pool")
    let reader = try PostgresViewReader(
      try await ViewServers.postgres(), pipeline: pipeline, sessions: 2, waitingMax: 1_000)
    try await withThrowingTaskGroup(of: Int64.self) { group in
      for _ in 0..<100 {
        group.addTask {
          try await reader.read(select(), belowSeams: true).groups[0].counts.impressions
        }
      }
      for try await impressions in group { #expect(impressions == 21) }
    }
    let narrow = try PostgresViewReader(
      try await ViewServers.postgres(), pipeline: pipeline, sessions: 1, waitingMax: 1)
    let refused = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<50 {
        group.addTask {
          do throws(ViewReadError) {
            _ = try await narrow.checkpoints()
            return 0
          } catch {
            guard case .unavailable = error else { throw error }
            return 1
          }
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(refused > 0 && refused < 50)
  }

  @Test("a reader whose sessions ended answers the next question")
  func sessionsEnd() async throws {
    let (_, pipeline) = try await prepare("t_sessions")
    var settings = try await ViewServers.postgres()
    settings.applicationName = "t_sessions"
    let reader = try PostgresViewReader(settings, pipeline: pipeline)
    for _ in 0..<8 { _ = try await reader.checkpoints() }
    let admin = try PostgresConnection(try await ViewServers.postgres())
    let ended = try admin.query(
      """
      with idle as materialized (
        select pid from pg_stat_activity where application_name = 't_sessions')
      select count(*) from idle where pg_terminate_backend(pid, 5000)
      """
    ).int8(0, 0)
    #expect(ended > 0)
    for _ in 0..<8 { #expect(try await reader.checkpoints().count == 2) }
    let nobody = try PostgresViewReader(unavailablePort(), pipeline: PipelineSpec(name: "x"))
    do {
      _ = try await nobody.checkpoints()
      Issue.record("there is nobody")
    } catch {
      guard case .unavailable(let text) = error else { throw error }
      #expect(!text.contains("geheim"))
    }
  }
}
