/// Who was looked at, and what the numbers in their touches stand for.
public struct PersonPeople: Sendable {
  public internal(set) var persons = 0
  /// Persons with more touches than ``PersonQuestion/personTouchesMax``, of whom nothing counts.
  public internal(set) var leftOut = 0
  /// By number: a text for each dimension of the question.
  public private(set) var values: [[String]] = []
  /// By number.
  public private(set) var currencies: [String] = []
  /// By the number in a touch, the values that it counts for: several where a person was in several segments.
  private(set) var lists: [[UInt32]] = []

  private let dimensions: [BreakdownDimension]
  private let segments: SegmentHistory
  private var listNumbers: [[UInt8]: UInt32] = [:]
  private var valueNumbers: [[[UInt8]]: UInt32] = [:]
  private var currencyNumbers: [[UInt8]: UInt32] = [:]

  public init(_ question: PersonQuestion, _ segments: SegmentHistory = .none) {
    dimensions = question.dimensions
    self.segments = segments
  }

  mutating func number(ofCurrency text: [UInt8]) -> UInt32 {
    if let known = currencyNumbers[text] { return known }
    let number = UInt32(currencies.count)
    currencyNumbers[text] = number
    currencies.append(String(decoding: text, as: UTF8.self))
    return number
  }

  /// - Parameter encoded: for each dimension its length as two bytes, little-endian, then its bytes.
  mutating func number(ofValue encoded: [UInt8]) -> UInt32 {
    if let known = listNumbers[encoded] { return known }
    let number = UInt32(lists.count)
    listNumbers[encoded] = number
    var combinations: [[[UInt8]]] = [[]]
    var offset = 0
    for dimension in dimensions {
      let end = offset + 2 + Int(encoded[offset]) + Int(encoded[offset + 1]) << 8
      let bytes = encoded[offset + 2..<end]
      offset = end
      let texts =
        dimension == .segment
        ? segments.texts(ofSet: Self.number(bytes)).map { Array($0.utf8) } : [Array(bytes)]
      combinations = combinations.flatMap { before in texts.map { before + [$0] } }
    }
    lists.append(combinations.map { self.number(ofValues: $0) })
    return number
  }

  private mutating func number(ofValues texts: [[UInt8]]) -> UInt32 {
    if let known = valueNumbers[texts] { return known }
    let number = UInt32(values.count)
    valueNumbers[texts] = number
    values.append(texts.map { String(decoding: $0, as: UTF8.self) })
    return number
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
    bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}
