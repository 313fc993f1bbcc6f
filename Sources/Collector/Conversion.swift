import Events

/// The money of a conversion.
enum Conversion {
  /// A single amount beyond this is a mistake of the sender; it also keeps sums far from overflow.
  static let unitsMax: Int64 = 1_000_000_000

  static func revenue(_ text: String, _ field: String) throws(Refusal) -> Int64 {
    guard let micros = Money.micros(text) else {
      throw Refusal(.badRevenue, "\(field) is a decimal number such as 9.99, or a text of one")
    }
    let limit = unitsMax * Money.scale
    guard micros >= -limit && micros <= limit else {
      throw Refusal(.badRevenue, "\(field) is between -\(unitsMax) and \(unitsMax)")
    }
    return micros
  }

  /// - Returns: in upper case.
  static func currency(_ text: String, _ field: String) throws(Refusal) -> String {
    let letters = UInt8(ascii: "A")...UInt8(ascii: "Z")
    // Checked before: outside ASCII, upper case can make letters of others, such as SS of ß.
    guard text.utf8.count == 3, text.utf8.allSatisfy({ letters.contains($0 & 0xdf) }) else {
      throw Refusal(.badCurrency, "\(field) is an ISO 4217 code such as USD")
    }
    return text.uppercased()
  }
}
