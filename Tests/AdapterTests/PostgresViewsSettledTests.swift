import Dataflow
import Events
import Oracles
import Ports
import PostgresClient
import PostgresViews
import Testing
import Views

/// Sums of windows that have left state, which a reader keeps in memory.
@Suite("Settled sums of the Postgres view reader")
struct PostgresViewsSettledTests {
  private static let minute: Int64 = 60_000_000
  private static let hour: Int64 = 3_600_000_000

  private typealias Times = PostgresViewsSettledTests

  /// Two streams whose windows of a minute and an hour come, leave state and are corrected.
  private final class History {
    let settings: PostgresSettings
    let pipeline: PipelineSpec
    private(set) var owners: [Owner] = []
    var random: SeededGenerator
    let entries = ["c1", "c2", "c3"].map { Sample.entry(Sample.tuple($0)) }
    /// By stream.
    private var times: [Int64] = []

    init(_ name: String, seed: UInt64) async throws {
      settings = try await ViewServers.postgres()
      pipeline = PipelineSpec(name: name)
      random = SeededGenerator(seed: seed)
      for _ in 0..<2 { try addStream() }
    }

    func addStream() throws {
      let owner = try Owner(settings, pipeline, Sample.stream(owners.count))
      try owner.claim()
      owners.append(owner)
      times.append(times.last ?? Sample.day)
    }

    var now: Int64 { times.max() ?? Sample.day }

    func commit() throws {
      let stream = random.below(owners.count)
      times[stream] += random.time(upTo: 20 * Times.minute)
      let time = times[stream]
      try owners[stream].commit { batch in
        batch.dimensions = entries
        for level in [WindowLevel.minute, .hour] {
          let seam = batch.checkpoint.seams[level]
          let next = level.start(of: time - 2 * Times.minute)
          var start = max(seam, level.start(of: Sample.day))
          while start <= next {
            for entry in entries where random.once(in: 2) {
              batch.rows.append(
                Sample.row(
                  level, start, entry, impressions: Int64(random.below(100)), isFinal: start < next)
              )
            }
            start += level.length
          }
          batch.checkpoint.seams[level] = max(seam, next)
          guard seam > Sample.day, random.once(in: 3) else { continue }
          for _ in 0...random.below(2) {
            let old = level.start(
              of: seam - 1 - random.time(upTo: min(seam - Sample.day, 6 * Times.hour)))
            batch.deltas.append(
              Sample.row(level, old, random.pick(entries), impressions: 1, revision: 1))
          }
          batch.checkpoint.lastDeltaSequence = batch.checkpoint.sequence
        }
      }
    }

    /// A question as people ask it: of the last hours.
    func selection() -> ViewSelection {
      let length = random.pick([2, 5, 30]) * Times.hour
      let end = WindowLevel.minute.start(of: now)
      let begin = max(Sample.day, end - length)
      let (first, last) = (
        WindowLevel.hour.start(of: begin + Times.hour - 1), WindowLevel.hour.start(of: end)
      )
      var segments = [Segment(level: .minute, from: begin, to: min(first, end))]
      segments.append(Segment(level: .hour, from: first, to: last))
      segments.append(Segment(level: .minute, from: max(first, last), to: end))
      let step = random.pick([0, Times.minute, 10 * Times.minute, Times.hour, 3 * Times.hour])
      let buckets =
        step == 0 ? [] : Array(stride(from: begin - begin % step, to: end, by: Int(step)))
      return ViewSelection(
        site: "default", segments: segments.filter { $0.from < $0.to },
        filters: random.once(in: 3)
          ? [DimensionFilter(operation: .isAnyOf, dimension: .content, values: ["c2"])] : [],
        alternatives: random.once(in: 3)
          ? [
            [
              DimensionFilter(operation: .isAnyOf, dimension: .content, values: ["c1"]),
              DimensionFilter(operation: .contains, dimension: .campaign, values: ["nowhere"]),
            ]
          ] : [],
        groupBy: random.once(in: 2) ? [.content] : [], buckets: buckets)
    }
  }

