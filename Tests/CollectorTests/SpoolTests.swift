import Foundation
import Synchronization
import Testing

@testable import Collector

@Suite("Spool")
struct SpoolTests {
  private static func frame(_ number: Int, bytes: Int = 100) -> [UInt8] {
    [UInt8](repeating: UInt8(number % 256), count: bytes)
  }

  private static func add(
    _ spool: Spool, _ numbers: Range<Int>, stream: String = "st", bytes: Int = 100
  ) throws {
    for number in numbers {
      let isTaken = try spool.append(
        stream: stream, messageID: "m\(number)", frame: frame(number, bytes: bytes),
        nowMicros: Int64(number + 1))
      #expect(isTaken)
    }
    try spool.commit()
  }

  /// Drains everything of a stream.
  private static func drain(_ spool: Spool, stream: String = "st") -> [String] {
    var ids: [String] = []
    while let (id, content) = spool.next(of: stream, nowMicros: 0) {
      spool.published(id, of: stream, messages: 1)
      #expect(spool.stored(id, of: stream))
      ids.append(content.messageID)
    }
    return ids
  }

  private static func ids(_ numbers: Range<Int>) -> [String] { numbers.map { "m\($0)" } }

  @Test("Frames come out in order with their bytes, and leave no file")
  func order() async throws {
    try await withFolder { folder in
      let spool = try openSpool(folder)
      try Self.add(spool, 0..<10)
      try Self.add(spool, 10..<12, stream: "other")
      #expect(spool.gauges.frames.load(ordering: .relaxed) == 12)
      #expect(spool.gauges.oldestAt.load(ordering: .relaxed) == 1)
      let first = try #require(spool.next(of: "st", nowMicros: 0))
      #expect(first.content.frame == Self.frame(0))
      #expect(first.content.stream == "st")
      spool.published(first.id, of: "st", messages: 1)
      #expect(spool.next(of: "st", nowMicros: 0) == nil, "one alone tries")
      #expect(spool.stored(first.id, of: "st"))
      #expect(Self.drain(spool) == Self.ids(1..<10))
      #expect(Self.drain(spool, stream: "other") == Self.ids(10..<12))
      #expect(spool.isEmpty)
      #expect(spool.gauges.bytes.load(ordering: .relaxed) == 0)
      #expect(try spoolFiles(folder).isEmpty)
    }
  }

  @Test("What is not drained is there after a restart, in order over several files")
  func restart() async throws {
    try await withFolder { folder in
      do {
        let spool = try openSpool(folder)
        try Self.add(spool, 0..<40, bytes: 20_000)
        for _ in 0..<10 {
          let (id, _) = try #require(spool.next(of: "st", nowMicros: 0))
          spool.published(id, of: "st", messages: 1)
          _ = spool.stored(id, of: "st")
        }
      }
      #expect(try spoolFiles(folder).count > 2)
      let spool = try openSpool(folder)
      #expect(spool.gauges.frames.load(ordering: .relaxed) == 30)
      try Self.add(spool, 40..<42)
      #expect(Self.drain(spool) == Self.ids(10..<42))
      #expect(try spoolFiles(folder).isEmpty)
    }
  }

  @Test("A torn end is cut off and all whole frames are kept, wherever it was torn")
  func torn() async throws {
    try await withFolder { folder in
      do { try Self.add(try openSpool(folder), 0..<3) }
      let path = try #require(spoolFiles(folder).first)
      let whole = try Data(contentsOf: URL(filePath: path))
      let record = (whole.count - SpoolSegment.magic.count) / 3
      for length in 0..<whole.count {
        try whole.prefix(length).write(to: URL(filePath: path))
        let kept = max(0, length - SpoolSegment.magic.count) / record
        do {
          let spool = try openSpool(folder)
          #expect(spool.gauges.frames.load(ordering: .relaxed) == kept)
          let isTorn =
            length < SpoolSegment.magic.count
            ? length > 0 : (length - SpoolSegment.magic.count) % record != 0
          #expect((spool.gauges.tornBytes.load(ordering: .relaxed) > 0) == isTorn)
          #expect(Self.drain(spool) == Self.ids(0..<kept))
        }
      }
    }
  }

