import Dataflow
import Events
import Ports
import PostgresClient
import Testing
import Views

@testable import PostgresViews

/// Sums that grow in memory by windows that leave state, and what they are brought to a moment by.
@Suite("Windows that have left state of late")
struct PostgresViewsLeftTests {
  private static let minute: Int64 = 60_000_000

  private func selection(
    from: Int64, to: Int64, buckets: Bool = true, by dimensions: [Dimension] = []
  ) -> ViewSelection {
    let (begin, end) = (Sample.day + from * Self.minute, Sample.day + to * Self.minute)
    return ViewSelection(
      site: "default", segments: [Segment(level: .minute, from: begin, to: end)], filters: [],
      groupBy: dimensions,
      buckets: buckets ? Array(stride(from: begin, to: end, by: Int(Self.minute))) : [])
  }

  /// Commits a row of each minute up to the seam, for two contents.
  private func commit(_ minutes: Range<Int64>, _ owner: Owner, _ entries: [DimensionEntry]) throws {
    try owner.commit { batch in
      batch.dimensions = entries
      for minute in minutes {
        for entry in entries {
          batch.rows.append(
            Sample.row(.minute, Sample.day + minute * Self.minute, entry, impressions: minute))
        }
      }
      batch.checkpoint.seams[.minute] = Sample.day + minutes.upperBound * Self.minute
    }
  }

  private func impressions(_ kept: KeptGroups) throws -> [Int64] {
    guard case .groups(let groups) = kept else {
      Issue.record("nothing is kept: \(kept)")
      return []
    }
    return groups.map(\.counts.impressions)
  }

  @Test("What follows from what was read is answered from memory: later ends, later beginnings")
  func grown() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_left_grown")
    let owner = try Owner(settings, pipeline, Sample.stream())
    try owner.claim()
    let entries = ["c1", "c2"].map { Sample.entry(Sample.tuple($0)) }
    try commit(0..<21, owner, entries)
    let reader = try PostgresViewReader(settings, pipeline: pipeline)
    func moment() async throws -> DurableMoment {
      try #require(
        try await reader.moment(.activity, levels: [.minute], rowCountMax: 10_000))
    }
    var now = try await moment()
    let all = selection(from: 0, to: 90)
    guard case .none = reader.kept(all, at: now) else {
      Issue.record("nothing was read yet")
      return
    }
    _ = try await reader.read(all, belowSeams: true)
    _ = try await reader.read(selection(from: 0, to: 90, by: [.content]), belowSeams: true)
    let session = try PostgresConnection(settings)
    var end: Int64 = 21
    for next: Int64 in [22, 23, 30, 31, 45, 60, 61, 75] {
      try commit(end..<next, owner, entries)
      end = next
      now = try await moment()
      // Whatever is read from rows now is wrong.
      try session.execute("update p_t_left_grown_1.metrics_1m set impressions = 1000000")
      #expect(try impressions(reader.kept(all, at: now)) == (0..<end).map { 2 * $0 })
      // Its first minutes are parts of longer pieces.
      for begin: Int64 in [1, 9, 10, 11, 20] {
        let later = reader.kept(selection(from: begin, to: 90), at: now)
        #expect(try impressions(later) == (begin..<end).map { 2 * $0 })
      }
      let contents = reader.kept(selection(from: 3, to: 90, by: [.content]), at: now)
      #expect(try impressions(contents) == (3..<end).flatMap { [$0, $0] })
    }
    // A correction of a window that has left, and one of before.
    try owner.commit { batch in
      for minute: Int64 in [5, 70] {
        batch.deltas.append(
          Sample.row(
            .minute, Sample.day + minute * Self.minute, entries[0], impressions: 7, revision: 1))
      }
      batch.checkpoint.lastDeltaSequence = batch.checkpoint.sequence
    }
    now = try await moment()
    let corrected = (4..<end).map { 2 * $0 + ($0 == 5 || $0 == 70 ? 7 : 0) }
    #expect(try impressions(reader.kept(selection(from: 4, to: 90), at: now)) == corrected)
  }

  @Test("What was noted too long ago to be there still is read anew")
  func silence() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_left_silence")
    let owner = try Owner(settings, pipeline, Sample.stream())
    try owner.claim()
    let entries = [Sample.entry(Sample.tuple("c1"))]
    try commit(0..<20, owner, entries)
    let session = try PostgresConnection(settings)
    let schema = try ViewSchema(pipeline)
    let tuples = KnownTuples()
    let begin = ContinuousClock.now
    func moment(_ passed: Duration) throws -> SettledSums.Moment {
      SettledSums.Moment(
        checkpoints: try CheckpointTable.read(in: schema, session).mapValues(\.checkpoint),
        asOf: begin + passed)
    }
    func correct() throws {
      try owner.commit { batch in
        batch.deltas = [
          Sample.row(.minute, Sample.day + Self.minute, entries[0], impressions: 1, revision: 1)
        ]
        batch.checkpoint.lastDeltaSequence = batch.checkpoint.sequence
      }
    }
    let selection = selection(from: 0, to: 20, buckets: false)
    for (passed, isKept) in [(Duration.seconds(299), true), (.seconds(300), false)] {
      let sums = SettledSums()
      let first = try moment(.zero)
      try sums.note(first, tuples: tuples, in: schema, session)
      _ = try sums.read(
        selection,
        SettledSums.Snapshot(
          session: session, schema: schema, tuples: tuples, moment: first, groupCountMax: 100))
      try correct()
      try correct()
      let later = try moment(passed)
      try sums.note(later, tuples: tuples, in: schema, session)
      switch sums.groups(selection, at: later) {
      case .groups(let groups):
        #expect(isKept)
        let fresh = try SettledSums().read(
          selection,
          SettledSums.Snapshot(
            session: session, schema: schema, tuples: tuples, moment: later, groupCountMax: 100))
        #expect(groups == fresh)
      case .none: #expect(!isKept)
      case .later: Issue.record("nothing was read later")
      }
    }
  }
}
