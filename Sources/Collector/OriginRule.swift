/// Origins of pages (RFC 6454) in the list of a write key: `https://www.example.org`, with a port where
/// it is not the scheme's own, or `https://*.example.org` for all hosts below example.org.
enum OriginRule {
  /// Origins that one key may list.
  static let countMax = 100
  private static let bytesMax = 300

  /// The origin as browsers write it; nil where the text is none.
  static func normalized(_ text: String) -> String? {
    var text = text.lowercased()
    if text.hasSuffix("/") { text.removeLast() }
    guard text.utf8.count <= bytesMax, let mark = text.firstIndex(of: ":"),
      text[mark...].hasPrefix("://")
    else { return nil }
    let scheme = text[..<mark]
    var host = text[text.index(mark, offsetBy: 3)...]
    var port = ""
    if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
      guard let number = UInt16(host[host.index(after: colon)...]) else { return nil }
      let isDefault = scheme == "https" && number == 443 || scheme == "http" && number == 80
      port = isDefault ? "" : ":\(number)"
      host = host[..<colon]
    }
    let name = host.hasPrefix("*.") ? host.dropFirst(2) : host
    guard let first = scheme.utf8.first, isLetter(first),
      scheme.utf8.allSatisfy({ isLetter($0) || isDigit($0) || "+-.".utf8.contains($0) }),
      !name.isEmpty, name.utf8.allSatisfy(isOfHost) || isAddress(name)
    else { return nil }
    return "\(scheme)://\(host)\(port)"
  }

  /// Of the page with this address; `null` where it is none of HTTP.
  static func origin(ofPage address: String) -> String {
    let parts = address.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count >= 3, parts[1].isEmpty else { return "null" }
    let host = parts[2].prefix { $0 != "?" && $0 != "#" }
    return normalized("\(parts[0])//\(host)") ?? "null"
  }

  /// Whether a request's `Origin` is in the list.
  ///
  /// - Parameter rules: as ``normalized(_:)`` gives them.
  static func allows(_ origin: String, _ rules: [String]) -> Bool {
    rules.contains { rule in
      guard let star = rule.utf8.firstIndex(of: UInt8(ascii: "*")) else { return rule == origin }
      let before = rule.utf8[..<star]
      let after = rule.utf8[rule.utf8.index(after: star)...]
      let bytes = origin.utf8
      guard bytes.count > before.count + after.count, bytes.starts(with: before),
        bytes.suffix(after.count).elementsEqual(after)
      else { return false }
      return bytes.dropFirst(before.count).dropLast(after.count).allSatisfy(isOfHost)
    }
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  private static func isOfHost(_ byte: UInt8) -> Bool {
    isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-")
      || byte == UInt8(ascii: "_")
  }

  /// An IPv6 address in brackets.
  private static func isAddress(_ host: Substring) -> Bool {
    host.hasPrefix("[") && host.hasSuffix("]")
      && host.dropFirst().dropLast().utf8.allSatisfy {
        isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
          || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".")
      }
  }
}
