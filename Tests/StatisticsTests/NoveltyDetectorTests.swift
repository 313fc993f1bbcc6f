import Oracles
import Statistics
import Testing

@Suite("Novelty in a series")
struct NoveltyDetectorTests {
  /// A day's wave of five-minute values with noise; what is at some places instead.
  private static func series(_ count: Int, seed: UInt64 = 1, _ other: [Int: Double] = [:])
    -> [Double]
  {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { index in
      let wave = abs(Double(index % 288) - 144)
      return other[index] ?? 100 + wave + Double(random.below(21))
    }
  }

  private static func anomalies(_ values: [Double]) throws -> [Int] {
    var detector = try NoveltyDetector()
    return values.indices.filter {
      detector.observe(values[$0], at: Int64($0) * 300).isAnomaly
    }
  }

  @Test("a spike is found at its first value, and once")
  func spike() throws {
    let spike = Dictionary(uniqueKeysWithValues: (3_000..<3_020).map { ($0, 900.0) })
    let found = try Self.anomalies(Self.series(4_000, spike))
    #expect(found.filter { $0 >= 1_000 } == [3_000])
  }

  @Test("a gap to zero and a value that stays where it never stayed are found")
  func dropAndFlat() throws {
    let drop = Dictionary(uniqueKeysWithValues: (3_000..<3_050).map { ($0, 0.0) })
    #expect(try Self.anomalies(Self.series(3_500, drop)).contains(3_000))
  }

  @Test("a constant is never an anomaly")
  func constant() throws {
    #expect(try Self.anomalies([Double](repeating: 7, count: 2_000)).isEmpty)
  }

  @Test("the unit of the values does not matter")
  func units() throws {
    let values = Self.series(2_500, [2_000: 700])
    var plain = try NoveltyDetector()
    var scaled = plain
    for (index, value) in values.enumerated() {
      let second = Int64(index) * 300
      #expect(plain.observe(value, at: second) == scaled.observe(value * 4096, at: second))
    }
  }

  @Test("a value that is not a number says nothing and changes nothing")
  func missing() throws {
    var detector = try NoveltyDetector()
    for (index, value) in Self.series(500).enumerated() {
      _ = detector.observe(value, at: Int64(index) * 300)
    }
    let before = detector
    for value in [Double.nan, .infinity, -.infinity] {
      #expect(detector.observe(value, at: 150_000).score == 0)
    }
    #expect(detector == before)
  }

  @Test("written and read between every two values it is the same")
  func bytes() throws {
    var plain = try NoveltyDetector()
    var restored = plain
    for (index, value) in Self.series(700, seed: 3, [600: 990]).enumerated() {
      let second = Int64(index) * 3_600 - 1_000_000
      #expect(plain.observe(value, at: second) == restored.observe(value, at: second))
      restored = try restored.encoded().withUnsafeBytes { (bytes) throws(SketchError) in
        try NoveltyDetector(encoded: bytes)
      }
      #expect(restored == plain)
    }
    #expect(plain.encoded().count < 8_192)
  }

  @Test("bytes that are cut or of another kind are refused")
  func damaged() throws {
    var detector = try NoveltyDetector()
    for (index, value) in Self.series(300).enumerated() {
      _ = detector.observe(value, at: Int64(index) * 300)
    }
    let bytes = detector.encoded()
    for count in stride(from: 0, to: bytes.count, by: 7) {
      #expect(throws: SketchError.self) {
        try bytes[..<count].withUnsafeBytes { (bytes) throws(SketchError) in
          try NoveltyDetector(encoded: bytes)
        }
      }
    }
    #expect(throws: SketchError.notASketch(expected: "a rate detector")) {
      try bytes.withUnsafeBytes { (bytes) throws(SketchError) in
        try RateDetector(encoded: bytes)
      }
    }
  }

  @Test("parameters outside of their range are refused", arguments: [0, -1, 11, Double.nan])
  func parameters(threshold: Double) {
    #expect(throws: SketchError.self) { try NoveltyDetector(threshold: threshold) }
    #expect(throws: SketchError.self) { try NoveltyDetector(quietCount: -1) }
  }
}
