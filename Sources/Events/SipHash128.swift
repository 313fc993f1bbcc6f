/// SipHash-2-4 with 128 bits of output, incremental.
///
/// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), and the authors'
/// 128-bit variant. The key is fixed and part of the data format: every collector and every
/// processor must derive the same identities, so changing it would be a new schema version.
/// Cost: about 1.5 ns per byte.
public struct SipHash128: Sendable {
  @usableFromInline var v0: UInt64
  @usableFromInline var v1: UInt64
  @usableFromInline var v2: UInt64
  @usableFromInline var v3: UInt64
  @usableFromInline var tail: UInt64 = 0
  @usableFromInline var length: UInt64 = 0

  /// - Parameters:
  ///   - key0: the first half of the key, little-endian.
  ///   - key1: the second half of the key, little-endian.
  @inlinable
  public init(key0: UInt64 = 0x736d_6172_7463_6f6e, key1: UInt64 = 0x7465_6e74_2e76_3031) {
    v0 = key0 ^ 0x736f_6d65_7073_6575
    v1 = key1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
    v2 = key0 ^ 0x6c79_6765_6e65_7261
    v3 = key1 ^ 0x7465_6462_7974_6573
  }

  @inlinable
  mutating func round() {
    v0 &+= v1
    v1 = (v1 << 13) | (v1 >> 51)
    v1 ^= v0
    v0 = (v0 << 32) | (v0 >> 32)
    v2 &+= v3
    v3 = (v3 << 16) | (v3 >> 48)
    v3 ^= v2
    v0 &+= v3
    v3 = (v3 << 21) | (v3 >> 43)
    v3 ^= v0
    v2 &+= v1
    v1 = (v1 << 17) | (v1 >> 47)
    v1 ^= v2
    v2 = (v2 << 32) | (v2 >> 32)
  }

  @inlinable
  mutating func compress(_ word: UInt64) {
    v3 ^= word
    round()
    round()
    v0 ^= word
  }

  @inlinable
  public mutating func update(byte: UInt8) {
    tail |= UInt64(byte) << ((length & 7) &* 8)
    length &+= 1
    if length & 7 == 0 {
      compress(tail)
      tail = 0
    }
  }

  /// - Parameters:
  ///   - word: bytes, the first in the lowest bits; zero beyond them.
  ///   - count: of the bytes, less than eight.
  @inlinable
  mutating func update(word: UInt64, count: UInt64) {
    let held = (length & 7) &* 8
    tail |= word &<< held
    length &+= count
    if held &+ count &* 8 >= 64 {
      compress(tail)
      tail = held == 0 ? 0 : word &>> (64 &- held)
    }
  }

  @inlinable
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    // Words of the text lie across words of the hash wherever it was not begun at a multiple of eight.
    let held = (length & 7) &* 8
    let count = bytes.count
    var index = 0
    while index &+ 8 <= count {
      let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      compress(tail | word &<< held)
      tail = held == 0 ? 0 : word &>> (64 &- held)
      index &+= 8
    }
    length &+= UInt64(truncatingIfNeeded: index)
    guard index < count else { return }
    let left = UInt64(truncatingIfNeeded: count &- index)
    if count >= 8 {
      // The last eight bytes, without those that are in the hash already.
      let word = UInt64(
        littleEndian: bytes.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self))
      update(word: word &>> (64 &- left &* 8), count: left)
    } else {
      update(word: ByteWord.short(bytes, at: 0, count), count: left)
    }
  }

  /// Adds the length before the bytes, so that ("ab", "c") and ("a", "bc") differ.
  @inlinable
  public mutating func update(field bytes: UnsafeRawBufferPointer) {
    update(word: UInt64(UInt32(truncatingIfNeeded: bytes.count)), count: 4)
    update(bytes)
  }

  @inlinable
  public mutating func update(field text: String) {
    var text = text
    text.withUTF8 { update(field: UnsafeRawBufferPointer($0)) }
  }

  /// The hash of everything so far; never ``Key128/zero``.
  @inlinable
  public consuming func finalize() -> Key128 {
    var state = self
    state.compress(state.tail | (state.length << 56))
    state.v2 ^= 0xee
    for _ in 0..<4 { state.round() }
    let low = state.v0 ^ state.v1 ^ state.v2 ^ state.v3
    state.v1 ^= 0xdd
    for _ in 0..<4 { state.round() }
    let high = state.v0 ^ state.v1 ^ state.v2 ^ state.v3
    return low | high == 0 ? Key128(low: 1, high: 0) : Key128(low: low, high: high)
  }

  @inlinable
  public static func hash(_ bytes: UnsafeRawBufferPointer) -> Key128 {
    var state = SipHash128()
    state.update(bytes)
    return state.finalize()
  }
}