  @Test("A damaged frame is passed over and the ones behind it are kept")
  func damaged() async throws {
    try await withFolder { folder in
      do { try Self.add(try openSpool(folder), 0..<3) }
      let path = try #require(spoolFiles(folder).first)
      var bytes = try Data(contentsOf: URL(filePath: path))
      let record = (bytes.count - SpoolSegment.magic.count) / 3
      bytes[SpoolSegment.magic.count + record + record - 1] ^= 1
      try bytes.write(to: URL(filePath: path))
      let spool = try openSpool(folder)
      #expect(spool.gauges.damagedFrames.load(ordering: .relaxed) == 1)
      #expect(Self.drain(spool) == ["m0", "m2"])
    }
  }

  @Test(
    "Behind a damaged length, state or magic the frames are found again",
    arguments: [
      (offset: 0, kept: ["m0", "m1", "m2"]), (offset: 8, kept: ["m1", "m2"]),
      (offset: 11, kept: ["m1", "m2"]), (offset: 28, kept: ["m1", "m2"]),
      (offset: 16, kept: ["m0", "m1", "m2"]),
    ])
  func damagedHead(offset: Int, kept: [String]) async throws {
    try await withFolder { folder in
      do { try Self.add(try openSpool(folder), 0..<3) }
      let path = try #require(spoolFiles(folder).first)
      var bytes = try Data(contentsOf: URL(filePath: path))
      bytes[offset] ^= 0x40
      try bytes.write(to: URL(filePath: path))
      let spool = try openSpool(folder)
      let isState = (16..<20).contains(offset)
      #expect(spool.gauges.damagedFrames.load(ordering: .relaxed) == (isState ? 0 : 1))
      #expect(spool.gauges.tornBytes.load(ordering: .relaxed) == 0)
      #expect(Self.drain(spool) == kept)
    }
  }

  @Test(
    "Whatever a file holds, only frames that were written come out of it", arguments: UInt64(1)...8)
  func changed(seed: UInt64) {
    var random = SplitMix(seed: seed)
    func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    let records = (0..<6).map { number in
      SpoolSegment.encode(
        .init(stream: "st", messageID: "m\(number)", frame: Self.frame(number, bytes: 40)),
        writtenAt: Int64(number))
    }
    let written = SpoolSegment.magic + records.joined()
    for _ in 0..<500 {
      var bytes = written
      for _ in 0...below(3) {
        switch below(4) {
        case 0: bytes.removeLast(below(bytes.count))
        case 1: bytes.insert(UInt8(below(256)), at: below(bytes.count + 1))
        case 2: bytes += records[below(records.count)].prefix(below(90))
        default: if !bytes.isEmpty { bytes[below(bytes.count)] ^= UInt8(1 << below(8)) }
        }
        if bytes.isEmpty { break }
      }
      let (findings, end) = bytes.withUnsafeBytes { SpoolSegment.scan($0) }
      #expect(end + findings.tornByteCount == bytes.count)
      for (stream, record) in findings.waiting {
        var found = Array(bytes[record.offset..<record.offset + record.byteCount])
        // The state alone is not of what was written.
        found.replaceSubrange(8..<12, with: [0, 0, 0, 0])
        #expect(stream == "st" && records.contains(found), "seed \(seed)")
      }
    }
  }

  @Test("It is never longer than its limit, and takes frames again once some are drained")
  func bounded() async throws {
    try await withFolder { folder in
      let spool = try openSpool(folder)
      var count = 0
      while try spool.append(
        stream: "st", messageID: "m\(count)", frame: Self.frame(count, bytes: 30_000),
        nowMicros: 1)
      {
        count += 1
        try spool.commit()
      }
      #expect(count > 25)
      #expect(spool.gauges.isFull.load(ordering: .relaxed) == true)
      var size = 0
      for path in try spoolFiles(folder) {
        size += try Data(contentsOf: URL(filePath: path)).count
      }
      #expect(size <= 1 << 20)
      #expect(size == spool.gauges.bytes.load(ordering: .relaxed))
      #expect(Self.drain(spool).count == count)
      try Self.add(spool, 0..<1)
    }
  }

