/// The servers of one NATS cluster and the credentials to enter it, parsed from
/// `nats://[token@|user:password@]host[:port][,…]`.
///
/// The secrets are taken out of the URLs at once: what is given to the client library and what can
/// appear in an error or a log line (`description`) has none. `%XX` in credentials is decoded.
public struct NATSAddress: Sendable, Equatable, CustomStringConvertible {
  enum Credentials: Sendable, Equatable {
    case none
    case token(String)
    case user(String, password: String)
  }

  /// One server: host as written (IPv6 in brackets), port 4222 unless given.
  public struct Server: Sendable, Equatable {
    public var host: String
    public var port: UInt16
    var url: String { "nats://\(host):\(port)" }
  }

  public let servers: [Server]
  /// Whether a `tls://` scheme asked for an encrypted connection.
  public let usesTLS: Bool
  let credentials: Credentials

  /// The servers without any secret, comma separated.
  public var description: String {
    servers.map { "\($0.host):\($0.port)" }.joined(separator: ",")
  }

  public init(_ text: String) throws(NATSError) {
    var servers: [Server] = []
    var credentials = Credentials.none
    var usesTLS = false
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      var rest = Self.trimmed(part)
      if let scheme = rest.firstRange(of: "://") {
        let name = rest[..<scheme.lowerBound]
        guard name == "nats" || name == "tls" else {
          throw .invalidAddress("the scheme must be nats or tls")
        }
        if name == "tls" { usesTLS = true }
        rest = rest[scheme.upperBound...]
      }
      if let at = rest.lastIndex(of: "@") {
        let found = try Self.parseCredentials(rest[..<at])
        guard credentials == .none || credentials == found else {
          throw .invalidAddress("all servers of the list must have the same credentials")
        }
        credentials = found
        rest = rest[rest.index(after: at)...]
      }
      if rest.last == "/" { rest = rest.dropLast() }
      servers.append(try Self.parseServer(rest))
    }
    self.servers = servers
    self.credentials = credentials
    self.usesTLS = usesTLS
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while text.first == " " { text = text.dropFirst() }
    while text.last == " " { text = text.dropLast() }
    return text
  }

  private static func parseServer(_ text: Substring) throws(NATSError) -> Server {
    var host = text
    var port: UInt16 = 4222
    let bracket = text.lastIndex(of: "]")
    if let colon = text.lastIndex(of: ":"), bracket.map({ $0 < colon }) ?? true {
      guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else {
        throw .invalidAddress("the port must be 1 to 65535")
      }
      port = number
      host = text[..<colon]
    }
    guard !host.isEmpty else { throw .invalidAddress("the host is missing") }
    guard !host.contains(where: { $0 == " " || $0 == "/" || $0 == "?" || $0 == "#" }) else {
      throw .invalidAddress("only host and port may follow the scheme")
    }
    return Server(host: String(host), port: port)
  }

  private static func parseCredentials(_ text: Substring) throws(NATSError) -> Credentials {
    if let colon = text.firstIndex(of: ":") {
      let user = try decoded(text[..<colon])
      return .user(user, password: try decoded(text[text.index(after: colon)...]))
    }
    let token = try decoded(text)
    guard !token.isEmpty else { throw .invalidAddress("the credentials before @ are empty") }
    return .token(token)
  }

  private static func decoded(_ text: Substring) throws(NATSError) -> String {
    var bytes: [UInt8] = []
    var input = Array(text.utf8)[...]
    while let byte = input.popFirst() {
      if byte == UInt8(ascii: "%") {
        guard let high = input.popFirst().flatMap(hexDigit),
          let low = input.popFirst().flatMap(hexDigit)
        else { throw .invalidAddress("the credentials hold a % without two hex digits") }
        bytes.append(high << 4 | low)
      } else {
        bytes.append(byte)
      }
    }
    guard let result = String(validating: bytes, as: UTF8.self), !result.utf8.contains(0) else {
      throw .invalidAddress("the credentials are not UTF-8 text")
    }
    return result
  }

  private static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): return byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): return byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): return byte - UInt8(ascii: "A") + 10
    default: return nil
    }
  }
}
