/// The values that states are made of; see ``StateCodec``.

extension CodedElement where Self: FixedWidthInteger & BitwiseCopyable {
  @inlinable public static var blank: Self { 0 }

  @inlinable
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(number: &self)
  }
}

extension UInt8: CodedElement {}
extension UInt32: CodedElement {}
extension UInt64: CodedElement {}
extension Int32: CodedElement {}
extension Int64: CodedElement {}
extension Int128: CodedElement {}
extension Int: CodedElement {}

extension Bool: CodedElement {
  public static var blank: Bool { false }

  @inlinable
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    var byte: UInt8 = self ? 1 : 0
    try codec.code(number: &byte)
    guard byte <= 1 else { throw .malformed("\(byte) is neither true nor false") }
    self = byte == 1
  }
}

/// Bit by bit: also those that are no numbers.
extension Double: CodedElement {
  public static var blank: Double { 0 }

  @inlinable
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    var bits = bitPattern
    try codec.code(number: &bits)
    self = Double(bitPattern: bits)
  }
}

extension SIMD4: CodedState where Scalar: CodedElement {
  @inlinable
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    for lane in 0..<4 { try self[lane].code(&codec) }
  }
}

extension SIMD4: CodedElement where Scalar == Double {
  public static var blank: SIMD4<Double> { .zero }
}

extension String: CodedElement {
  public static var blank: String { "" }

  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    var text = codec.isReading ? [] : Array(utf8)
    try codec.code(bytes: &text)
    guard codec.isReading else { return }
    guard let read = String(validating: text, as: UTF8.self) else {
      throw .malformed("a text is not UTF-8")
    }
    self = read
  }
}

extension Optional: CodedState where Wrapped: CodedElement {
  @inlinable
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    var isThere = self != nil
    try codec.code(&isThere)
    guard isThere else {
      self = nil
      return
    }
    var value: Wrapped = self ?? Wrapped.blank
    try value.code(&codec)
    self = value
  }
}

extension Optional: CodedElement where Wrapped: CodedElement {
  @inlinable public static var blank: Wrapped? { .none }
}

extension Array: CodedState where Element: CodedElement {
  @inlinable
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    var count = count
    try codec.code(count: &count)
    if codec.isReading {
      removeAll(keepingCapacity: true)
      // Elements may take more memory than bytes, so a wrong count could reserve far too much.
      reserveCapacity(Swift.min(count, 65_536))
      for _ in 0..<count {
        var element = Element.blank
        try element.code(&codec)
        append(element)
      }
    } else {
      for element in self {
        var element = element
        try element.code(&codec)
      }
    }
  }
}

extension Array: CodedElement where Element: CodedElement {
  @inlinable public static var blank: [Element] { [] }
}

extension Set: CodedState where Element: CodedElement {
  @inlinable
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    var elements = codec.isReading ? [] : Array(self)
    try elements.code(&codec)
    guard codec.isReading else { return }
    self = Set(elements)
    guard count == elements.count else { throw .malformed("a set has an element twice") }
  }
}

extension Set: CodedElement where Element: CodedElement {
  @inlinable public static var blank: Set<Element> { [] }
}

extension Dictionary: CodedState where Key: CodedElement, Value: CodedElement {
  @inlinable
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    var count = count
    try codec.code(count: &count)
    guard codec.isReading else {
      for (key, value) in self {
        var (key, value) = (key, value)
        try key.code(&codec)
        try value.code(&codec)
      }
      return
    }
    removeAll(keepingCapacity: true)
    reserveCapacity(Swift.min(count, 65_536))
    for _ in 0..<count {
      var (key, value) = (Key.blank, Value.blank)
      try key.code(&codec)
      try value.code(&codec)
      guard updateValue(value, forKey: key) == nil else {
        throw .malformed("a key is there twice")
      }
    }
  }
}

extension Dictionary: CodedElement where Key: CodedElement, Value: CodedElement {
  @inlinable public static var blank: [Key: Value] { [:] }
}
