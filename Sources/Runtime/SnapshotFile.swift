import Dataflow
import Events

/// The container of one snapshot: some key groups and the head, all at one sequence.
///
///     "SCS1" | sequence (8) | sections (4) | per section: group (4; 256 = head), length (8) |
///     bytes of the sections | CRC-32C of everything before it (4)
///
/// A snapshot need not hold all groups: those it lacks are taken from earlier ones. Because the
/// head travels with the groups of the same sequence, no group can be newer than the head.
struct SnapshotFile {
  static let head = 256
  static let magic: UInt32 = 0x3153_4353

  var sequence: UInt64
  var sections: [(group: Int, bytes: [UInt8])]

  static func name(sequence: UInt64) -> String {
    let digits = String(sequence)
    return "snapshot-" + String(repeating: "0", count: 20 - digits.count) + digits
  }

  static func sequence(name: String) -> UInt64? {
    guard name.hasPrefix("snapshot-") else { return nil }
    return UInt64(name.dropFirst("snapshot-".count))
  }

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(20 + sections.reduce(0) { $0 + 12 + $1.bytes.count })
    func put<T: FixedWidthInteger>(_ value: T) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    put(Self.magic)
    put(sequence)
    put(UInt32(sections.count))
    for section in sections {
      put(UInt32(section.group))
      put(UInt64(section.bytes.count))
    }
    for section in sections { bytes.append(contentsOf: section.bytes) }
    let checksum = bytes.withUnsafeBytes { CRC32C.checksum($0) }
    put(checksum)
    return bytes
  }

  /// - Returns: nil where the bytes are torn or are not a snapshot.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= 20 else { return nil }
    let parsed: (UInt64, [(group: Int, bytes: [UInt8])])? = bytes.withUnsafeBytes { raw in
      func load<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
        T(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: T.self))
      }
      let end = raw.count - 4
      let body = UnsafeRawBufferPointer(rebasing: raw[..<end])
      guard load(0, UInt32.self) == Self.magic,
        load(end, UInt32.self) == CRC32C.checksum(body)
      else { return nil }
      let count = Int(load(12, UInt32.self))
      var offset = 16 + count * 12
      guard offset <= end else { return nil }
      var sections: [(group: Int, bytes: [UInt8])] = []
      for index in 0..<count {
        let group = Int(load(16 + index * 12, UInt32.self))
        let length = Int(clamping: load(20 + index * 12, UInt64.self))
        guard length <= end - offset else { return nil }
        sections.append((group, Array(raw[offset..<offset + length])))
        offset += length
      }
      return (load(4, UInt64.self), sections)
    }
    guard let parsed else { return nil }
    sequence = parsed.0
    sections = parsed.1
  }

  init(sequence: UInt64, sections: [(group: Int, bytes: [UInt8])]) {
    self.sequence = sequence
    self.sections = sections
  }
}
