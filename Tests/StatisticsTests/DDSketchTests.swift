import Oracles
import Statistics
import Testing

@Suite("Quantiles")
struct DDSketchTests {
  /// Dwell times of very different sizes, some of them 0.
  private static func values(_ count: Int, seed: UInt64) -> [Double] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      random.happens(0.1) ? 0 : Elementary.exp(12 * random.unit() - 4)
    }
  }

  private static func sketch(_ values: [Double], binsMax: Int = 2_048) throws -> DDSketch {
    var sketch = try DDSketch(binsMax: binsMax)
    for value in values { try sketch.insert(value) }
    return sketch
  }

  @Test("every quantile is within the relative error", arguments: [1, 2, 10, 1_000, 20_000])
  func quantiles(count: Int) throws {
    let values = Self.values(count, seed: UInt64(count)).sorted()
    let sketch = try Self.sketch(values)
    for step in 0...100 {
      let share = Double(step) / 100
      let right = values[Int(share * Double(count - 1))]
      let value = try #require(sketch.quantile(share))
      #expect((value - right).magnitude <= 0.01 * right + 1e-12, "\(share)")
    }
  }

  @Test("a bounded number of bins gives up low quantiles and keeps high ones")
  func collapse() throws {
    let values = Self.values(20_000, seed: 3).sorted()
    let sketch = try Self.sketch(values, binsMax: 200)
    #expect(sketch.encoded().count < 700)
    for share in [0.75, 0.9, 0.99, 0.999, 1] {
      let right = values[Int(share * 19_999)]
      let value = try #require(sketch.quantile(share))
      #expect((value - right).magnitude <= 0.01 * right)
    }
    let low = try #require(sketch.quantile(0.3))
    #expect(low > values[Int(0.3 * 19_999)])
  }

  @Test(
    "the union of windows equals the sketch of all, whatever is merged first",
    arguments: [64, 2_048])
  func unions(binsMax: Int) throws {
    let values = Self.values(3_000, seed: 9)
    let whole = try Self.sketch(values, binsMax: binsMax)
    let windows = try (0..<6).map {
      try Self.sketch(Array(values[$0 * 500..<($0 + 1) * 500]), binsMax: binsMax)
    }
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 5, 0, 3, 1, 4]] {
      var union = try DDSketch(binsMax: binsMax)
      for index in order { try union.merge(windows[index]) }
      #expect(union == whole)
      #expect(union.encoded() == whole.encoded())
    }
  }

  @Test("bytes give the same sketch again", arguments: [0, 1, 100, 10_000])
  func bytes(count: Int) throws {
    let sketch = try Self.sketch(Self.values(count, seed: 4))
    let bytes = sketch.encoded()
    let again = try bytes.withUnsafeBytes { try DDSketch(encoded: $0) }
    #expect(again == sketch)
    for length in [0, 1, 2, 10, bytes.count - 1] {
      #expect(throws: SketchError.self) {
        try Array(bytes.prefix(length)).withUnsafeBytes { try DDSketch(encoded: $0) }
      }
    }
  }

  @Test("what it can't count is refused")
  func refusals() throws {
    var sketch = try DDSketch()
    for value in [-1, Double.nan, .infinity] {
      #expect(throws: SketchError.self) { try sketch.insert(value) }
    }
    #expect(sketch.count == 0)
    #expect(sketch.quantile(0.5) == nil)
    #expect(throws: SketchError.self) { try DDSketch(relativeError: 0) }
    #expect(throws: SketchError.mismatch("relative error")) {
      try sketch.merge(DDSketch(relativeError: 0.02))
    }
  }
}
