import CChecksum

/// CRC-32C (Castagnoli), the checksum of frames and snapshots.
///
/// Source: RFC 3720 appendix B.4 (polynomial 0x1EDC6F41, reflected 0x82F63B78). By the processor's
/// instruction where it has one (x86-64 since 2010, 64-bit ARM), some 0.04 ns per byte; elsewhere by
/// sixteen tables, sixteen bytes a step ("slicing by 16", Kounavis and Berry 2005), 0.4 ns per byte.
/// Both give the same.
public enum CRC32C {
  /// Whether the processor's instruction is used.
  public static let isHardware = smartcontent_crc32c_is_supported() != 0

  /// - Parameter seed: the checksum of what lies before, to continue it; 0 for nothing.
  /// - Returns: the checksum; of "123456789" it is 0xE3069283.
  public static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    isHardware
      ? smartcontent_crc32c(seed, bytes.baseAddress, bytes.count)
      : checksumByTables(bytes, seed: seed)
  }

  /// The same on any processor.
  static func checksumByTables(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> UInt32 {
    tables.withUnsafeBufferPointer { table in
      var crc = ~seed
      var offset = 0
      let count = bytes.count
      guard let base = bytes.baseAddress, let t = table.baseAddress else { return seed }
      while offset &+ 16 <= count {
        let a = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let b = UInt64(
          littleEndian: base.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self))
        let x = a ^ UInt64(crc)
        let low =
          t[15 &* 256 &+ Int(x & 0xff)] ^ t[14 &* 256 &+ Int((x >> 8) & 0xff)]
          ^ t[13 &* 256 &+ Int((x >> 16) & 0xff)] ^ t[12 &* 256 &+ Int((x >> 24) & 0xff)]
        let middle =
          t[11 &* 256 &+ Int((x >> 32) & 0xff)] ^ t[10 &* 256 &+ Int((x >> 40) & 0xff)]
          ^ t[9 &* 256 &+ Int((x >> 48) & 0xff)] ^ t[8 &* 256 &+ Int(x >> 56)]
        let high =
          t[7 &* 256 &+ Int(b & 0xff)] ^ t[6 &* 256 &+ Int((b >> 8) & 0xff)]
          ^ t[5 &* 256 &+ Int((b >> 16) & 0xff)] ^ t[4 &* 256 &+ Int((b >> 24) & 0xff)]
        let top =
          t[3 &* 256 &+ Int((b >> 32) & 0xff)] ^ t[2 &* 256 &+ Int((b >> 40) & 0xff)]
          ^ t[256 &+ Int((b >> 48) & 0xff)] ^ t[Int(b >> 56)]
        crc = low ^ middle ^ high ^ top
        offset &+= 16
      }
      while offset < count {
        let byte = base.load(fromByteOffset: offset, as: UInt8.self)
        crc = t[Int((crc ^ UInt32(byte)) & 0xff)] ^ (crc >> 8)
        offset &+= 1
      }
      return ~crc
    }
  }

  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 16 * 256)
    for index in 0..<256 {
      var value = UInt32(index)
      for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0x82f6_3b78 : value >> 1 }
      tables[index] = value
    }
    for slice in 1..<16 {
      for index in 0..<256 {
        let previous = tables[(slice - 1) * 256 + index]
        tables[slice * 256 + index] = (previous >> 8) ^ tables[Int(previous & 0xff)]
      }
    }
    return tables
  }()
}
