import Events

/// What an encoded ``DimensionTuple`` must hold for its row to count in a selection, as far as that shows by
/// comparing bytes: its site, and the values of filters that name whole values.
///
/// A store that holds rows by encoded tuple leaves out what does not pass, before it makes rows of it: a
/// question about one of 100,000 contents makes one row. What passes may still fail the selection's other
/// filters. Bytes that are no tuple pass, so that whoever reads them can say so.
public struct TupleFilter: Hashable, Sendable {
  /// The values of which a dimension must have one, by the dimension's place.
  private var wanted: [Int: [[UInt8]]] = [:]

  /// Everything passes.
  public static let everything = TupleFilter()

  private init() {}

  public init(_ selection: ViewSelection) {
    wanted[Dimension.site.rawValue] = [Array(selection.site.utf8)]
    for filter in selection.filters where filter.operation == .isAnyOf {
      let values = filter.values.map { Array($0.utf8) }
      let place = filter.dimension.rawValue
      wanted[place] = wanted[place].map { known in known.filter(values.contains) } ?? values
    }
  }

  /// Costs some nanoseconds a dimension and allocates nothing.
  public func admits(_ tuple: UnsafeRawBufferPointer) -> Bool {
    if wanted.isEmpty { return true }
    var offset = 0
    var passes = true
    var place = 0
    while offset < tuple.count {
      guard offset + 2 <= tuple.count else { return true }
      let length = Int(tuple[offset]) | Int(tuple[offset + 1]) << 8
      offset += 2
      guard offset + length <= tuple.count else { return true }
      if passes, let values = wanted[place] {
        let value = UnsafeRawBufferPointer(rebasing: tuple[offset..<offset + length])
        passes = Self.contains(values, value)
      }
      offset += length
      place += 1
    }
    guard place == Dimension.always.count || place == Dimension.allCases.count else { return true }
    // What does not stand in the encoding is empty.
    for absent in place..<Dimension.allCases.count {
      if let values = wanted[absent], !values.contains([]) { return false }
    }
    return passes
  }

  private static func contains(_ values: [[UInt8]], _ value: UnsafeRawBufferPointer) -> Bool {
    for wanted in values where wanted.count == value.count {
      if wanted.withUnsafeBytes({ $0.elementsEqual(value) }) { return true }
    }
    return false
  }
}
