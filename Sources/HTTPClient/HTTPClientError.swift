/// Why a request brought no complete answer. An answer with any status is not an error.
public enum HTTPClientError: Error, Equatable, Sendable {
  /// The text is no `http://` or `https://` URL.
  case invalidURL(String)
  /// A header's name or value has a line break or a NUL, or the name is empty or has a colon.
  case invalidHeader(String)
  /// The host's name has no address.
  case cannotResolve(url: String)
  /// Nothing accepted the connection.
  case cannotConnect(url: String)
  /// The host's address is one of a private network or of this machine, which the settings refuse.
  case privateAddress(url: String)
  /// The whole exchange took longer than `milliseconds`.
  case timedOut(url: String, milliseconds: Int)
  /// The connection ended before the answer was complete; the server may have acted on the request.
  case connectionLost(url: String)
  /// The answer is longer than ``HTTPClientSettings/responseByteCountMax``.
  case responseTooLarge(url: String, byteCountMax: Int)
  /// The certificate or the TLS handshake was refused.
  case tlsFailed(url: String, reason: String)
  /// Anything else that libcurl reports, with its code.
  case failed(url: String, code: Int, reason: String)
  /// libcurl could not be started.
  case unavailable(reason: String)
}

extension HTTPClientError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .invalidURL(let url):
      "\"\(url)\" is not a URL; expected http://HOST[:PORT]/PATH or https://…"
    case .invalidHeader(let name):
      "the header \"\(name)\" can't be sent: its name must be a token and its value one line"
    case .cannotResolve(let url):
      "\(url): the host's name has no address; check the spelling and the DNS"
    case .cannotConnect(let url):
      "\(url): nothing accepts connections there; is the server running, and on this port?"
    case .privateAddress(let url):
      "\(url): its address is not one of the public internet, and only those are allowed"
    case .timedOut(let url, let milliseconds):
      "\(url): no complete answer within \(milliseconds) ms"
    case .connectionLost(let url):
      "\(url): the connection ended before the answer was complete"
    case .responseTooLarge(let url, let byteCountMax):
      "\(url): the answer is longer than the \(byteCountMax) bytes allowed"
    case .tlsFailed(let url, let reason):
      "\(url): no secure connection: \(reason)"
    case .failed(let url, let code, let reason):
      "\(url): \(reason) (libcurl code \(code))"
    case .unavailable(let reason):
      "libcurl can't be used: \(reason)"
    }
  }
}
