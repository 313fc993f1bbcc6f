import Glibc
import Synchronization

/// The time zones of the machine: compiled files of the IANA database below `/usr/share/zoneinfo`.
///
/// Read once each and kept; at most ``zoneCountMax`` are kept, which is more than there are.
final class ZoneDatabase: Sendable {
  /// The database had 597 names in 2025.
  static let zoneCountMax = 1000
  /// The largest file of 2025 has 3.5 KB.
  private static let fileBytesMax = 64 * 1024

  private let folder: String
  private let zones = Mutex<[String: ZoneRules]>([:])

  init(folder: String = "/usr/share/zoneinfo") { self.folder = folder }

  /// - Returns: nil where there is no such zone.
  func zone(named name: String) -> ZoneRules? {
    if name == "UTC" { return .utc }
    guard Self.isName(name) else { return nil }
    if let known = zones.withLock({ $0[name] }) { return known }
    guard let bytes = Self.read("\(folder)/\(name)"), let rules = ZoneRules(parsing: bytes) else {
      return nil
    }
    zones.withLock { if $0.count < Self.zoneCountMax { $0[name] = rules } }
    return rules
  }

  /// Letters, digits, `_`, `+`, `-` in parts between slashes: nothing that leaves the folder.
  private static func isName(_ name: String) -> Bool {
    let bytes = name.utf8
    guard (1...64).contains(bytes.count) else { return false }
    return name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
      !part.isEmpty
        && part.utf8.allSatisfy { byte in
          (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
            || (0x61...0x7a).contains(byte) || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
        }
    }
  }

  private static func read(_ path: String) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    while bytes.count <= fileBytesMax {
      var chunk = [UInt8](repeating: 0, count: 8192)
      let count = chunk.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
      if count == 0 { return bytes }
      guard count > 0 else { return nil }
      bytes.append(contentsOf: chunk.prefix(count))
    }
    return nil
  }
}
