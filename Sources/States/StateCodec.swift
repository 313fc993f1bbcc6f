/// Reads or writes a state field by field: one list of fields serves both ways, so that they cannot come apart.
///
///     mutating func code(_ codec: inout StateCodec) throws(StateError) {
///       try codec.check(arms)      // must be the same where it is read
///       try codec.code(&count)
///       try codec.code(&bins)
///     }
///
/// Numbers are little-endian and as wide as they are, collections have their count before them; dictionaries and sets have no
/// order. There is no checksum: who stores the bytes adds one. Reading is checked against the end, so that wrong bytes are an
/// error or another state, never a trap. Some 10 ns a field.
public struct StateCodec: ~Copyable {
  public let isReading: Bool
  @usableFromInline var bytes: [UInt8]
  @usableFromInline var offset = 0

  /// Writes.
  public init() {
    isReading = false
    bytes = []
  }

  /// Reads.
  public init(_ bytes: [UInt8]) {
    isReading = true
    self.bytes = bytes
  }

  /// What was written.
  public consuming func finish() -> [UInt8] { bytes }

  /// Checks that everything has been read.
  public borrowing func end() throws(StateError) {
    guard !isReading || offset == bytes.count else { throw .leftOver(bytes.count - offset) }
  }

  @inlinable
  public mutating func code<T: FixedWidthInteger & BitwiseCopyable>(
    number value: inout T
  ) throws(StateError) {
    let size = MemoryLayout<T>.size
    if isReading {
      guard bytes.count - offset >= size else {
        throw .tooShort(needed: size, available: bytes.count - offset)
      }
      let found = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
      value = T(littleEndian: found)
      offset += size
    } else {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
  }

  @inlinable
  public mutating func code<T: CodedState>(_ value: inout T) throws(StateError) {
    try value.code(&self)
  }

  /// What is the same for all states of a kind, such as a size: another one is an error where it is read.
  @inlinable
  public mutating func check<T: CodedState & Equatable>(_ value: T) throws(StateError) {
    var stored = value
    try stored.code(&self)
    guard stored == value else { throw .other("\(stored) instead of \(value)") }
  }

  /// Bytes as they are, with their count before them.
  @inlinable
  public mutating func code(bytes value: inout [UInt8]) throws(StateError) {
    var count = value.count
    try code(count: &count)
    if isReading {
      value = Array(bytes[offset..<offset + count])
      offset += count
    } else {
      bytes.append(contentsOf: value)
    }
  }

  /// A number of elements, each of at least one byte, so that a wrong one makes nobody reserve memory for it.
  @inlinable
  public mutating func code(count: inout Int) throws(StateError) {
    try code(number: &count)
    guard !isReading || (0...(bytes.count - offset)).contains(count) else {
      throw .tooShort(needed: max(0, count), available: bytes.count - offset)
    }
  }

  /// Values of which there are always as many, each of which is read over what is there.
  @inlinable
  public mutating func code<T: CodedState>(each values: inout [T]) throws(StateError) {
    try check(values.count)
    for index in values.indices { try values[index].code(&self) }
  }

  /// Any number of values; each is read over a copy of a blank one, whose sizes are those of all.
  @inlinable
  public mutating func code<T: CodedState>(
    _ values: inout [T], over blank: T
  ) throws(StateError) {
    var count = values.count
    try code(count: &count)
    if isReading { values = [] }
    for index in 0..<count {
      if isReading { values.append(blank) }
      try values[index].code(&self)
    }
  }
}

/// A state that can be stored: all that it has is in its list of fields.
public protocol CodedState {
  /// Reads or writes all fields. What has been read of one that throws is of no use.
  mutating func code(_ codec: inout StateCodec) throws(StateError)
}

/// A state of which collections can have any number.
public protocol CodedElement: CodedState {
  /// What is read over; it need not make sense otherwise.
  static var blank: Self { get }
}

/// Why bytes are not the state that they are read as.
public enum StateError: Error, Hashable, Sendable {
  case tooShort(needed: Int, available: Int)
  case leftOver(Int)
  /// Of something that is declared otherwise.
  case other(String)
  case malformed(String)
}

extension StateError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .tooShort(let needed, let available):
      "\(needed) bytes are needed, \(available) are left"
    case .leftOver(let count): "\(count) bytes are left over"
    case .other(let what): "it belongs to something else: \(what)"
    case .malformed(let what): what
    }
  }
}
