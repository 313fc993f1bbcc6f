import Dataflow
import Events
import Ports
import PostgresViews
import RedisClient
import RedisViews
import Testing
import Views

/// One after the other: some of them empty the whole server.
@Suite("Redis hot copy", .serialized)
struct RedisViewsTests {
  private func header(
    epoch: Int64 = 1, sequence: UInt64 = 1, copy: Int64 = 1
  ) -> HotHeader {
    HotHeader(
      epoch: epoch, sequence: sequence, lastDeltaSequence: 2, committedSequence: 3, copy: copy,
      isComplete: true, logTime: Sample.day, watermark: .min, seams: Seams())
  }

  private func row(
    _ level: WindowLevel, _ index: Int64, _ content: String, _ impressions: Int64
  ) -> HotRow {
    let entry = Sample.entry(Sample.tuple(content))
    return HotRow(
      row: Sample.row(
        level, Sample.day + index * level.length, entry, impressions: impressions,
        revenue: -impressions, revision: 3, isFinal: impressions % 2 == 0),
      tuple: entry.encoded)
  }

  private func everything(from: Int64 = Sample.day, to: Int64 = .max) -> [Segment] {
    WindowLevel.allCases.map { Segment(level: $0, from: from, to: to) }
  }

  private func open(
    _ name: String
  ) async throws -> (RedisHotStore, RedisViewReader, RedisConnection) {
    let settings = try await ViewServers.redis()
    let pipeline = PipelineSpec(name: name)
    return (
      RedisHotStore(settings, pipeline: pipeline),
      RedisViewReader(settings, pipeline: pipeline, generation: 1), try RedisConnection(settings)
    )
  }

  private func keys(_ name: String, _ connection: RedisConnection) throws -> [String] {
    try connection.command("KEYS", "sc:{\(name)_1:*").array?.compactMap(\.text).sorted() ?? []
  }

  @Test("a copy comes back as it was written, whatever bytes its tuples have")
  func roundTrip() async throws {
    let (store, reader, _) = try await open("h_round")
    let texts = ["", "a b", "a\0b", "\r\n", "é", "e\u{301}", "\u{10FFFD}", "🐎"]
    let extremes = [
      HotRow(
        row: WindowRow(
          level: .day, start: -86_400_000_000, dimensionID: 0,
          counts: Counts(
            impressions: .max, views: .min, clicks: 0, engagements: -1, conversions: 1,
            revenueMicros: .min), revision: .max, isFinal: false),
        tuple: Sample.tuple("x").encoded)
    ].map { row in
      var row = row
      row.row.dimensionID = row.tuple.withUnsafeBytes { DimensionTuple.identifier(encoded: $0) }
      return row
    }
    let rows =
      WindowLevel.allCases.flatMap { level in
        texts.enumerated().map { row(level, Int64($0), $1, Int64($0)) }
      } + extremes
    #expect(try store.header(of: Sample.stream()) == nil)
    try store.rebuild(rows, stream: Sample.stream(), header: header())
    #expect(try store.header(of: Sample.stream()) == header())
    let answer = try await reader.read(
      segments: everything(from: -86_400_000_000), seams: [0: Seams()])
    #expect(Set(answer.rows) == Set(rows) && answer.rows.count == rows.count)
    #expect(answer.headers == [0: header()])
    #expect(try await reader.headers(partitions: [0, 1, 2]) == [0: header()])
  }

  @Test("rows that a question is not about are left out, and the watermark says which are final")
  func filtered() async throws {
    let (store, reader, _) = try await open("h_filtered")
    let rows = ["a", "b"].flatMap { [row(.tenSeconds, 0, $0, 1), row(.tenSeconds, 1, $0, 1)] }
    var header = header()
    header.watermark = Sample.day + WindowLevel.tenSeconds.length
    try store.rebuild(rows, stream: Sample.stream(), header: header)
    var selection = ViewSelection(
      site: Sample.tuple("a").site, segments: everything(),
      filters: [DimensionFilter(operation: .isAnyOf, dimension: .content, values: ["a"])],
      groupBy: [], buckets: [])
    let found = try await reader.read(
      segments: selection.segments, seams: [0: Seams()], filter: TupleFilter(selection))
    #expect(found.headers == [0: header])
    #expect(found.rows.map(\.tuple) == [rows[0].tuple, rows[0].tuple])
    #expect(found.rows.map(\.row.isFinal) == [true, false])
    selection.site = "nobody's"
    let none = try await reader.read(
      segments: selection.segments, seams: [0: Seams()], filter: TupleFilter(selection))
    #expect(none.rows.isEmpty && none.headers == [0: header])
  }

