/// How to reach a Redis server and how long to wait for it.
public struct RedisSettings: Sendable {
  public var host: String
  public var port: Int32
  public var user: String
  /// In no error text.
  public var password: String
  public var database: Int
  /// Milliseconds for connecting.
  public var connectTimeoutMs = 250
  /// Milliseconds to wait for the next bytes of an answer before the session is given up.
  public var commandTimeoutMs = 250

  public init(
    host: String = "127.0.0.1", port: Int32 = 6379, user: String = "", password: String = "",
    database: Int = 0
  ) {
    self.host = host
    self.port = port
    self.user = user
    self.password = password
    self.database = database
  }

  /// Reads `redis://[user][:password@]host[:port][/database]`; `[…]` around an IPv6 address;
  /// user and password percent-encoded.
  /// - Throws: `invalidSettings`, which never quotes the URL.
  public init(url: String) throws(RedisError) {
    self.init()
    let shape = "use redis://user:password@host:port/database"
    let scheme = "redis://"
    guard url.hasPrefix(scheme) else {
      throw .invalidSettings("the URL does not begin with redis:// (\(shape))")
    }
    var rest = url.dropFirst(scheme.count)
    if let at = rest.lastIndex(of: "@") {
      let login = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      rest = rest[rest.index(after: at)...]
      guard let user = RedisSettings.decoded(login[0]),
        let password = RedisSettings.decoded(login.count == 2 ? login[1] : "")
      else { throw .invalidSettings("user or password is not percent-encoded UTF-8 (\(shape))") }
      self.user = user
      self.password = password
    }
    if let slash = rest.firstIndex(of: "/") {
      let text = rest[rest.index(after: slash)...]
      rest = rest[..<slash]
      if !text.isEmpty {
        guard let number = Int(text), number >= 0 else {
          throw .invalidSettings("the database in the URL is not a number (\(shape))")
        }
        database = number
      }
    }
    if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
      host = String(rest[rest.index(after: rest.startIndex)..<end])
      rest = rest[rest.index(after: end)...]
    } else {
      let end = rest.lastIndex(of: ":") ?? rest.endIndex
      host = String(rest[..<end])
      rest = rest[end...]
    }
    if rest.hasPrefix(":") {
      guard let number = Int32(rest.dropFirst()), (1...65_535).contains(number) else {
        throw .invalidSettings("the port in the URL is not 1…65535 (\(shape))")
      }
      port = number
    } else if !rest.isEmpty {
      throw .invalidSettings("the address in the URL can't be read (\(shape))")
    }
    guard !host.isEmpty else { throw .invalidSettings("the URL has no host (\(shape))") }
  }

  private static func decoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var iterator = text.utf8.makeIterator()
    while let byte = iterator.next() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = iterator.next(), let low = iterator.next(),
        let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(value)
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
