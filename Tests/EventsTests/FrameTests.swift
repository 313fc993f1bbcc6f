import Testing

@testable import Events

@Suite("Frames")
struct FrameTests {
  @Test("a frame gives back every event that went in", arguments: UInt64(1)...60)
  func roundTrip(seed: UInt64) throws {
    var maker = FrameMaker(seed: seed)
    var encoder = FrameEncoder()
    // The same encoder again and again: nothing may be left over from the frame before.
    for _ in 0..<3 {
      let count = Int.random(in: 0...40, using: &maker.random)
      let hasMoney = Bool.random(using: &maker.random)
      let hasSent = Bool.random(using: &maker.random)
      let hasUser = Bool.random(using: &maker.random)
      let events = (0..<count).map { _ in
        maker.event(hasMoney: hasMoney, hasSent: hasSent, hasUser: hasUser)
      }
      let header = maker.header(Bool.random(using: &maker.random) ? .events : .deadLetters)
      for event in events { encoder.append(event) }
      #expect(encoder.count == count)
      let bytes = encoder.seal(header)
      #expect(encoder.count == 0)
      #expect(try FrameContent(bytes: bytes) == FrameContent(header: header, events: events))
      var fresh = FrameEncoder()
      for event in events { fresh.append(event) }
      #expect(fresh.seal(header) == bytes)
      var again = FrameEncoder()
      try bytes.withUnsafeBytes { buffer in
        let view = try FrameView(buffer)
        for index in 0..<view.count { again.append(IncomingEvent(view, event: index)) }
      }
      #expect(again.seal(header) == bytes, "events read back are the same events")
    }
  }

  @Test("events with the same dimensions share one entry of the dictionary")
  func dictionary() throws {
    var maker = FrameMaker(seed: 7)
    var encoder = FrameEncoder()
    var event = maker.event()
    for _ in 0..<10 {
      event.key = maker.key()
      encoder.append(event)
    }
    let bytes = encoder.seal(maker.header())
    let tuples = try bytes.withUnsafeBytes { try FrameView($0).tupleCount }
    #expect(tuples == 1)
  }

  @Test("thousands of tuples and names have one number each, frame after frame")
  func manyTuples() throws {
    var maker = FrameMaker(seed: 8)
    var encoder = FrameEncoder()
    for frame in 1...2 {
      let events = (0..<3000).map { number in
        var event = maker.event()
        let place = number % (frame * 700)
        event.dimensions = DimensionTuple(site: "s", content: "content-\(place)").encoded
        event.name = "name \(place)"
        return event
      }
      for event in events { encoder.append(event) }
      let header = maker.header()
      let bytes = encoder.seal(header)
      #expect(try FrameContent(bytes: bytes) == FrameContent(header: header, events: events))
      let tuples = try bytes.withUnsafeBytes { try FrameView($0).tupleCount }
      #expect(tuples == frame * 700)
    }
  }

  @Test("tuples with the same checksum stay apart")
  func equalChecksums() throws {
    // Among so many some two have the same (the birthday paradox).
    var seen: [UInt32: [UInt8]] = [:]
    var pair: [[UInt8]] = []
    var number = 0
    while pair.isEmpty {
      number += 1
      let tuple = DimensionTuple(site: "s", content: "content-\(number)").encoded
      let checksum = tuple.withUnsafeBytes { CRC32C.checksum($0) }
      if let other = seen.updateValue(tuple, forKey: checksum) { pair = [other, tuple] }
    }
    var maker = FrameMaker(seed: 3)
    var encoder = FrameEncoder()
    let events = (0..<9).map { index in
      var event = maker.event()
      event.dimensions = pair[index % 2]
      return event
    }
    for event in events { encoder.append(event) }
    let header = maker.header()
    let bytes = encoder.seal(header)
    #expect(try FrameContent(bytes: bytes) == FrameContent(header: header, events: events))
    #expect(try bytes.withUnsafeBytes { try FrameView($0).tupleCount } == 2)
  }

