/// Further addresses that Snowplow's trackers post to by a setting of theirs (`postPath`), such as `/com.acme/track`.
public struct SnowplowPaths: Sendable {
  /// In the order in which they were written.
  let all: [String]

  /// None.
  public init() { all = [] }

  /// - Parameter text: paths with commas between them.
  /// - Throws: ``SnowplowPathError`` naming the first one that cannot be taken.
  public init(_ text: String) throws(SnowplowPathError) {
    var all: [String] = []
    for part in text.split(separator: ",") {
      let path = String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
      guard Self.isPath(path), !all.contains(path), path != SnowplowProtocol.postPath else {
        throw SnowplowPathError(path: path)
      }
      all.append(path)
    }
    self.all = all
  }

  /// `/vendor/version`. A vendor has a dot, as reversed names of domains have, so that it is no route of another kind.
  private static func isPath(_ path: String) -> Bool {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    return parts.count == 3 && parts[0].isEmpty && parts[1].contains(".") && !parts[2].isEmpty
      && path.utf8.allSatisfy { byte in
        byte &- 0x30 <= 9 || (byte | 0x20) &- 0x61 <= 25 || [0x2d, 0x2e, 0x2f, 0x5f].contains(byte)
      }
  }
}

/// A path that trackers cannot post to.
public struct SnowplowPathError: Error, Hashable, Sendable, CustomStringConvertible {
  public let path: String

  public var description: String {
    "\(path) is no further path of Snowplow's trackers: write /VENDOR/VERSION such as /com.acme/track, each once, of"
      + " letters, digits, -, . and _, with a dot in the vendor"
  }
}
