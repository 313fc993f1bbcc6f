public import HTTPServer

/// Who may read: everybody on the same machine in development, else who has the token.
public struct QueryAccess: Sendable {
  private let token: [UInt8]?

  /// - Parameters:
  ///   - token: the secret that requests send as `Authorization: Bearer …`; nil for none.
  ///   - host: the address that the server is bound to.
  /// - Throws: ``QueryAccessError`` for an address beyond this machine without a token.
  public init(token: String?, boundTo host: String) throws(QueryAccessError) {
    if let token {
      guard token.utf8.count >= Self.tokenBytesMin else { throw .tokenTooShort }
      self.token = Array(token.utf8)
    } else {
      guard Self.isLoopback(host) else { throw .tokenMissing(host: host) }
      self.token = nil
    }
  }

  /// 128 bits in hexadecimal have 32 characters; half of that is the least that is accepted.
  public static let tokenBytesMin = 16

  /// - Throws: a 401 where the request does not carry the token.
  public func check(_ request: HTTPRequest) throws(Problem) {
    guard let token else { return }
    guard let field = request.header("Authorization") else {
      throw Self.refusal("send the query API's token as Authorization: Bearer …", error: nil)
    }
    let parts = field.split(separator: " ", omittingEmptySubsequences: true)
    guard parts.count == 2, parts[0].lowercased() == "bearer",
      Self.isEqual(Array(parts[1].utf8), token)
    else {
      throw Self.refusal("the token is not the query API's", error: "invalid_token")
    }
  }

  /// RFC 6750 section 3: no error code where no credentials came.
  private static func refusal(_ detail: String, error: String?) -> Problem {
    let challenge = #"Bearer realm="smartcontent""# + (error.map { #", error="\#($0)""# } ?? "")
    return Problem(
      .unauthorized, code: error ?? "token_missing", detail: detail,
      headers: [(name: "WWW-Authenticate", value: challenge)])
  }

  /// Takes the same time wherever the texts differ.
  private static func isEqual(_ given: [UInt8], _ wanted: [UInt8]) -> Bool {
    var difference = given.count ^ wanted.count
    for index in wanted.indices {
      difference |= Int(wanted[index] ^ (given.isEmpty ? 0 : given[index % given.count]))
    }
    return difference == 0
  }

  static func isLoopback(_ host: String) -> Bool {
    if host == "localhost" || host == "::1" || host == "[::1]" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }
}

/// Why the query API must not start.
public enum QueryAccessError: Error, Hashable, Sendable, CustomStringConvertible {
  case tokenMissing(host: String)
  case tokenTooShort

  public var description: String {
    switch self {
    case .tokenMissing(let host):
      "the query API on \(host) can be reached from other machines and has no token: set one in"
        + " SMARTCONTENT_TOKEN, or listen on 127.0.0.1"
    case .tokenTooShort:
      "the query API's token has fewer than \(QueryAccess.tokenBytesMin) characters: choose a"
        + " longer one"
    }
  }
}
