public import Events
public import States

/// Which decision: 128 random bits, or those of another decision and a slot of it.
public struct DecisionID: Hashable, Comparable, Sendable {
  public var key: Key128

  public init(_ key: Key128) { self.key = key }

  /// - Parameter text: 32 hexadecimal digits.
  public init?(_ text: String) {
    guard let key = Key128(text) else { return nil }
    self.init(key)
  }

  /// The decision of a further slot of the same request: a function of this one, so that the whole answer can
  /// be made again. Slot 0 is this one.
  public func slot(_ number: Int) -> DecisionID {
    guard number > 0 else { return self }
    var hash = SipHash128()
    hash.update(field: description)
    hash.update(byte: UInt8(truncatingIfNeeded: number))
    return DecisionID(hash.finalize())
  }

  /// What the draw begins with.
  public var seed: UInt64 { key.low ^ key.high }

  public static func < (a: Self, b: Self) -> Bool { a.key < b.key }
}

extension DecisionID: CustomStringConvertible {
  public var description: String { key.description }
}

extension DecisionID: CodedElement {
  public static var blank: Self { DecisionID(.zero) }

  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&key)
  }
}
