/// The values of a group's dimensions, compared byte by byte as the log has them.
///
/// Swift's strings are equal where their characters look the same, however they are encoded; in
/// the log and in the read models those are different values.
struct DimensionValues: Sendable {
  var texts: [String]

  init(_ texts: [String]) { self.texts = texts }
}

extension DimensionValues: Hashable {
  static func == (a: Self, b: Self) -> Bool {
    a.texts.count == b.texts.count
      && zip(a.texts, b.texts).allSatisfy { $0.utf8.elementsEqual($1.utf8) }
  }

  func hash(into hasher: inout Hasher) {
    for text in texts {
      hasher.combine(text.utf8.count)
      for byte in text.utf8 { hasher.combine(byte) }
    }
  }
}

extension DimensionValues: Comparable {
  static func < (a: Self, b: Self) -> Bool {
    for (x, y) in zip(a.texts, b.texts) where !x.utf8.elementsEqual(y.utf8) {
      return x.utf8.lexicographicallyPrecedes(y.utf8)
    }
    return a.texts.count < b.texts.count
  }
}

extension DimensionValues: ExpressibleByArrayLiteral {
  init(arrayLiteral texts: String...) { self.init(texts) }
}
