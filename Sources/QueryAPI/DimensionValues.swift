import Events

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
    guard a.texts.count == b.texts.count else { return false }
    return a.texts.indices.allSatisfy { TextBytes.order(a.texts[$0], b.texts[$0]) == 0 }
  }

  func hash(into hasher: inout Hasher) {
    for var text in texts {
      text.withUTF8 { bytes in
        hasher.combine(bytes.count)
        hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
      }
    }
  }
}

extension DimensionValues: Comparable {
  static func < (a: Self, b: Self) -> Bool {
    for index in 0..<min(a.texts.count, b.texts.count) {
      let order = TextBytes.order(a.texts[index], b.texts[index])
      if order != 0 { return order < 0 }
    }
    return a.texts.count < b.texts.count
  }
}

extension DimensionValues: ExpressibleByArrayLiteral {
  init(arrayLiteral texts: String...) { self.init(texts) }
}
