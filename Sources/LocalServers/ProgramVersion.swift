/// Three numbers of a version, compared in order.
public struct ProgramVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
  public let major: Int
  public let minor: Int
  public let patch: Int

  public init(_ major: Int, _ minor: Int, _ patch: Int) {
    self.major = major
    self.minor = minor
    self.patch = patch
  }

  /// The first thing in `text` that looks like a version: `nats-server: v2.15.1`,
  /// `Redis server v=7.0.15 sha=…`, `postgres (PostgreSQL) 15.14 (Debian …)`.
  public init?(firstIn text: String) {
    var numbers: [Int] = []
    var current: Int?
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        let digit = Int(byte - UInt8(ascii: "0"))
        guard (current ?? 0) < 1_000_000 else { return nil }
        current = (current ?? 0) * 10 + digit
      case UInt8(ascii: ".") where current != nil && numbers.count < 2:
        numbers.append(current ?? 0)
        current = nil
      default:
        if let last = current, !numbers.isEmpty || byte != UInt8(ascii: ".") {
          numbers.append(last)
          current = nil
        }
        if numbers.count >= 2 {
          self.init(numbers[0], numbers[1], numbers.count > 2 ? numbers[2] : 0)
          return
        }
        numbers = []
        current = nil
      }
    }
    if let last = current { numbers.append(last) }
    guard numbers.count >= 2 else { return nil }
    self.init(numbers[0], numbers[1], numbers.count > 2 ? numbers[2] : 0)
  }

  public static func < (a: ProgramVersion, b: ProgramVersion) -> Bool {
    (a.major, a.minor, a.patch) < (b.major, b.minor, b.patch)
  }

  public var description: String { "\(major).\(minor).\(patch)" }
}
