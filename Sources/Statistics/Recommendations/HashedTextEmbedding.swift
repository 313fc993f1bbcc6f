/// A text as a vector of fixed length, by hashing and counting alone: no model, no training, no language.
///
/// Character 3- to 5-grams of each word, `_` before and after it, and the words themselves, each hashed to one of 256
/// places with a sign, so that what falls together by chance cancels on average (Weinberger et al. 2009, "Feature
/// hashing"). A gram weighs as often as it is there, damped by a logarithm, times how rare it is among the texts
/// so far (inverse document frequency). Vectors have length 1: a dot product is the cosine.
///
/// Cost: some 10 ns a byte of text; 256 KB for the document counts. It finds texts that share words or parts of
/// them. Fails where texts mean the same in other words, or in another language: that needs a model.
public struct HashedTextEmbedding: Sendable, Equatable {
  public static let dimensions = 256
  /// Longer texts are cut: titles are meant, not articles.
  public static let bytesMax = 1_024
  private static let grams = 3...5

  /// How many texts were counted.
  public private(set) var texts: UInt32 = 0
  /// Of how many texts a gram is part, by its hash.
  private var counts = [UInt32](repeating: 0, count: 1 << 16)

  public init() {}

  /// Counts a text, once, for how rare its grams are.
  public mutating func count(_ text: String) {
    texts &+= 1
    for gram in Self.grams(of: text).keys { counts[Self.place(gram)] &+= 1 }
  }

  /// The vector of a text, by the texts counted so far, 16 dimensions an element; all zero where it has no letter or
  /// digit.
  public func vector(_ text: String) -> [SIMD16<Float>] {
    var vector = [Double](repeating: 0, count: Self.dimensions)
    // In an order that is the same each time, so that sums are.
    for (gram, count) in Self.grams(of: text).sorted(by: { $0.key < $1.key }) {
      let rarity = Elementary.log(
        1 + (Double(texts) + 1) / (Double(counts[Self.place(gram)]) + 1))
      let weight = (1 + Elementary.log(Double(count))) * rarity
      let place = Int(gram >> 32) & (Self.dimensions - 1)
      vector[place] += gram >> 63 == 0 ? weight : -weight
    }
    let length = max(vector.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-30)
    return stride(from: 0, to: Self.dimensions, by: SIMD16<Float>.scalarCount).map { start in
      var part = SIMD16<Float>()
      for place in 0..<SIMD16<Float>.scalarCount {
        part[place] = Float(vector[start + place] / length)
      }
      return part
    }
  }

  /// The cosine of two vectors of length 1.
  @inline(__always)
  public static func cosine(_ a: [SIMD16<Float>], _ b: [SIMD16<Float>]) -> Float {
    var sum = SIMD16<Float>()
    for place in 0..<min(a.count, b.count) { sum += a[place] * b[place] }
    return sum.sum()
  }

  private static func place(_ gram: UInt64) -> Int { Int(gram & 0xffff) }

  /// How often each gram is there, by its hash.
  private static func grams(of text: String) -> [UInt64: Int] {
    var found: [UInt64: Int] = [:]
    var word: [UInt8] = []
    for byte in text.lowercased().utf8.prefix(bytesMax) {
      if isOfWord(byte) {
        word.append(byte)
      } else {
        add(word, to: &found)
        word.removeAll(keepingCapacity: true)
      }
    }
    add(word, to: &found)
    return found
  }

  /// Letters and digits, and every byte of characters beyond ASCII.
  private static func isOfWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...:
      true
    default: false
    }
  }

  private static func add(_ word: [UInt8], to found: inout [UInt64: Int]) {
    guard !word.isEmpty else { return }
    let edged = [UInt8(ascii: "_")] + word + [UInt8(ascii: "_")]
    found[hash(edged[...]), default: 0] += 1
    for length in grams where length < edged.count {
      for start in 0...edged.count - length {
        found[hash(edged[start..<start + length]), default: 0] += 1
      }
    }
  }

  /// Of any name: evenly distributed.
  public static func hash(_ name: String) -> UInt64 { hash(Array(name.utf8)[...]) }

  /// FNV-1a, mixed at the end (MurmurHash3's finalizer) so that all bits are good.
  static func hash(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    hash = (hash ^ hash >> 33) &* 0xff51_afd7_ed55_8ccd
    hash = (hash ^ hash >> 33) &* 0xc4ce_b9fe_1a85_ec53
    return hash ^ hash >> 33
  }
}
