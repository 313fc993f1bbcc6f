import Events

/// The distinct combinations of the values that one part of an event has for the dimensions of a question, by number,
/// and which of them its filters let pass.
///
/// A combination is encoded as tuples are: for each dimension its length as two bytes, little-endian, then its UTF-8
/// bytes.
struct GroupValues: ~Copyable {
  let dimensions: [BreakdownDimension]
  private let filters: [BreakdownFilter]
  private let alternatives: [(bit: UInt64, filter: BreakdownFilter)]
  private var table: TextTable
  private var encoded: [UInt8] = []

  /// - Parameter countMax: combinations that are told apart.
  init(_ question: BreakdownQuestion, _ part: BreakdownDimension.Part, countMax: Int) {
    dimensions = question.grouped(by: part)
    filters = question.filters(on: part)
    alternatives = question.alternatives(on: part)
    table = TextTable(countMax: countMax)
  }

  var count: Int { table.count }

  /// What a combination comes to.
  enum Found {
    /// Some filter does not let it pass.
    case filtered
    /// Nil where there is no room for another one; and the bits of the alternatives that it holds.
    case number(UInt64?, held: UInt64)
  }

  /// - Parameters:
  ///   - source: where the values come from.
  ///   - append: appends the value of a dimension.
  @inline(__always)
  mutating func find<Source>(
    in source: inout Source, _ append: (inout Source, BreakdownDimension, inout [UInt8]) -> Void
  ) -> Found {
    for filter in filters {
      encoded.removeAll(keepingCapacity: true)
      append(&source, filter.dimension, &encoded)
      if !filter.admits(encoded) { return .filtered }
    }
    var held: UInt64 = 0
    for (bit, filter) in alternatives where held & bit == 0 {
      encoded.removeAll(keepingCapacity: true)
      append(&source, filter.dimension, &encoded)
      if filter.admits(encoded) { held |= bit }
    }
    encoded.removeAll(keepingCapacity: true)
    for dimension in dimensions {
      let start = encoded.count
      encoded.append(0)
      encoded.append(0)
      append(&source, dimension, &encoded)
      let count = encoded.count - start - 2
      encoded[start] = UInt8(truncatingIfNeeded: count)
      encoded[start + 1] = UInt8(truncatingIfNeeded: count >> 8)
    }
    return .number(intern(encoded), held: held)
  }

  /// - Returns: nil where there is no room for another one.
  private mutating func intern(_ text: [UInt8]) -> UInt64? {
    text.withUnsafeBytes { table.intern($0) }.map(UInt64.init)
  }

  /// The values of a combination, in the order of ``dimensions``.
  func values(_ number: Int) -> [String] {
    table.withText(number) { text in
      var values: [String] = []
      var offset = 0
      while offset + 2 <= text.count {
        let end = offset + 2 + Int(text[offset]) + Int(text[offset + 1]) << 8
        values.append(
          String(decoding: UnsafeRawBufferPointer(rebasing: text[offset + 2..<end]), as: UTF8.self))
        offset = end
      }
      return values
    }
  }

  /// The numbers that another table's combinations have here, by their number there.
  mutating func takeOver(_ other: borrowing GroupValues, full: UInt64) -> [UInt64] {
    (0..<other.count).map { intern(other.table.text($0)) ?? full }
  }
}
