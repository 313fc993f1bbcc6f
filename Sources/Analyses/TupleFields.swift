import Events

/// An encoded ``DimensionTuple``, its values read in place.
struct TupleFields {
  private let bytes: UnsafeRawBufferPointer
  /// Start and end of each dimension's value.
  private var places = InlineArray<7, (start: Int, end: Int)>(repeating: (0, 0))
  private(set) var isValid = false

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    var offset = 0
    var count = 0
    while offset < bytes.count, count < Dimension.allCases.count {
      guard offset + 2 <= bytes.count else { return }
      let length = Int(bytes[offset]) | Int(bytes[offset + 1]) << 8
      guard offset + 2 + length <= bytes.count else { return }
      places[count] = (offset + 2, offset + 2 + length)
      offset += 2 + length
      count += 1
    }
    isValid = offset == bytes.count && count >= Dimension.always.count
  }

  /// Empty where it does not stand in the encoding.
  subscript(dimension: Dimension) -> UnsafeRawBufferPointer {
    let place = places[dimension.rawValue]
    return UnsafeRawBufferPointer(rebasing: bytes[place.start..<place.end])
  }
}
