/// Who asks, where proxies stand between: what trusted ones say of it.
///
/// Each proxy adds whom it had the request from on the right of `X-Forwarded-For` (or of `Forwarded`, RFC 7239, where
/// there is none of the former), and anybody may write anything on the left. So the client is the rightmost one who is
/// no trusted proxy.
enum ForwardedClient {
  /// Without port.
  ///
  /// - Parameter peer: the address of the trusted proxy that the connection is from.
  static func address(_ head: RequestHead, peer: String, trusted: AddressRanges) -> String {
    var names = head.headers("x-forwarded-for").flatMap(list)
    if names.isEmpty {
      names = head.headers("forwarded").flatMap(list).compactMap { parameter("for", of: $0) }
    }
    var client = peer
    for name in names.reversed() {
      // What is no address, such as `unknown`, hides who came before it.
      guard let address = Self.address(name) else { break }
      client = address
      if !trusted.contains(address) { break }
    }
    return client
  }

  /// Whether the client speaks TLS, as the first proxy says.
  static func isSecure(_ head: RequestHead) -> Bool {
    if let schemes = head.header("x-forwarded-proto") {
      return list(schemes).first?.lowercased() == "https"
    }
    return head.header("forwarded").flatMap { list($0).first }
      .flatMap { parameter("proto", of: $0) }?.lowercased() == "https"
  }

  /// Elements between commas.
  private static func list(_ value: String) -> [String] {
    value.split(separator: ",").map { trimmed($0) }.filter { !$0.isEmpty }
  }

  private static func trimmed(_ text: Substring) -> String {
    String(
      text.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
  }

  /// Of `for=192.0.2.60;by=10.0.0.1`, without quotes.
  private static func parameter(_ name: String, of element: String) -> String? {
    for part in element.split(separator: ";") {
      let sides = part.split(separator: "=", maxSplits: 1)
      if sides.count == 2, trimmed(sides[0]).lowercased() == name {
        return trimmed(sides[1]).filter { $0 != "\"" }
      }
    }
    return nil
  }

  /// `192.0.2.60`, `192.0.2.60:4711`, `2001:db8::1`, `[2001:db8::1]:4711`, without the port.
  private static func address(_ text: String) -> String? {
    var address = text[...]
    if address.first == "[" {
      address = address.dropFirst().prefix { $0 != "]" }
    } else if address.count(where: { $0 == ":" }) == 1 {
      address = address.prefix { $0 != ":" }
    }
    return AddressRanges.isAddress(String(address)) ? String(address) : nil
  }
}