  @Test("an update replaces rows, adds new ones and removes windows before the bound")
  func update() async throws {
    let (store, reader, connection) = try await open("h_update")
    try store.rebuild(
      (0..<5).map { row(.tenSeconds, $0, "c", 1) } + [row(.minute, 0, "c", 7)],
      stream: Sample.stream(), header: header())
    var keep = Seams()
    keep[.tenSeconds] = Sample.day + 2 * WindowLevel.tenSeconds.length
    try store.update(
      [row(.tenSeconds, 3, "c", 10), row(.tenSeconds, 3, "d", 11), row(.tenSeconds, 9, "c", 12)],
      stream: Sample.stream(), previous: header(), header: header(sequence: 2), keepFrom: keep)
    let answer = try await reader.read(segments: everything(), seams: [0: Seams()])
    #expect(
      Set(answer.rows)
        == [
          row(.tenSeconds, 2, "c", 1), row(.tenSeconds, 3, "c", 10), row(.tenSeconds, 3, "d", 11),
          row(.tenSeconds, 4, "c", 1), row(.tenSeconds, 9, "c", 12), row(.minute, 0, "c", 7),
        ])
    #expect(answer.headers[0]?.sequence == 2)
    // Four windows of 10 s, one of a minute, their two indexes, head, slots and the counter.
    #expect(try keys("h_update", connection).count == 10)
  }

  @Test("readers get windows of their range at or past each partition's seam")
  func seams() async throws {
    let (store, reader, _) = try await open("h_seams")
    for partition in 0..<3 {
      try store.rebuild(
        (0..<10).map { row(.tenSeconds, $0, "p\(partition)", 1) } + [row(.hour, 0, "c", 1)],
        stream: Sample.stream(partition), header: header())
    }
    let length = WindowLevel.tenSeconds.length
    var seams: [Int: Seams] = [0: Seams(), 1: Seams(), 2: Seams(), 5: Seams()]
    seams[1]?[.tenSeconds] = Sample.day + 5 * length
    seams[2]?[.tenSeconds] = Sample.day + 50 * length
    let answer = try await reader.read(
      segments: [
        Segment(level: .tenSeconds, from: Sample.day + 3 * length, to: Sample.day + 7 * length)
      ], seams: seams)
    let expected =
      (3..<7).map { row(.tenSeconds, $0, "p0", 1) }
      + (5..<7).map { row(.tenSeconds, $0, "p1", 1) }
    #expect(Set(answer.rows) == Set(expected) && answer.rows.count == 6)
    #expect(answer.headers.keys.sorted() == [0, 1, 2])
  }

  @Test("an update on another header than the stored one is stale and changes nothing")
  func stale() async throws {
    let (store, reader, _) = try await open("h_stale")
    func attempt(_ previous: HotHeader) throws {
      try store.update(
        [row(.hour, 0, "c", 9)], stream: Sample.stream(), previous: previous,
        header: header(sequence: 9), keepFrom: Seams())
    }
    #expect(throws: HotStoreError.stale) { try attempt(header()) }
    try store.rebuild([row(.hour, 0, "c", 1)], stream: Sample.stream(), header: header())
    var others = [header(sequence: 2), header(copy: 2)]
    for _ in 0..<4 { others.append(header()) }
    others[2].committedSequence = 4
    others[3].lastDeltaSequence = 9
    others[4].seams[.day] = 0
    others[5].watermark = 5
    for other in others {
      #expect(throws: HotStoreError.stale) { try attempt(other) }
    }
    let answer = try await reader.read(segments: everything(), seams: [0: Seams()])
    #expect(answer.rows == [row(.hour, 0, "c", 1)] && answer.headers == [0: header()])
    try attempt(header())
  }

  @Test("an owner with an older epoch is fenced, in updates and in rebuilds")
  func fencing() async throws {
    let (store, _, _) = try await open("h_fenced")
    let (newer, reader, _) = try await open("h_fenced")
    try store.rebuild([row(.hour, 0, "c", 1)], stream: Sample.stream(), header: header())
    try newer.rebuild(
      [row(.hour, 0, "c", 2)], stream: Sample.stream(), header: header(epoch: 2, copy: 2))
    #expect(throws: HotStoreError.fenced) {
      try store.update(
        [], stream: Sample.stream(), previous: header(), header: header(sequence: 2),
        keepFrom: Seams())
    }
    #expect(throws: HotStoreError.fenced) {
      try store.rebuild([], stream: Sample.stream(), header: header(copy: 9))
    }
    let answer = try await reader.read(segments: everything(), seams: [0: Seams()])
    #expect(answer.rows == [row(.hour, 0, "c", 2)])
  }

  @Test("of two owners that write the copy anew at once, that of the later epoch stays")
  func racingRebuilds() async throws {
    for round in 0..<5 {
      let name = "h_racing_\(round)"
      let (newer, reader, _) = try await open(name)
      // So many that they are written in pieces, with the other one's work in between.
      let rows = (0..<40_000).map { row(.tenSeconds, Int64($0), "c", 1) }
      let settings = try await ViewServers.redis()
      let header = header()
      let old = Task {
        try await onThread {
          try RedisHotStore(settings, pipeline: PipelineSpec(name: name)).rebuild(
            rows, stream: Sample.stream(), header: header)
        }
      }
      try newer.rebuild(
        [row(.hour, 0, "c", 2)], stream: Sample.stream(),
        header: self.header(epoch: 2, copy: 2))
      do {
        try await old.value
      } catch let error as HotStoreError {
        #expect(error == .fenced || error == .stale)
      }
      let answer = try await reader.read(segments: everything(), seams: [0: Seams()])
      #expect(answer.rows == [row(.hour, 0, "c", 2)] && answer.headers[0]?.epoch == 2)
    }
  }

  @Test("after FLUSHALL updates are stale, and a rebuild makes a complete copy")
  func flushed() async throws {
    let (store, reader, connection) = try await open("h_flush")
    try store.rebuild([row(.hour, 0, "c", 1)], stream: Sample.stream(), header: header())
    _ = try connection.command("FLUSHALL")
    _ = try connection.command("SCRIPT", "FLUSH")
    #expect(throws: HotStoreError.stale) {
      try store.update(
        [], stream: Sample.stream(), previous: header(), header: header(sequence: 2),
        keepFrom: Seams())
    }
    #expect(try await reader.headers(partitions: [0]).isEmpty)
    try store.rebuild([row(.hour, 0, "c", 5)], stream: Sample.stream(), header: header(copy: 2))
    let answer = try await reader.read(segments: everything(), seams: [0: Seams()])
    #expect(answer.rows == [row(.hour, 0, "c", 5)] && answer.headers == [0: header(copy: 2)])
  }

  @Test("a large copy is written in pieces, of which readers see nothing until the last one")
  func largeRebuild() async throws {
    let (store, reader, connection) = try await open("h_large")
    let old = [row(.hour, 0, "old", 1)]
    try store.rebuild(old, stream: Sample.stream(), header: header())
    let rows = (0..<30_000).map { row(.tenSeconds, Int64($0 % 7), "c\($0)", Int64($0)) }
    let settings = try await ViewServers.redis()
    async let written: Void = onThread {
      try RedisHotStore(settings, pipeline: PipelineSpec(name: "h_large")).rebuild(
        rows, stream: Sample.stream(), header: header(copy: 2))
    }
    var seen = 1
    while seen == 1 {
      let answer = try await reader.read(segments: everything(), seams: [0: Seams()])
      seen = answer.rows.count
      #expect(answer.headers[0]?.copy == (seen == 1 ? 1 : 2))
    }
    try await written
    #expect(seen == 30_000)
    // Only the new copy is left: 7 windows, an index, head, slots and the counter.
    #expect(try keys("h_large", connection).count == 11)
  }

  @Test("an update of as many rows as it may have is written whole")
  func largeUpdate() async throws {
    let (store, reader, _) = try await open("h_many")
    try store.rebuild([], stream: Sample.stream(), header: header())
    let rows = (0..<store.updateRowCountMax).map { row(.tenSeconds, 0, "c\($0)", 1) }
    try store.update(
      rows, stream: Sample.stream(), previous: header(), header: header(sequence: 2),
      keepFrom: Seams())
    #expect(
      try await reader.read(segments: everything(), seams: [0: Seams()]).rows.count
        == store.updateRowCountMax)
  }

  @Test("a rebuild that runs out of memory leaves the old copy, and the next one cleans up")
  func partialRebuild() async throws {
    let (store, reader, connection) = try await open("h_partial")
    let old = [row(.hour, 0, "old", 1)]
    try store.rebuild(old, stream: Sample.stream(), header: header())
    let info = try connection.command("INFO", "memory").text ?? ""
    let used = info.split(whereSeparator: \.isNewline).compactMap { line in
      line.hasPrefix("used_memory:") ? Int(line.dropFirst("used_memory:".count)) : nil
    }
    _ = try connection.command("CONFIG", "SET", "maxmemory", "\(used[0] + (4 << 20))")
    let rows = (0..<60_000).map { row(.tenSeconds, Int64($0 % 7), "c\($0)", 1) }
    do throws(HotStoreError) {
      try store.rebuild(rows, stream: Sample.stream(), header: header(copy: 2))
      Issue.record("60,000 rows fit into 4 MiB")
    } catch {
      guard case .full(let text) = error else { throw error }
      #expect(text.contains("maxmemory"))
    }
    #expect(try keys("h_partial", connection).count > 8)
    let answer = try await reader.read(segments: everything(), seams: [0: Seams()])
    #expect(answer.rows == old && answer.headers == [0: header()])
    _ = try connection.command("CONFIG", "SET", "maxmemory", "1gb")
    try store.rebuild(old, stream: Sample.stream(), header: header(copy: 2))
    // One window, an index, head, slots and the counter.
    #expect(try keys("h_partial", connection).count == 5)
  }

  @Test("a server that may evict keys is refused, by writers and readers")
  func eviction() async throws {
    let (_, _, connection) = try await open("h_evict")
    _ = try connection.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    let (store, reader, _) = try await open("h_evict")
    do throws(HotStoreError) {
      _ = try store.header(of: Sample.stream())
      Issue.record("the server may evict")
    } catch {
      guard case .refused(let text) = error else { throw error }
      #expect(text.contains("noeviction"))
    }
    await #expect(throws: ViewReadError.self) { try await reader.headers(partitions: [0]) }
    _ = try connection.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    #expect(try store.header(of: Sample.stream()) == nil)
    #expect(try await reader.headers(partitions: [0]).isEmpty)
  }

  @Test("a server that does not answer in time is unavailable, and what it did is not done twice")
  func slowServer() async throws {
    let (store, reader, connection) = try await open("h_slow")
    var settings = try await ViewServers.redis()
    settings.commandTimeoutMs = 50
    let hasty = RedisHotStore(settings, pipeline: PipelineSpec(name: "h_slow"))
    try store.rebuild([row(.hour, 0, "c", 1)], stream: Sample.stream(), header: header())
    #expect(try hasty.header(of: Sample.stream()) == header())
    _ = try connection.command("CLIENT", "PAUSE", "300", "WRITE")
    do throws(HotStoreError) {
      try hasty.update(
        [row(.hour, 0, "c", 2)], stream: Sample.stream(), previous: header(),
        header: header(sequence: 2), keepFrom: Seams())
      Issue.record("the server was paused")
    } catch {
      guard case .unavailable = error else { throw error }
    }
    _ = try connection.command("CLIENT", "UNPAUSE")
    // Done late or not at all: the store can't know and must not guess.
    let sequence = try await reader.headers(partitions: [0])[0]?.sequence
    #expect(sequence == 1 || sequence == 2)
    try store.rebuild([row(.hour, 0, "c", 2)], stream: Sample.stream(), header: header(copy: 2))
    let answer = try await reader.read(segments: everything(), seams: [0: Seams()])
    #expect(answer.rows == [row(.hour, 0, "c", 2)])
  }

  @Test("a copy of another declaration of the pipeline is none")
  func otherDeclaration() async throws {
    let settings = try await ViewServers.redis()
    let (store, _, _) = try await open("h_declared")
    try store.rebuild([], stream: Sample.stream(), header: header())
    let other = PipelineSpec(name: "h_declared", allowedDisorder: 1)
    let reader = RedisViewReader(settings, pipeline: other, generation: 1)
    #expect(try await reader.headers(partitions: [0]).isEmpty)
    let otherStore = RedisHotStore(settings, pipeline: other)
    #expect(try otherStore.header(of: Sample.stream()) == nil)
    let otherGeneration = RedisViewReader(
      settings, pipeline: PipelineSpec(name: "h_declared"), generation: 2)
    #expect(try await otherGeneration.headers(partitions: [0]).isEmpty)
  }

  @Test("nobody there is unavailable, for writers and readers")
  func unreachable() async throws {
    let settings = RedisSettings(port: 1, password: "geheim")
    let pipeline = PipelineSpec(name: "h_nobody")
    #expect(throws: HotStoreError.self) {
      try RedisHotStore(settings, pipeline: pipeline).header(of: Sample.stream())
    }
    do throws(ViewReadError) {
      _ = try await RedisViewReader(settings, pipeline: pipeline, generation: 1)
        .headers(partitions: [0])
      Issue.record("there is nobody")
    } catch {
      guard case .unavailable(let text) = error else { throw error }
      #expect(!text.contains("geheim"))
    }
  }

  @Test("Postgres below the seam and Redis from it on are every frame once, while both are written")
  func seam() async throws {
    let postgres = try await ViewServers.postgres()
    let redis = try await ViewServers.redis()
    let pipeline = PipelineSpec(name: "h_seam")
    try Owner(postgres, pipeline, Sample.stream()).claim()
    let frames: UInt64 = 300
    let length = WindowLevel.tenSeconds.length
    // One impression a frame, four frames a window; windows leave the state three windows later and
    // the hot copy two windows after that; a commit every five frames.
    async let written: Void = onThread {
      let owner = try Owner(postgres, pipeline, Sample.stream())
      try owner.claim()
      let store = RedisHotStore(redis, pipeline: pipeline)
      let entry = Sample.entry(Sample.tuple("c"))
      var last = header(epoch: owner.epoch, sequence: 0)
      try store.rebuild([], stream: Sample.stream(), header: last)
      for frame in 1...frames {
        let window = Int64(frame - 1) / 4
        var next = header(epoch: owner.epoch, sequence: frame)
        next.seams[.tenSeconds] = Sample.day + max(0, window - 3) * length
        var keep = Seams()
        keep[.tenSeconds] = Sample.day + max(0, window - 5) * length
        let count = Int64(frame - 1) % 4 + 1
        try store.update(
          [row(.tenSeconds, window, "c", count)], stream: Sample.stream(), previous: last,
          header: next, keepFrom: keep)
        last = next
        guard frame % 5 == 0 else { continue }
        try owner.commit { batch in
          batch.dimensions = [entry]
          batch.checkpoint.sequence = frame
          batch.checkpoint.seams = next.seams
          batch.rows = (max(0, window - 3)...window).map {
            Sample.row(
              .tenSeconds, Sample.day + $0 * length, entry, impressions: $0 == window ? count : 4)
          }
        }
      }
    }
    let durable = try PostgresViewReader(postgres, pipeline: pipeline)
    let hot = RedisViewReader(redis, pipeline: pipeline, generation: 1)
    let segment = Segment(
      level: .tenSeconds, from: Sample.day, to: Sample.day + 1_000 * length)
    let selection = ViewSelection(
      site: "default", segments: [segment], filters: [], groupBy: [], buckets: [])
    var seen: UInt64 = 0
    while seen < frames {
      let below = try await durable.read(selection, belowSeams: true)
      let seams = below.checkpoints[Sample.stream()]?.seams ?? Seams()
      let above = try await hot.read(segments: [segment], seams: [0: seams])
      guard let header = above.headers[0], header.epoch == 2 else { continue }
      // Had the copy moved on by five windows since, the question would have to be asked again.
      guard header.seams[.tenSeconds] < max(seams[.tenSeconds], Sample.day) + 2 * length else {
        continue
      }
      seen = header.sequence
      let sum =
        below.groups.reduce(0) { $0 + $1.counts.impressions }
        + above.rows.reduce(0) { $0 + $1.row.counts.impressions }
      #expect(sum == Int64(seen))
    }
    try await written
  }
}
