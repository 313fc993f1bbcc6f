/// A fast hash of short byte strings for tables in memory. It is stored in increments of snapshots
/// only, which the same version of the code reads again.
///
/// Eight bytes per multiplication, folding the 128-bit product (the step of Wang Yi's wyhash).
/// Not made against chosen input: a table that uses it has a limit on its entries.
public enum TupleHash {
  @inline(__always)
  private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }

  @inline(__always)
  public static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    let count = bytes.count
    guard let base = bytes.baseAddress, count >= 8 else { return short(bytes) }
    var hash = UInt64(truncatingIfNeeded: count) ^ 0xa076_1d64_78bd_642f
    var other: UInt64 = 0xe703_7ed1_a0b4_28db
    var offset = 0
    // Two chains, so that the multiplications of one need not wait for those of the other.
    while offset &+ 16 <= count {
      hash = fold(
        hash ^ base.loadUnaligned(fromByteOffset: offset, as: UInt64.self), 0x8ebc_6af0_9c88_c6e3)
      other = fold(
        other ^ base.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self),
        0x5899_65cc_7537_4cc3)
      offset &+= 16
    }
    if offset &+ 8 <= count {
      hash = fold(
        hash ^ base.loadUnaligned(fromByteOffset: offset, as: UInt64.self), 0x8ebc_6af0_9c88_c6e3)
    }
    // The last eight bytes, some of which may have been taken in before.
    other = fold(
      other ^ base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self),
      0x5899_65cc_7537_4cc3)
    return finish(fold(hash ^ other, 0x1d8e_4e27_c47d_124f))
  }

  @inline(never)
  private static func short(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var word = UInt64(bytes.count) << 56
    for (index, byte) in bytes.enumerated() { word ^= UInt64(byte) << (index * 8) }
    return finish(fold(word ^ 0xa076_1d64_78bd_642f, 0x8ebc_6af0_9c88_c6e3))
  }

  @inline(__always)
  private static func finish(_ hash: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: hash ^ (hash >> 32))
  }

  @inline(__always)
  public static func equal(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    let count = a.count
    guard count == b.count else { return false }
    guard let first = a.baseAddress, let second = b.baseAddress, count >= 8 else {
      return a.elementsEqual(b)
    }
    var difference: UInt64 = 0
    var offset = 0
    while offset &+ 8 <= count {
      difference |=
        first.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        ^ second.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      offset &+= 8
    }
    difference |=
      first.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
      ^ second.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
    return difference == 0
  }
}