  @Test("A folder that cannot be written fails frames, and takes them again once it can")
  func gone() async throws {
    try await withFolder { folder in
      let path = folder + "/spool"
      let spool = try openSpool(path)
      try FileManager.default.removeItem(atPath: path)
      #expect(throws: SpoolError.self) { try Self.add(spool, 0..<1) }
      #expect(spool.gauges.isFull.load(ordering: .relaxed) == true)
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try Self.add(spool, 1..<2)
      #expect(Self.drain(spool) == ["m1"])
    }
  }

  @Test("Two collectors cannot have the same folder; a limit out of range is refused")
  func refusals() async throws {
    try await withFolder { folder in
      let spool = try openSpool(folder + "/made/here")
      #expect(throws: SpoolError.inUse(folder: folder + "/made/here")) {
        try openSpool(folder + "/made/here")
      }
      #expect(throws: SpoolError.bytesMax(value: 1, allowed: Spool.bytesMaxRange)) {
        try openSpool(folder + "/small", bytesMax: 1)
      }
      #expect(spool.isEmpty)
    }
  }

  @Test(
    "Collectors of one machine share a folder: each has a part, and what one left is taken over")
  func shared() async throws {
    try await withFolder { folder in
      func open() throws -> Spool {
        try Spool.first(in: folder, bytesMax: 1 << 20, log: RunningCollector.quietLog)
      }
      let first = try open()
      let second = try open()
      let third = try open()
      #expect([first, second, third].map(\.folder) == [folder, folder + "/2", folder + "/3"])
      try Self.add(first, 0..<1)
      try Self.add(second, 1..<3)
      second.close()
      let again = try open()
      #expect(again.folder == folder + "/2")
      #expect(Self.drain(again) == Self.ids(1..<3))
      #expect(Self.drain(first) == Self.ids(0..<1))
      // What is wrong with a folder is said, and not worked around.
      #expect(throws: SpoolError.bytesMax(value: 1, allowed: Spool.bytesMaxRange)) {
        try Spool.first(in: folder, bytesMax: 1, log: RunningCollector.quietLog)
      }
      #expect(third.isEmpty)
    }
  }

  @Test("After a failure all that was not stored goes again in order, one alone first")
  func failure() async throws {
    try await withFolder { folder in
      let spool = try openSpool(folder)
      try Self.add(spool, 0..<6)
      func next(_ now: Int64) -> (id: UInt64, name: String)? {
        guard let (id, content) = spool.next(of: "st", nowMicros: now) else { return nil }
        spool.published(id, of: "st", messages: 1)
        return (id, content.messageID)
      }
      let first = try #require(next(0))
      #expect(spool.stored(first.id, of: "st"))
      let out = (0..<4).compactMap { _ in next(0) }
      #expect(out.map { $0.name } == Self.ids(1..<5))
      #expect(next(0) == nil, "four are out")
      spool.failed(out[0].id, of: "st", pauseUntil: 100)
      #expect(spool.stored(out[1].id, of: "st"))
      #expect(next(200) == nil, "two are still out")
      spool.failed(out[2].id, of: "st", pauseUntil: 100)
      spool.failed(out[3].id, of: "st", pauseUntil: 100)
      #expect(next(99) == nil)
      let again = try #require(next(100))
      #expect(again.name == "m1")
      #expect(next(100) == nil, "one alone tries")
      #expect(spool.stored(again.id, of: "st"))
      #expect(Self.drain(spool) == ["m3", "m4", "m5"])
      #expect(spool.isEmpty)
    }
  }
}
