/// Where a person falls in an experiment: one of ``Allocation/parts`` buckets.
///
/// MurmurHash3 (Appleby, x86 with 32 bits, seed 0) of the UTF-8 bytes of `<experiment id>:<person>`, times the
/// number of buckets, shifted right by 32: all of it exact in the integers of any language, in JavaScript's
/// doubles too. The experiment's id is the salt, so buckets of two experiments have nothing to do with each
/// other. Not for secrets: who knows a person's id knows its bucket.
public enum PersonBucket {
  public static func of(_ person: String, in experiment: String) -> Int {
    Int((UInt64(hash(Array("\(experiment):\(person)".utf8))) * UInt64(Allocation.parts)) >> 32)
  }

  /// MurmurHash3_x86_32 with seed 0.
  static func hash(_ bytes: [UInt8]) -> UInt32 {
    var hash: UInt32 = 0
    let whole = bytes.count & ~3
    for start in stride(from: 0, to: whole, by: 4) {
      let block =
        UInt32(bytes[start]) | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2]) << 16
        | UInt32(bytes[start + 3]) << 24
      hash ^= mixed(block)
      hash = (hash << 13 | hash >> 19) &* 5 &+ 0xe654_6b64
    }
    var tail: UInt32 = 0
    for index in (whole..<bytes.count).reversed() { tail = tail << 8 | UInt32(bytes[index]) }
    hash ^= mixed(tail)
    hash ^= UInt32(truncatingIfNeeded: bytes.count)
    hash = (hash ^ hash >> 16) &* 0x85eb_ca6b
    hash = (hash ^ hash >> 13) &* 0xc2b2_ae35
    return hash ^ hash >> 16
  }

  private static func mixed(_ block: UInt32) -> UInt32 {
    let first = block &* 0xcc9e_2d51
    return (first << 15 | first >> 17) &* 0x1b87_3593
  }
}
