import Dataflow
import Operators
import Oracles
import Testing

@Suite struct SnapshotFormatTests {
  private let numbers: [Int64] = [0, 1, -1, 63, 64, 127, 128, -64, -65, .max, .min, 1 << 62]

  private func sample() -> [UInt8] {
    var writer = SnapshotWriter(kind: .increment, pipelineHash: 42)
    writer.begin(section: 3, version: 2)
    writer.put(UInt64(7))
    writer.put(text: "hello")
    for value in numbers {
      writer.put(varint: UInt64(bitPattern: value))
      writer.put(zigzag: value)
    }
    writer.end()
    writer.begin(section: 4, version: 1)
    writer.end()
    return writer.finish()
  }

  private func read(_ bytes: [UInt8]) throws {
    var reader = try SnapshotReader(bytes, pipelineHash: 42)
    try reader.open(section: 3, version: 2)
    let count = try reader.get(UInt64.self)
    let text = try reader.getText()
    #expect(count == 7 && text == "hello")
    for value in numbers {
      #expect(try reader.getVarint() == UInt64(bitPattern: value))
      #expect(try reader.getZigzag() == value)
    }
    try reader.close()
    try reader.open(section: 4, version: 1)
    try reader.close()
    try reader.finish()
  }

  @Test("What was written is read again")
  func roundTrip() throws { try read(sample()) }

  @Test("Every flipped bit and every cut is an error, and never a trap")
  func damage() {
    let bytes = sample()
    for bit in 0..<bytes.count * 8 {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << (bit % 8)
      #expect(throws: SnapshotFormatError.self, "bit \(bit)") { try read(damaged) }
    }
    for count in 0..<bytes.count {
      #expect(throws: SnapshotFormatError.self) { try read(Array(bytes.prefix(count))) }
    }
    #expect(throws: SnapshotFormatError.self) { try read(bytes + [0]) }
  }

  @Test("Another pipeline, section or version is named in the error")
  func errors() {
    let bytes = sample()
    #expect(throws: SnapshotFormatError.otherPipeline(stored: 42, declared: 1)) {
      _ = try SnapshotReader(bytes, pipelineHash: 1)
    }
    #expect(throws: SnapshotFormatError.wrongSection(expected: 9, found: 3)) {
      var reader = try SnapshotReader(bytes, pipelineHash: 42)
      try reader.open(section: 9, version: 2)
    }
    #expect(throws: SnapshotFormatError.unknownVersion(section: 3, version: 2)) {
      var reader = try SnapshotReader(bytes, pipelineHash: 42)
      try reader.open(section: 3, version: 1)
    }
  }

  @Test("Bytes with a right checksum but a wrong content never trap a restore")
  func malformed() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let history = History(seed: seed, frameCount: 25)
      let loop = TestLoop(history, seed: seed)
      try loop.read()
      loop.commit(includeCoarse: true)
      loop.save()
      let second = TestLoop(history, seed: seed)
      try second.read(12)
      second.saveBase()
      try second.read()
      second.save()
      second.views = loop.views
      for saved in [loop, second] {
        let chain = saved.chain
        for _ in 0..<40 {
          let place = random.below(chain.count)
          saved.chain[place].bytes = Self.forged(chain[place].bytes, &random)
          var pipeline = TestLoop.pipeline(history.spec, loop.groups)
          do throws(PipelineError) {
            _ = try saved.restore(&pipeline)
          } catch {
            // A forged counter is found by comparison with what was committed.
            guard case .diverged = error else {
              Issue.record("\(error), seed \(seed)")
              return
            }
          }
          saved.chain = chain
        }
      }
    }
  }

  /// Changes a byte of a section's body and makes the checksums right again.
  private static func forged(
    _ bytes: [UInt8], _ random: inout SeededGenerator
  ) -> [UInt8] {
    var sections: [Range<Int>] = []
    var offset = 32
    while offset + 16 <= bytes.count {
      let length = (0..<8).reduce(0) { $0 | Int(bytes[offset + 8 + $1]) << ($1 * 8) }
      sections.append(offset..<offset + 16 + length)
      offset += 16 + length
    }
    let place = random.below(max(1, sections.count))
    var writer = SnapshotWriter(
      kind: bytes[6] == 1 ? .base : .increment,
      pipelineHash: (0..<8).reduce(0) { $0 | UInt64(bytes[8 + $1]) << (UInt64($1) * 8) })
    for (index, section) in sections.enumerated() {
      var body = Array(bytes[section.lowerBound + 16..<section.upperBound])
      if index == place && !body.isEmpty {
        // Mostly among the first bytes, where the counts are.
        let target = random.below(random.once(in: 2) ? min(64, body.count) : body.count)
        body[target] = UInt8(truncatingIfNeeded: random.next())
        if random.once(in: 5) { body.removeLast(random.below(body.count)) }
      }
      writer.begin(
        section: UInt16(bytes[section.lowerBound]), version: UInt16(bytes[section.lowerBound + 2]))
      body.withUnsafeBytes { writer.put($0) }
      writer.end()
    }
    return writer.finish()
  }
}
