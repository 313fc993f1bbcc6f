import Dataflow
import Events
import Ports
import PostgresClient
import PostgresViews
import Testing
import Views

@Suite("Postgres view store")
struct PostgresViewsStoreTests {
  @Test("tables are made by any number of processes at once, any number of times")
  func concurrentMigration() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_migration")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          try await onThread {
            let store = try PostgresViewStore(settings, pipeline: pipeline)
            try store.migrate()
            try PostgresViewStore(settings, pipeline: pipeline).migrate()
          }
        }
      }
      try await group.waitForAll()
    }
    let result = try PostgresConnection(settings).query(
      "select count(*), bool_and(active) from smartcontent.pipelines where name = 't_migration'")
    #expect(result.int8(0, 0) == 1 && result.bool(0, 1))
  }

  @Test("a stream is claimed while others make tables, where those of its pipeline are made")
  func madeBefore() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_made")
    let made = MadeTables()
    try PostgresViewStore(settings, pipeline: pipeline, made: made).migrate()
    let other = try PostgresConnection(settings)
    try other.execute("begin; select pg_advisory_xact_lock(\(0x736d_6172_7463_6f6e))")
    let claim = try PostgresViewStore(settings, pipeline: pipeline, made: made).claim(
      Sample.stream(), owner: "test")
    #expect(claim.epoch == 1)
    try other.execute("rollback")
  }

  @Test("another declaration under the same name and version is refused")
  func otherPipeline() async throws {
    let settings = try await ViewServers.postgres()
    let first = PipelineSpec(name: "t_other")
    let second = PipelineSpec(name: "t_other", allowedDisorder: 1)
    try PostgresViewStore(settings, pipeline: first).migrate()
    #expect(throws: ViewStoreError.otherPipeline(stored: first.hash, declared: second.hash)) {
      _ = try PostgresViewStore(settings, pipeline: second).claim(Sample.stream(), owner: "test")
    }
    try PostgresViewStore(settings, pipeline: PipelineSpec(name: "t_other", version: 2)).migrate()
  }

  @Test("a name that is no identifier is refused", arguments: ["", "A", "a-b", "a.b", "ä", "a;b"])
  func names(_ name: String) {
    #expect(throws: ViewStoreError.self) {
      _ = try PostgresViewStore(
        PostgresSettings(connection: ""), pipeline: PipelineSpec(name: name))
    }
  }

  @Test("what was committed is what the next owner gets")
  func claimReturnsCommitted() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_claim")
    let first = try Owner(settings, pipeline, Sample.stream())
    try first.claim()
    #expect(first.epoch == 1 && first.checkpoint == Checkpoint())
    var accounting = Accounting()
    accounting.received = 21
    accounting.onTime = 1
    accounting.late = 2
    accounting.tooLate = 3
    accounting.duplicate = 4
    accounting.rejected = 11
    accounting.clampedFuture = 6
    try first.commit { batch in
      batch.accounting = accounting
      batch.checkpoint.sequence = .max >> 1
      batch.checkpoint.fingerprint = .init(checksum: .max, storedAt: -5)
      batch.checkpoint.logTime = Sample.day
      batch.checkpoint.watermark = Sample.day - 1
      batch.checkpoint.coarseSequence = 7
      batch.checkpoint.lastDeltaSequence = 8
      batch.checkpoint.seams[.tenSeconds] = Sample.day
      batch.checkpoint.seams[.day] = Sample.day - 86_400_000_000
    }
    let (epoch, checkpoint, stored) = try PostgresViewStore(settings, pipeline: pipeline).claim(
      Sample.stream(), owner: "test")
    #expect(epoch == 2 && checkpoint == first.checkpoint && stored == accounting)
  }

  @Test("an owner whose stream was taken over is fenced and writes nothing")
  func fencing() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_fencing")
    let entry = Sample.entry(Sample.tuple("c1"))
    let old = try Owner(settings, pipeline, Sample.stream())
    let new = try Owner(settings, pipeline, Sample.stream())
    try old.claim()
    try old.commit()
    try new.claim()
    #expect(throws: ViewStoreError.fenced(stream: "events-00")) {
      try old.commit {
        $0.dimensions = [entry]
        $0.rows = [Sample.row(.hour, Sample.day, entry, impressions: 1)]
      }
    }
    try new.commit()
    let reader = try PostgresConnection(settings)
    #expect(try reader.query("select count(*) from p_t_fencing_1.metrics_1h").int8(0, 0) == 0)
    #expect(
      try reader.query("select sequence from p_t_fencing_1.checkpoints").int8(0, 0) == 2)
  }

  @Test("a commit on another sequence than the stored one is fenced")
  func wrongSequence() async throws {
    let owner = try Owner(
      try await ViewServers.postgres(), PipelineSpec(name: "t_sequence"), Sample.stream())
    try owner.claim()
    var batch = CommitBatch()
    batch.checkpoint.sequence = 9
    #expect(throws: ViewStoreError.fenced(stream: "events-00")) {
      try owner.store.commit(batch, stream: owner.stream, epoch: owner.epoch, previous: 5)
    }
  }

  @Test("absolute rows replace, deltas add, and each counts once")
  func absoluteAndDelta() async throws {
    let settings = try await ViewServers.postgres()
    let owner = try Owner(settings, PipelineSpec(name: "t_rows"), Sample.stream())
    try owner.claim()
    let entry = Sample.entry(Sample.tuple("c1", currency: "EUR"))
    for impressions in [5, 7] as [Int64] {
      try owner.commit {
        $0.dimensions = [entry]
        $0.rows = WindowLevel.allCases.map {
          Sample.row($0, Sample.day, entry, impressions: impressions, isFinal: false)
        }
      }
    }
    // Twice in one batch, and once more in the next; then one for a row that does not exist.
    for _ in 0..<2 {
      try owner.commit {
        let delta = Sample.row(.hour, Sample.day, entry, impressions: 10, revenue: -3, revision: 1)
        $0.deltas = [delta, delta]
      }
    }
    try owner.commit {
      $0.deltas = [
        Sample.row(.hour, Sample.day + 3_600_000_000, entry, impressions: 1, revision: 1)
      ]
    }
    let result = try PostgresConnection(settings).query(
      """
      select impressions, clicks, revenue_micros, revision, final from p_t_rows_1.metrics_1h
      order by window_start
      """)
    #expect(result.rowCount == 2)
    #expect(result.int8(0, 0) == 47 && result.int8(0, 1) == 10 && result.int8(0, 2) == -12)
    #expect(result.int4(0, 3) == 4 && result.bool(0, 4))
    #expect(result.int8(1, 0) == 1 && result.int4(1, 3) == 1 && result.bool(1, 4))
    let fine = try PostgresConnection(settings).query(
      "select impressions, final from p_t_rows_1.metrics_10s")
    #expect(fine.rowCount == 1 && fine.int8(0, 0) == 7 && !fine.bool(0, 1))
  }

  @Test("money beyond Int64 ends there: it is neither refused nor of the wrong sign")
  func endlessMoney() async throws {
    let settings = try await ViewServers.postgres()
    let owner = try Owner(settings, PipelineSpec(name: "t_money"), Sample.stream())
    try owner.claim()
    let entry = Sample.entry(Sample.tuple("c1", currency: "EUR"))
    for _ in 0..<2 {
      try owner.commit {
        let delta = Sample.row(.hour, Sample.day, entry, impressions: 1, revenue: .max / 3 * 2)
        $0.dimensions = [entry]
        $0.deltas = [delta, delta]
      }
    }
    let result = try PostgresConnection(settings).query(
      "select impressions, revenue_micros from p_t_money_1.metrics_1h")
    #expect(result.int8(0, 0) == 4 && result.int8(0, 1) == .max)
    try owner.commit {
      $0.deltas = [Sample.row(.hour, Sample.day, entry, impressions: 1, revenue: -5)]
    }
    let later = try PostgresConnection(settings).query(
      "select revenue_micros from p_t_money_1.metrics_1h")
    #expect(later.int8(0, 0) == .max - 5)
  }

  @Test("two tuples under one id are refused, before anything of the commit is written")
  func collision() async throws {
    let settings = try await ViewServers.postgres()
    let owner = try Owner(settings, PipelineSpec(name: "t_collision"), Sample.stream())
    try owner.claim()
    let first = Sample.entry(Sample.tuple("c1"))
    let second = DimensionEntry(id: first.id, encoded: Sample.tuple("c2").encoded)
    let third = DimensionEntry(id: first.id + 1, encoded: first.encoded)
    try owner.commit { $0.dimensions = [first] }
    for clashing in [second, third] {
      // An owner that has not seen the first tuple itself.
      let other = try Owner(settings, PipelineSpec(name: "t_collision"), Sample.stream(1))
      try other.claim()
      do {
        try other.commit { $0.dimensions = [clashing] }
        Issue.record("id \(clashing.id) stands for two tuples")
      } catch ViewStoreError.refused(let text) {
        #expect(text.contains("\(clashing.id)"))
      }
      #expect(other.checkpoint.sequence == 0)
    }
    do {
      let fresh = try Owner(settings, PipelineSpec(name: "t_collision"), Sample.stream(2))
      try fresh.claim()
      try fresh.commit {
        let one = Sample.entry(Sample.tuple("c3"))
        $0.dimensions = [one, DimensionEntry(id: one.id, encoded: second.encoded)]
      }
      Issue.record("both are in one batch")
    } catch ViewStoreError.refused {}
  }

  @Test("U+0000, bytes that are not UTF-8 and odd Unicode keep tuples apart and come back")
  func oddText() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_text")
    let owner = try Owner(settings, pipeline, Sample.stream())
    try owner.claim()
    let texts = [
      "a\0b", "a\u{10FFFD}00b", "\0", "\u{10FFFD}", "é", "e\u{301}", "𝔘𝔫𝔦\u{202E}", "'\"\\;--",
      String(repeating: "x", count: Dimension.bytesMax), "\u{FFFD}",
    ]
    var entries = texts.map { Sample.entry(Sample.tuple($0)) }
    var broken: [UInt8] = []
    for value in [Array("default".utf8), [], [0x61, 0xff, 0xed, 0xa0, 0x80], [], [], []] {
      broken += [UInt8(value.count), 0] + value
    }
    entries.append(
      DimensionEntry(
        id: broken.withUnsafeBytes { DimensionTuple.identifier(encoded: $0) }, encoded: broken))
    try owner.commit { batch in
      batch.dimensions = entries
      batch.rows = entries.enumerated().map {
        Sample.row(.hour, Sample.day, $1, impressions: Int64($0) + 1)
      }
      batch.checkpoint.seams[.hour] = .max
    }
    let reader = try PostgresViewReader(settings, pipeline: pipeline)
    let all = try await reader.read(
      selection(groupBy: [.content]), belowSeams: true)
    // As bytes: "é" and "e\u{301}" are equal strings.
    var found: [[UInt8]: Int64] = [:]
    for group in all.groups { found[Array(group.dimensions[0].utf8)] = group.counts.impressions }
    for (index, text) in texts.enumerated() {
      #expect(found[Array(text.utf8)] == Int64(index) + 1, "\(text.debugDescription)")
    }
    #expect(all.groups.count == entries.count)
    #expect(
      found[Array("a\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}".utf8)] == Int64(entries.count))
    for text in texts {
      let one = try await reader.read(
        selection(
          groupBy: [],
          filters: [DimensionFilter(operation: .isAnyOf, dimension: .content, values: [text])]),
        belowSeams: true)
      let index = texts.firstIndex { Array($0.utf8) == Array(text.utf8) } ?? -2
      #expect(one.groups.map(\.counts.impressions) == [Int64(index) + 1])
    }
  }

  private func selection(
    groupBy: [Dimension], filters: [DimensionFilter] = []
  ) -> ViewSelection {
    ViewSelection(
      site: "default",
      segments: [
        Segment(level: .hour, from: Sample.day, to: Sample.day + 86_400_000_000)
      ], filters: filters, groupBy: groupBy, buckets: [])
  }

  @Test("60,000 rows and years of time partitions are one commit")
  func largeCommit() async throws {
    let settings = try await ViewServers.postgres()
    let owner = try Owner(settings, PipelineSpec(name: "t_large"), Sample.stream())
    try owner.claim()
    let entries = (0..<1_000).map { Sample.entry(Sample.tuple("c\($0)")) }
    try owner.commit { batch in
      batch.dimensions = entries
      for window in 0..<60 as Range<Int64> {
        // Five months apart: 25 years of hour rows.
        let start = Sample.day - window * 5 * 30 * 86_400_000_000
        batch.rows += entries.map { Sample.row(.hour, start, $0, impressions: window) }
      }
    }
    let connection = try PostgresConnection(settings)
    let sums = try connection.query(
      "select count(*), sum(impressions)::int8 from p_t_large_1.metrics_1h")
    #expect(sums.int8(0, 0) == 60_000 && sums.int8(0, 1) == 1_000 * 1_770)
    let tables = try connection.query(
      "select count(distinct tableoid) from p_t_large_1.metrics_1h")
    #expect(tables.int8(0, 0) > 20)
  }

  @Test("times far from ours have tables, too")
  func distantTimes() async throws {
    let settings = try await ViewServers.postgres()
    let owner = try Owner(settings, PipelineSpec(name: "t_distant"), Sample.stream())
    try owner.claim()
    let entry = Sample.entry(Sample.tuple("c"))
    let years: [Int64] = [
      -60_000_000_000, 0, 946_684_799, 946_684_800, 4_102_444_799, 4_102_444_800, 99_000_000_000,
    ]
    let starts = years.map { WindowLevel.hour.start(of: $0 * 1_000_000) }
    try owner.commit { batch in
      batch.dimensions = [entry]
      batch.rows = starts.map { Sample.row(.hour, $0, entry, impressions: 1) }
    }
    let result = try PostgresConnection(settings).query(
      "select window_start, tableoid::regclass::text from p_t_distant_1.metrics_1h order by 1")
    #expect((0..<result.rowCount).map { result.timestamptz($0, 0) } == starts)
    #expect(
      (0..<result.rowCount).map { result.text($0, 1).split(separator: "_1h_")[1] } == [
        "before", "before", "before", "2000", "2099", "after", "after",
      ])
    #expect(throws: ViewStoreError.self) {
      try owner.commit { $0.rows = [Sample.row(.hour, .min, entry, impressions: 1)] }
    }
  }

  @Test(
    "fine rows are dropped after their retention in log time, and a table that is missed is made again"
  )
  func retention() async throws {
    let settings = try await ViewServers.postgres()
    let owner = try Owner(settings, PipelineSpec(name: "t_retention"), Sample.stream())
    let slow = try Owner(settings, PipelineSpec(name: "t_retention"), Sample.stream(1))
    try owner.claim()
    try slow.claim()
    let entry = Sample.entry(Sample.tuple("c"))
    let length: Int64 = 86_400_000_000
    let connection = try PostgresConnection(settings)
    func days(_ level: WindowLevel) throws -> Int64 {
      try connection.query(
        "select count(distinct window_start) from p_t_retention_1.metrics_\(level.name)"
      ).int8(0, 0)
    }
    for day in 0..<5 as Range<Int64> {
      try owner.commit { batch in
        batch.dimensions = [entry]
        batch.checkpoint.logTime = Sample.day + (day + 1) * length
        batch.rows = WindowLevel.allCases.map {
          Sample.row($0, Sample.day + day * length, entry, impressions: 1)
        }
      }
    }
    // The slow stream's log time is unknown: nothing may go.
    #expect(try days(.tenSeconds) == 5)
    // A table that somebody looks at (autovacuum) is left for the next sweep.
    var sweeps: Int64 = 0
    while try days(.tenSeconds) > 2, sweeps < 100 {
      sweeps += 1
      try slow.commit { $0.checkpoint.logTime = Sample.day + 5 * length + sweeps * 60_000_000 }
    }
    #expect(try days(.tenSeconds) == 2)
    #expect(try days(.minute) == 5)
    #expect(try days(.day) == 5)
    // `owner` believes that the first day's table is there.
    try owner.commit {
      $0.rows = [Sample.row(.tenSeconds, Sample.day, entry, impressions: 1)]
    }
    #expect(try days(.tenSeconds) == 3)
  }

  @Test("late events are kept once, in their place")
  func lateEvents() async throws {
    let settings = try await ViewServers.postgres()
    let owner = try Owner(settings, PipelineSpec(name: "t_late"), Sample.stream())
    try owner.claim()
    for _ in 0..<2 {
      try owner.commit { batch in
        batch.lateEvents = (0..<10_000).map {
          LateEvent(
            sequence: 3, index: $0, eventTime: $0 == 0 ? .min : Sample.day, kind: 5,
            dimensionID: 7, revenueMicros: 9)
        }
      }
    }
    let result = try PostgresConnection(settings).query(
      "select count(*), sum(revenue_micros)::int8 from p_t_late_1.late_events")
    #expect(result.int8(0, 0) == 10_000 && result.int8(0, 1) == 90_000)
  }

  @Test("dead letters have a checkpoint and accounting but no rows")
  func deadLetters() async throws {
    let settings = try await ViewServers.postgres()
    let stream = StreamPartition(stream: "dead-letters", generation: 1, partition: -1)
    let owner = try Owner(settings, PipelineSpec(name: "t_dead"), stream)
    try owner.claim()
    try owner.commit { $0.accounting.rejected = 3 }
    try owner.claim()
    #expect(owner.epoch == 2 && owner.checkpoint.sequence == 1)
    let reader = try PostgresViewReader(settings, pipeline: PipelineSpec(name: "t_dead"))
    #expect(try await reader.accounting().rejected == 3)
    #expect(try await reader.checkpoints().keys.first == stream)
  }

  @Test("a store without its server is unavailable at once and works again when it is back")
  func unavailable() async throws {
    let pipeline = PipelineSpec(name: "t_away")
    let nobody = PostgresSettings(connection: "postgresql://x@127.0.0.1:1/x")
    let away = try PostgresViewStore(nobody, pipeline: pipeline)
    do {
      _ = try away.claim(Sample.stream(), owner: "test")
      Issue.record("there is nobody")
    } catch ViewStoreError.unavailable {}

    let settings = try await ViewServers.postgres()
    let owner = try Owner(settings, pipeline, Sample.stream())
    try owner.claim()
    let other = try PostgresConnection(settings)
    try other.execute(
      """
      with idle as materialized (
        select pid from pg_stat_activity
        where query like '%p_t_away_1%' and pid <> pg_backend_pid())
      select pg_terminate_backend(pid, 5000) from idle
      """)
    var failures = 0
    while failures < 5 {
      do {
        try owner.commit()
        break
      } catch ViewStoreError.unavailable {
        failures += 1
      }
    }
    #expect(failures <= 1 && owner.checkpoint.sequence == 1)
  }
}
