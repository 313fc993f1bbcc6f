/// A click link as it is put into mails and pages: see ``RedirectProtocol``.
///
/// Further fields may be appended to its text for each recipient, such as `&uid={{id}}`: they are not
/// signed.
public struct ClickLink: Sendable {
  /// Where the collector answers, such as `https://c.example.org`.
  public var collector: String
  public var destination: RedirectDestination
  /// The write key that clicks are counted by.
  public var key: String
  public var campaign = ""
  public var content = ""
  public var variant = ""
  public var channel = ""
  public var user = ""
  public var anonymous = ""
  public var eventID = ""

  public init(collector: String, destination: RedirectDestination, key: String) {
    self.collector = collector
    self.destination = destination
    self.key = key
  }

  /// The whole address, signed.
  public func text(_ signer: LinkSigner) -> String {
    let signature = signer.signature(destination: destination.address, key: key)
    let fields = [
      ("u", destination.address), ("k", key), ("s", signature), ("cid", campaign),
      ("cnt", content), ("var", variant), ("ch", channel), ("uid", user), ("aid", anonymous),
      ("eid", eventID),
    ]
    let query = fields.filter { !$0.1.isEmpty }.map { "\($0.0)=\(Self.encoded($0.1))" }
    let base = collector.hasSuffix("/") ? String(collector.dropLast()) : collector
    return base + RedirectProtocol.place + "?" + query.joined(separator: "&")
  }

  /// Percent-encodes all but the unreserved characters (RFC 3986 section 2.3).
  private static func encoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var output: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"):
        output.append(byte)
      default: output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0xf)]]
      }
    }
    return String(decoding: output, as: UTF8.self)
  }
}
