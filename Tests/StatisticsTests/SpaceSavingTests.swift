import Oracles
import Statistics
import Testing

@Suite("Top K")
struct SpaceSavingTests {
  /// Keys of which small ones are frequent.
  private static func keys(_ count: Int, seed: UInt64) -> [UInt64] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in UInt64(Elementary.exp(8 * random.unit() * random.unit())) }
  }

  private static func counts(_ keys: [UInt64]) -> [UInt64: UInt64] {
    keys.reduce(into: [:]) { $0[$1, default: 0] += 1 }
  }

  private static func check(_ sketch: SpaceSaving, _ keys: [UInt64]) {
    let truth = counts(keys)
    #expect(sketch.total == UInt64(keys.count))
    #expect(sketch.errorBound <= sketch.total / UInt64(sketch.capacity))
    let entries = sketch.top(sketch.capacity)
    for entry in entries {
      let count = truth[entry.key] ?? 0
      #expect(entry.count >= count && entry.count - entry.error <= count)
      #expect(entry.error <= sketch.errorBound)
    }
    let kept = Set(entries.map(\.key))
    for (key, count) in truth where count > sketch.errorBound { #expect(kept.contains(key)) }
  }

  @Test(
    "counts are within their bounds, and nothing large is missing", arguments: [1, 5, 50, 4_000])
  func bounds(capacity: Int) throws {
    let keys = Self.keys(20_000, seed: 2)
    var sketch = try SpaceSaving(capacity: capacity)
    for key in keys { sketch.insert(key) }
    Self.check(sketch, keys)
  }

  @Test("merged ones keep the bounds of the whole, in either order", arguments: [1, 20, 300])
  func merging(capacity: Int) throws {
    let parts = (0..<5).map { Self.keys(3_000 + 500 * $0, seed: UInt64($0)) }
    let sketches = try parts.map { keys in
      var sketch = try SpaceSaving(capacity: capacity)
      for key in keys { sketch.insert(key) }
      return sketch
    }
    var forth = sketches[0]
    for sketch in sketches.dropFirst() { try forth.merge(sketch) }
    Self.check(forth, parts.flatMap(\.self))
    var pair = sketches[0]
    try pair.merge(sketches[1])
    var back = sketches[1]
    try back.merge(sketches[0])
    #expect(pair == back)
    // Elements after a merge are counted as before.
    for key in parts[0] { forth.insert(key) }
    Self.check(forth, parts.flatMap(\.self) + parts[0])
  }

  @Test("it says whether its first entries are surely the first")
  func certainty() throws {
    var sketch = try SpaceSaving(capacity: 3)
    for (key, count) in [(1, 100), (2, 90), (3, 1), (4, 1), (5, 1)] as [(UInt64, UInt64)] {
      sketch.insert(key, count: count)
    }
    #expect(sketch.top(2).map(\.key) == [1, 2])
    #expect(sketch.isCertain(top: 2))
    #expect(!sketch.isCertain(top: 3))
  }

  @Test("bytes give the same sketch again, and damaged ones are refused")
  func bytes() throws {
    var sketch = try SpaceSaving(capacity: 40)
    for key in Self.keys(5_000, seed: 7) { sketch.insert(key) }
    let bytes = sketch.encoded()
    let again = try bytes.withUnsafeBytes { try SpaceSaving(encoded: $0) }
    #expect(again == sketch)
    #expect(again.encoded() == bytes)
    for length in [0, 1, 2, 20, bytes.count - 1] {
      #expect(throws: SketchError.self) {
        try Array(bytes.prefix(length)).withUnsafeBytes { try SpaceSaving(encoded: $0) }
      }
    }
    #expect(throws: SketchError.mismatch("capacity")) {
      try sketch.merge(SpaceSaving(capacity: 41))
    }
    #expect(throws: SketchError.self) { try SpaceSaving(capacity: 0) }
  }
}