  @Test(
    "Every answer is that of a reader that has kept nothing, whatever comes, leaves state and is corrected",
    arguments: 1...3 as ClosedRange<UInt64>)
  func same(seed: UInt64) async throws {
    let history = try await History("t_settled_\(seed)", seed: seed)
    let reader = try PostgresViewReader(history.settings, pipeline: history.pipeline)
    var asked: [ViewSelection] = []
    var fromMemory = 0
    for step in 0..<50 {
      try history.commit()
      // A stream of its own comes later.
      if step == 30 { try history.addStream() }
      asked.append(history.selection())
      for selection in asked.suffix(3) {
        let fresh = try PostgresViewReader(
          history.settings, pipeline: history.pipeline, sessions: 1)
        let expected = try await fresh.read(selection, belowSeams: true)
        let moment = try #require(
          try await reader.moment(.activity, levels: [.minute, .hour], rowCountMax: 10_000))
        #expect(moment.checkpoints == expected.checkpoints)
        if case .groups(let groups) = reader.kept(selection, at: moment) {
          fromMemory += 1
          #expect(
            Self.sums(groups, moment.rows, selection) == Self.sums(expected.groups, [], selection),
            "seed \(seed), step \(step), from memory")
        }
        let answer = try await reader.read(selection, belowSeams: true)
        #expect(answer.groups == expected.groups, "seed \(seed), step \(step)")
        #expect(answer.checkpoints == expected.checkpoints)
      }
    }
    #expect(fromMemory > 30, "seed \(seed)")
  }

  /// Groups and rows, added up.
  private static func sums(
    _ groups: [ViewGroup], _ rows: [HotRow], _ selection: ViewSelection
  ) -> [[String]: Counts] {
    var sums: [[String]: Counts] = [:]
    for group in groups {
      sums[["\(group.bucket)"] + group.dimensions, default: Counts()] += group.counts
    }
    for hot in rows {
      let row = hot.row
      guard let tuple = hot.tuple.withUnsafeBytes({ DimensionTuple(encoded: $0) }),
        selection.admits({ tuple[$0] }),
        selection.segments.contains(where: {
          $0.level == row.level && $0.from <= row.start && row.start < $0.to
        })
      else { continue }
      let bucket = selection.buckets.lastIndex { $0 <= row.start } ?? 0
      sums[["\(bucket)"] + selection.groupBy.map { tuple[$0] }, default: Counts()] += row.counts
    }
    return sums
  }

  @Test("An answer is from memory until a window of it is corrected, noted or not")
  func kept() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_settled_kept")
    let owner = try Owner(settings, pipeline, Sample.stream())
    try owner.claim()
    let entry = Sample.entry(Sample.tuple("c1"))
    try owner.commit { batch in
      batch.dimensions = [entry]
      for hour in 0..<10 as Range<Int64> {
        batch.rows.append(
          Sample.row(.hour, Sample.day + hour * Self.hour, entry, impressions: 1))
      }
      batch.checkpoint.seams[.hour] = Sample.day + 8 * Self.hour
    }
    let reader = try PostgresViewReader(settings, pipeline: pipeline)
    let session = try PostgresConnection(settings)
    func impressions(from: Int64, to: Int64) async throws -> Int64 {
      let selection = ViewSelection(
        site: "default",
        segments: [
          Segment(
            level: .hour, from: Sample.day + from * Self.hour, to: Sample.day + to * Self.hour)
        ], filters: [], groupBy: [], buckets: [])
      return try await reader.read(selection, belowSeams: true).groups.map(\.counts.impressions)
        .reduce(0, +)
    }
    func correct(_ hour: Int64, count: Int = 1) throws {
      try owner.commit { batch in
        batch.deltas = Array(
          repeating: Sample.row(
            .hour, Sample.day + hour * Self.hour, entry, impressions: 1, revision: 1), count: count)
        batch.checkpoint.lastDeltaSequence = batch.checkpoint.sequence
      }
    }
    #expect(try await impressions(from: 0, to: 10) == 8)
    #expect(try await impressions(from: 0, to: 3) == 3)
    // Nobody but commits changes rows; here it shows where an answer is from.
    try session.execute("update p_t_settled_kept_1.metrics_1h set impressions = 100")
    #expect(try await impressions(from: 0, to: 10) == 8)
    #expect(try await impressions(from: 0, to: 3) == 3)
    try correct(5)
    #expect(try await impressions(from: 0, to: 10) == 9)
    #expect(try await impressions(from: 0, to: 3) == 3)
    // As a program of before would do it.
    try correct(1)
    try session.execute("delete from p_t_settled_kept_1.corrections")
    #expect(try await impressions(from: 0, to: 3) == 301)
    try session.execute("update p_t_settled_kept_1.metrics_1h set impressions = 0")
    #expect(try await impressions(from: 0, to: 3) == 301)
    // Too many to be noted one by one.
    try correct(7, count: 5_000)
    #expect(try await impressions(from: 0, to: 3) == 0)
    #expect(try await impressions(from: 0, to: 10) == 5_000)
  }
}
