/// What texts of frames' dictionaries came to, so that it is worked out once for each distinct one. It only saves
/// time: where it is full it begins anew.
struct KeyCache: ~Copyable {
  private var texts: TextTable
  private var keys: [UInt64] = []

  init(countMax: Int) { texts = TextTable(countMax: countMax) }

  /// - Returns: nil where it is not known; then ``set(_:)`` comes next.
  @inline(__always)
  mutating func find(_ text: UnsafeRawBufferPointer) -> UInt64? {
    var number = texts.intern(text)
    if number == nil {
      texts.removeAll()
      keys.removeAll(keepingCapacity: true)
      number = texts.intern(text)
    }
    guard let number, number < keys.count else { return nil }
    return keys[number]
  }

  mutating func set(_ key: UInt64) { keys.append(key) }
}
