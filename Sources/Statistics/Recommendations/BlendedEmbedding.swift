/// A text's words and, where a model said it, its meaning, as one vector of length 1.
///
///     words (hashed n-grams) ──────────▶ │ × √¼ │ 256 places ┐
///                                                           ├─ dot product: ¼ of the words' cosine and ¾ of the
///     a model's vector ─▶ 256 places ──▶ │ × √¾ │ 256 places ┘  meaning's
///
/// A text of which no model has said anything has its words alone, so both kinds are in one index: between them words
/// count half. A model's vector of any length comes to 256 places by adding each number, with a sign, to a place that
/// its index is hashed to (Weinberger et al. 2009): cosines stay as they were but for 1/√256.
public enum BlendedEmbedding {
  public static let meaningDimensions = 256
  /// Of all: words, then the meaning.
  public static let dimensions = HashedTextEmbedding.dimensions + meaningDimensions
  private static let wordsShare: Float = 0.25

  /// A model's vector in 256 places, of length 1; empty where it has no direction.
  public static func meaning(_ vector: [Float]) -> [SIMD16<Float>] {
    var places = [Double](repeating: 0, count: meaningDimensions)
    if vector.count <= meaningDimensions {
      for (place, value) in vector.enumerated() { places[place] = Double(value) }
    } else {
      for (index, value) in vector.enumerated() {
        let hash = mixed(UInt64(index))
        let place = Int(hash % UInt64(meaningDimensions))
        places[place] += hash >> 63 == 0 ? Double(value) : -Double(value)
      }
    }
    let length = places.reduce(0) { $0 + $1 * $1 }.squareRoot()
    guard length.isFinite, length > 1e-12 else { return [] }
    return packed(places.map { Float($0 / length) })
  }

  /// - Parameter meaning: empty where there is none.
  public static func blend(
    words: [SIMD16<Float>], meaning: [SIMD16<Float>]
  ) -> [SIMD16<Float>] {
    guard !meaning.isEmpty else { return words }
    guard words.contains(where: { $0 != .zero }) else {
      return [SIMD16<Float>](repeating: .zero, count: wordsWidth) + meaning
    }
    let (own, other) = (wordsShare.squareRoot(), (1 - wordsShare).squareRoot())
    return words.map { $0 * own } + meaning.map { $0 * other }
  }

  private static let wordsWidth = HashedTextEmbedding.dimensions / SIMD16<Float>.scalarCount

  /// The numbers one by one, zeros for what is not there.
  public static func numbers(_ vector: [SIMD16<Float>]) -> [Float] {
    var numbers: [Float] = []
    numbers.reserveCapacity(dimensions)
    for part in vector { for place in part.indices { numbers.append(part[place]) } }
    while numbers.count < dimensions { numbers.append(0) }
    return numbers
  }

  /// The meaning that was blended into a vector; empty where there is none.
  public static func meaning(in numbers: [Float]) -> [SIMD16<Float>] {
    guard numbers.count == dimensions else { return [] }
    return meaning(Array(numbers[HashedTextEmbedding.dimensions...]))
  }

  private static func packed(_ numbers: [Float]) -> [SIMD16<Float>] {
    stride(from: 0, to: numbers.count, by: SIMD16<Float>.scalarCount).map { start in
      var part = SIMD16<Float>()
      for place in part.indices { part[place] = numbers[start + place] }
      return part
    }
  }

  /// SplitMix64 (Steele, Lea, Flood 2014).
  private static func mixed(_ index: UInt64) -> UInt64 {
    var value = (index &+ 1) &* 0x9e37_79b9_7f4a_7c15
    value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value >> 31
  }
}
