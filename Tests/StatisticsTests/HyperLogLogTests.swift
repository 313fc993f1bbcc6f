import Statistics
import Testing

@Suite("Distinct counts")
struct HyperLogLogTests {
  private static func sketch(
    of values: Range<Int>, precision: Int = 14, seed: UInt64 = 1
  ) throws -> HyperLogLog {
    var sketch = try HyperLogLog(precision: precision)
    for value in values { sketch.insert(hash: HyperLogLog.mix(UInt64(value) &+ seed << 32)) }
    return sketch
  }

  @Test(
    "the error is that of so many registers at every cardinality",
    arguments: [1, 10, 300, 2_000, 2_100, 5_000, 20_000, 60_000, 200_000])
  func error(count: Int) throws {
    let runs = 40
    var squares = 0.0
    var sum = 0.0
    for run in 0..<runs {
      let sketch = try Self.sketch(of: 0..<count, precision: 12, seed: UInt64(run))
      let error = sketch.estimate / Double(count) - 1
      squares += error * error
      sum += error
    }
    // A root mean square of 40 is off by 11 % itself, a mean by 16 % of the error.
    let bound = 1.04 / 64
    #expect((squares / Double(runs)).squareRoot() < bound * 1.35)
    #expect((sum / Double(runs)).magnitude < bound * 0.5)
  }

  @Test("an empty one counts nothing and is the neutral element of merging")
  func empty() throws {
    let empty = try HyperLogLog()
    #expect(empty.estimate == 0)
    var some = try Self.sketch(of: 0..<5_000)
    let before = some
    try some.merge(empty)
    #expect(some == before)
    var other = empty
    try other.merge(before)
    #expect(other == before)
  }

  @Test("the union of windows equals the sketch of all, sparse or dense, in any order")
  func unions() throws {
    for count in [100, 1_900, 2_300, 3_000, 50_000] {
      let whole = try Self.sketch(of: 0..<count)
      // Windows overlap.
      let windows = try (0..<7).map { part in
        try Self.sketch(of: part * count / 8..<min(count, (part + 2) * count / 8))
      }
      for order in [Array(0..<7), [6, 5, 4, 3, 2, 1, 0], [3, 0, 6, 1, 5, 2, 4]] {
        var union = try HyperLogLog()
        for index in order { try union.merge(windows[index]) }
        #expect(union == whole, "\(count)")
        #expect(union.encoded() == whole.encoded())
        try union.merge(whole)
        #expect(union == whole)
      }
      // Grouped otherwise.
      var left = windows[0]
      var right = windows[3]
      for index in [1, 2] { try left.merge(windows[index]) }
      for index in [4, 5, 6] { try right.merge(windows[index]) }
      try left.merge(right)
      #expect(left == whole)
    }
  }

  @Test("bytes give the same sketch again", arguments: [4, 8, 14, 18])
  func bytes(precision: Int) throws {
    for count in [0, 1, 40, 1_000, 2_049, 30_000] {
      let sketch = try Self.sketch(of: 0..<count, precision: precision)
      let bytes = sketch.encoded()
      let again = try bytes.withUnsafeBytes { try HyperLogLog(encoded: $0) }
      #expect(again == sketch)
      #expect(again.encoded() == bytes)
    }
  }

  @Test("it takes no more bytes than Apache DataSketches' compact HLL_4")
  func size() throws {
    for (count, most) in [(10, 52), (100, 412), (1_000, 4_012), (2_000, 8_232), (10_000, 8_232)] {
      #expect(try Self.sketch(of: 0..<count).encoded().count <= most)
    }
  }

  @Test("the first version's bytes stay readable")
  func golden() throws {
    let bytes: [UInt8] = [
      0xd1, 1, 14, 0, 3, 154, 131, 202, 19, 228, 234, 149, 9, 138, 205, 175, 2,
    ]
    let sketch = try Self.sketch(of: 0..<3, seed: 0)
    #expect(sketch.encoded() == bytes, "\(sketch.encoded())")
    #expect(try bytes.withUnsafeBytes { try HyperLogLog(encoded: $0) } == sketch)
  }

  @Test("damaged bytes are refused with their place, and say nothing else")
  func damaged() throws {
    let dense = try Self.sketch(of: 0..<30_000).encoded()
    let sparse = try Self.sketch(of: 0..<100).encoded()
    for bytes in [dense, sparse] {
      for length in [0, 1, 2, 3, 4, bytes.count / 2, bytes.count - 1] {
        #expect(throws: SketchError.self) {
          try Array(bytes.prefix(length)).withUnsafeBytes { try HyperLogLog(encoded: $0) }
        }
      }
      #expect(throws: SketchError.self) {
        try (bytes + [0]).withUnsafeBytes { try HyperLogLog(encoded: $0) }
      }
    }
    var newer = sparse
    newer[1] = 2
    #expect(throws: SketchError.version(2, supported: 1)) {
      try newer.withUnsafeBytes { try HyperLogLog(encoded: $0) }
    }
    #expect(throws: SketchError.mismatch("precision")) {
      var sketch = try HyperLogLog(precision: 12)
      try sketch.merge(HyperLogLog(precision: 13))
    }
    #expect(throws: SketchError.self) { try HyperLogLog(precision: 3) }
  }
}
