import Cryptography

/// The texts of write keys: what is allowed, and how new ones and their ids are made.
enum KeyValue {
  /// Characters of a key, a site or a source.
  static let charactersMax = 128
  /// What such a text can have at most in UTF-8; a longer one is looked for nowhere.
  static let bytesMax = 4 * charactersMax

  /// `wk_` and 26 characters for 128 random bits.
  static func make(using generator: inout some RandomNumberGenerator) -> String {
    var bytes: [UInt8] = []
    for _ in 0..<16 { bytes.append(generator.next()) }
    return "wk_" + base32(bytes)
  }

  /// `k_` and 8 characters for 40 random bits: enough to tell the keys of one file apart.
  static func makeID(using generator: inout some RandomNumberGenerator) -> String {
    var bytes: [UInt8] = []
    for _ in 0..<5 { bytes.append(generator.next()) }
    return "k_" + base32(bytes)
  }

  /// The id of a key that no store has given one, such as that of an environment variable: always the
  /// same for the same key.
  static func derivedID(_ key: String) -> String {
    "c_" + base32(Array(hash(key).prefix(5)))
  }

  static func hash(_ key: String) -> [UInt8] { SHA256.hash(Array(key.utf8)) }

  /// Whether the text has 1 to ``charactersMax`` characters, all of which can be seen or are spaces.
  static func isPrintable(_ text: String) -> Bool {
    guard !text.isEmpty, text.utf8.count <= bytesMax, text.unicodeScalars.count <= charactersMax
    else { return false }
    return text.unicodeScalars.allSatisfy { scalar in
      switch scalar.properties.generalCategory {
      case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
        .paragraphSeparator:
        false
      default: true
      }
    }
  }

  private static let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)

  /// RFC 4648 section 6 in lower case, without padding.
  static func base32(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 8
      while count >= 5 {
        count -= 5
        text.append(alphabet[Int(bits >> UInt32(count)) & 31])
      }
    }
    if count > 0 { text.append(alphabet[Int(bits << UInt32(5 - count)) & 31]) }
    return String(decoding: text, as: UTF8.self)
  }
}
