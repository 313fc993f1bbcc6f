/// Eight bytes at a time, in a register ("SIMD within a register").
///
/// What is asked of a byte is answered by its highest bit; the others are zero. No carry goes from one byte to the
/// next, so every answer is exact. The first byte in memory is the lowest.
public enum ByteWord {
  /// The highest bit of each byte.
  public static let highest: UInt64 = 0x8080_8080_8080_8080

  @inlinable
  @inline(__always)
  public static func all(_ byte: UInt8) -> UInt64 { UInt64(byte) &* 0x0101_0101_0101_0101 }

  /// - Parameter limit: 1 to 0x80.
  @inlinable
  @inline(__always)
  public static func isBelow(_ word: UInt64, _ limit: UInt8) -> UInt64 {
    ~(((word & 0x7f7f_7f7f_7f7f_7f7f) &+ all(0x80 &- limit)) | word) & 0x8080_8080_8080_8080
  }

  @inlinable
  @inline(__always)
  public static func isEqual(_ word: UInt64, _ byte: UInt8) -> UInt64 {
    isBelow(word ^ all(byte), 1)
  }

  @inlinable
  @inline(__always)
  public static func isDigit(_ word: UInt64) -> UInt64 {
    isBelow(word ^ all(UInt8(ascii: "0")), 10)
  }

  /// Digits and the letters to `f`, in either case.
  @inlinable
  @inline(__always)
  public static func isHexadecimal(_ word: UInt64) -> UInt64 {
    // From `a` on letters are one and more.
    let letters = (word | all(0x20)) ^ all(0x60)
    return isDigit(word) | isBelow(letters, 7) & ~isBelow(letters, 1)
  }

  /// How many bytes an answer is true of.
  @inlinable
  @inline(__always)
  public static func count(_ answer: UInt64) -> Int {
    Int(truncatingIfNeeded: ((answer &>> 7) &* 0x0101_0101_0101_0101) &>> 56)
  }

  @inlinable
  @inline(__always)
  public static func load(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  /// The bytes from `offset` on, at most eight; the rest is zero.
  @inlinable
  @inline(__always)
  public static func tail(_ bytes: UnsafeRawBufferPointer, from offset: Int) -> UInt64 {
    let count = bytes.count &- offset
    if count >= 8 { return load(bytes, at: offset) }
    if bytes.count >= 8 { return load(bytes, at: bytes.count &- 8) >> UInt64(64 &- 8 &* count) }
    return short(bytes, at: offset, count)
  }

  /// So many bytes, at most seven, by loads that overlap.
  @inlinable
  @inline(__always)
  static func short(_ bytes: UnsafeRawBufferPointer, at offset: Int, _ count: Int) -> UInt64 {
    func shifted(_ value: UInt64, _ byte: Int) -> UInt64 {
      value &<< UInt64(truncatingIfNeeded: 8 &* byte)
    }
    if count >= 4 {
      let last = count &- 4
      let low = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
      let high = bytes.loadUnaligned(fromByteOffset: offset &+ last, as: UInt32.self)
      return UInt64(UInt32(littleEndian: low)) | shifted(UInt64(UInt32(littleEndian: high)), last)
    }
    if count <= 0 { return 0 }
    let (middle, last) = (count &>> 1, count &- 1)
    return UInt64(bytes[offset]) | shifted(UInt64(bytes[offset &+ middle]), middle)
      | shifted(UInt64(bytes[offset &+ last]), last)
  }
}
