import Events

/// Texts by the numbers that sketches count them by, which are the same in every stream.
struct TopTexts: ~Copyable {
  private var table = TextTable(countMax: 1 << 20)
  private var ids: [UInt64] = []

  /// - Returns: 0 where there is no room for another one, which makes it one of those that cannot be named.
  mutating func id(of text: [UInt8]) -> UInt64 { text.withUnsafeBytes { id(of: $0) } }

  mutating func id(of text: UnsafeRawBufferPointer) -> UInt64 {
    guard let number = table.intern(text) else { return 0 }
    if number == ids.count { ids.append(SipHash128.hash(text).low) }
    return ids[number]
  }

  mutating func merge(_ other: borrowing TopTexts) {
    for number in 0..<other.table.count {
      _ = id(of: other.table.text(number))
    }
  }

  /// The texts of some ids.
  func texts(of wanted: Set<UInt64>) -> [UInt64: String] {
    var texts: [UInt64: String] = [:]
    for (number, id) in ids.enumerated() where wanted.contains(id) {
      texts[id] = String(decoding: table.text(number), as: UTF8.self)
    }
    return texts
  }
}