  @Test("dimensions of no bytes are dimensions like others, also of the first event")
  func emptyDimensions() throws {
    var maker = FrameMaker(seed: 8)
    var encoder = FrameEncoder()
    var events = [maker.event(), maker.event(), maker.event()]
    events[0].dimensions = []
    events[2].dimensions = []
    for _ in 0..<2 {
      for event in events { encoder.append(event) }
      let header = maker.header()
      #expect(
        try FrameContent(bytes: encoder.seal(header))
          == FrameContent(header: header, events: events))
    }
  }

  @Test("a heartbeat has a header and no events")
  func heartbeat() throws {
    var maker = FrameMaker(seed: 1)
    let header = maker.header(.heartbeat)
    let bytes = FrameEncoder.heartbeat(header)
    #expect(bytes.count == FrameHeader.byteCount)
    #expect(try FrameContent(bytes: bytes) == FrameContent(header: header, events: []))
  }

  @Test("an event received hours before the others keeps the order")
  func farApart() throws {
    var maker = FrameMaker(seed: 2)
    var encoder = FrameEncoder()
    var first = maker.event()
    var second = first
    first.receivedAt = 1_000_000
    second.receivedAt = 9_000_000_000_000
    encoder.append(first)
    encoder.append(second)
    let content = try FrameContent(bytes: encoder.seal(maker.header()))
    #expect(content.events[0].receivedAt == 1_000_000)
    #expect(content.events[1].receivedAt == 1_000_000 + Int64(UInt32.max))
  }

  // MARK: Damage

  private func frame() -> [UInt8] {
    var maker = FrameMaker(seed: 3)
    var encoder = FrameEncoder()
    for _ in 0..<5 { encoder.append(maker.event()) }
    return encoder.seal(maker.header())
  }

  @Test("a frame with any one bit flipped is refused")
  func bitFlips() {
    let frame = frame()
    for bit in 0..<frame.count * 8 {
      var bytes = frame
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: FrameError.self, "bit \(bit)") { try FrameContent(bytes: bytes) }
    }
  }

  @Test("a frame that is cut anywhere, or has bytes after its end, is refused")
  func truncations() {
    let frame = frame()
    for count in 0..<frame.count {
      #expect(throws: FrameError.self) { try FrameContent(bytes: Array(frame[..<count])) }
    }
    #expect(throws: FrameError.self) { try FrameContent(bytes: frame + [0]) }
  }

  /// The checksum does not protect against a writer with a mistake, so every bound must hold by
  /// itself: the view refuses, or all that it offers can be read.
  @Test("damage under a right checksum is refused or harmless")
  func damageWithChecksum() {
    let frame = frame()
    var refused = 0
    func read(_ bytes: [UInt8]) {
      var bytes = bytes
      Self.correct(&bytes)
      do {
        let content = try FrameContent(bytes: bytes)
        #expect(content.events.count == content.header.count)
      } catch {
        #expect(error is FrameError)
        refused += 1
      }
    }
    for bit in 64..<frame.count * 8 {
      var bytes = frame
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      read(bytes)
    }
    for count in FrameHeader.byteCount..<frame.count { read(Array(frame[..<count])) }
    var random = SeededGenerator(seed: 11)
    for _ in 0..<20_000 {
      var bytes = frame
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        let place = Int.random(in: 8..<bytes.count, using: &random)
        bytes[place] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &random) ?? 0
      }
      read(bytes)
    }
    #expect(refused > 0)
  }

  /// Sets length and checksum right.
  static func correct(_ bytes: inout [UInt8]) {
    bytes.withUnsafeMutableBytes { buffer in
      buffer.storeBytes(of: UInt32(buffer.count).littleEndian, toByteOffset: 72, as: UInt32.self)
      let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: buffer[8...]))
      buffer.storeBytes(of: crc.littleEndian, toByteOffset: 4, as: UInt32.self)
    }
  }

  @Test("a column that this version does not know is passed over")
  func unknownColumn() throws {
    var bytes = frame()
    let before = try FrameContent(bytes: bytes)
    // The column of times of sending becomes column 999: it is as if it were absent.
    let columns = Int(bytes[14])
    for column in 0..<columns {
      let entry = FrameHeader.byteCount + column * FrameHeader.directoryEntryByteCount
      guard bytes[entry] == UInt8(FrameColumn.sent.rawValue) else { continue }
      bytes[entry] = 0xe7
      bytes[entry + 1] = 0x03
    }
    Self.correct(&bytes)
    let after = try FrameContent(bytes: bytes)
    #expect(after.events.map(\.sentAt) == Array(repeating: 0, count: 5))
    #expect(after.events.map(\.id) == before.events.map(\.id))
  }

  @Test("a column that reaches one byte past the end of the frame is refused")
  func columnPastEnd() throws {
    let frame = frame()
    for column in 0..<Int(frame[14]) {
      let entry = FrameHeader.byteCount + column * FrameHeader.directoryEntryByteCount
      var bytes = frame
      bytes.withUnsafeMutableBytes { buffer in
        let offset = buffer.loadUnaligned(fromByteOffset: entry + 4, as: UInt32.self)
        buffer.storeBytes(
          of: UInt32(buffer.count) - offset + 1, toByteOffset: entry + 8, as: UInt32.self)
      }
      Self.correct(&bytes)
      #expect(throws: FrameError.malformedColumn(UInt16(frame[entry]))) {
        try FrameContent(bytes: bytes)
      }
    }
  }

  @Test("every reason to refuse a frame says what is wrong")
  func descriptions() {
    let errors: [FrameError] = [
      .tooShort(byteCount: 3), .wrongMagic(1), .wrongLength(stated: 1, actual: 2),
      .wrongChecksum(stated: 1, actual: 2), .unknownVersion(9), .unknownKind(9),
      .otherKind(4), .invalidValue(.touchKey, record: 1),
      .missingColumn(.kind), .malformedColumn(3), .indexOutOfRange(.tuple, event: 4),
    ]
    #expect(Set(errors.map(\.description)).count == errors.count)
  }
}
