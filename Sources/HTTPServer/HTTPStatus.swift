/// Every status that this program answers with, in one place (RFC 9110 section 15, RFC 6585). All
/// of them but 204 and 304 may have a body; others without (1xx) need another `ResponseWriter`.
public struct HTTPStatus: Hashable, Sendable {
  public let code: Int
  public let reason: StaticString

  private init(_ code: Int, _ reason: StaticString) {
    self.code = code
    self.reason = reason
  }

  public static let ok = HTTPStatus(200, "OK")
  public static let created = HTTPStatus(201, "Created")
  public static let accepted = HTTPStatus(202, "Accepted")
  public static let noContent = HTTPStatus(204, "No Content")
  public static let found = HTTPStatus(302, "Found")
  public static let notModified = HTTPStatus(304, "Not Modified")
  public static let badRequest = HTTPStatus(400, "Bad Request")
  public static let unauthorized = HTTPStatus(401, "Unauthorized")
  public static let forbidden = HTTPStatus(403, "Forbidden")
  public static let notFound = HTTPStatus(404, "Not Found")
  public static let methodNotAllowed = HTTPStatus(405, "Method Not Allowed")
  public static let requestTimeout = HTTPStatus(408, "Request Timeout")
  public static let conflict = HTTPStatus(409, "Conflict")
  public static let contentTooLarge = HTTPStatus(413, "Content Too Large")
  public static let unprocessableContent = HTTPStatus(422, "Unprocessable Content")
  public static let tooManyRequests = HTTPStatus(429, "Too Many Requests")
  public static let internalServerError = HTTPStatus(500, "Internal Server Error")
  public static let serviceUnavailable = HTTPStatus(503, "Service Unavailable")
  public static let gatewayTimeout = HTTPStatus(504, "Gateway Timeout")
  public static let versionNotSupported = HTTPStatus(505, "HTTP Version Not Supported")

  public static func == (a: HTTPStatus, b: HTTPStatus) -> Bool { a.code == b.code }

  public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}
