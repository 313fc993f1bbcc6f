/// A whole request as an asynchronous route gets it.
public struct HTTPRequest: Sendable {
  public let method: HTTPMethod
  /// The path as it came, without query, still percent-encoded.
  public let path: String
  /// The query as it came, without `?`; empty where there is none.
  public let query: String
  /// The decoded values of the route's `{name}` segments.
  public let parameters: [String: String]
  public let body: [UInt8]
  /// The client's address without port; see ``FastRequest/remoteAddress``.
  public let remoteAddress: String
  /// See ``FastRequest/isSecure``.
  public let isSecure: Bool
  private let fields: [(name: String, value: String)]

  init(
    head: RequestHead, method: HTTPMethod, parameters: [String: String], body: [UInt8],
    remoteAddress: String, isSecure: Bool
  ) {
    self.method = method
    self.isSecure = isSecure
    path = head.path
    query = head.query
    self.parameters = parameters
    self.body = body
    self.remoteAddress = remoteAddress
    fields = head.headerFields
  }

  /// For routes that are asked without a server.
  public init(
    method: HTTPMethod, path: String, query: String = "", parameters: [String: String] = [:],
    headers: [(String, String)] = [], body: [UInt8] = [], remoteAddress: String = "127.0.0.1"
  ) {
    self.method = method
    isSecure = false
    self.path = path
    self.query = query
    self.parameters = parameters
    self.body = body
    self.remoteAddress = remoteAddress
    fields = headers.map { (name: $0.0, value: $0.1) }
  }

  /// The first field of this name, in any case of letters.
  public func header(_ name: String) -> String? {
    fields.first { HeaderText.isSame($0.name, name) }?.value
  }

  /// All fields of this name, in order.
  public func headers(_ name: String) -> [String] {
    fields.filter { HeaderText.isSame($0.name, name) }.map(\.value)
  }

  /// The query's fields, decoded, in order.
  ///
  /// - Returns: nil where an escape is malformed or the text is not UTF-8.
  public func queryFields() -> [(name: String, value: String)]? {
    let bytes = Array(query.utf8)
    let span = bytes.span.bytes
    var fields: [(name: String, value: String)] = []
    var scanner = QueryScanner()
    while let field = scanner.next(in: span) {
      guard let name = Self.text(field.name, in: span), let value = Self.text(field.value, in: span)
      else { return nil }
      fields.append((name: name, value: value))
    }
    return fields
  }

  private static func text(_ range: Range<Int>, in span: RawSpan) -> String? {
    var decoded: [UInt8] = []
    guard PercentEncoding.decode(range, in: span, to: &decoded) else { return nil }
    return String(validating: decoded, as: UTF8.self)
  }
}
