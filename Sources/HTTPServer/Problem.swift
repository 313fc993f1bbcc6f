/// An error as HTTP clients see it: RFC 9457 `application/problem+json`.
///
/// Beside the members of the RFC it has `code`, a stable word for programs, and `message`, the
/// same text as `detail`: tracking SDKs print one of `code`, `message` and `detail`, each another.
///
///     {"type":"urn:smartcontent:problem:body_too_large","title":"Content Too Large",
///      "status":413,"detail":"…","code":"body_too_large","message":"…"}
public struct Problem: Error, Sendable {
  public static let contentType = "application/problem+json"

  public var status: HTTPStatus
  /// A stable word in snake case. It also ends the `type`.
  public var code: String
  /// What was wrong, where, what is allowed, the next step. Never data of other clients.
  public var detail: String
  /// Identifies this occurrence, such as a request id.
  public var instance: String?
  /// Sent as `Retry-After`, in seconds.
  public var retryAfterSeconds: Int?
  /// Further members: names with values that are JSON already.
  public var members: [(name: String, json: String)]
  /// Further header fields, such as `Allow`.
  public var headers: [(name: String, value: String)]

  public init(
    _ status: HTTPStatus, code: String, detail: String, instance: String? = nil,
    retryAfterSeconds: Int? = nil, members: [(name: String, json: String)] = [],
    headers: [(name: String, value: String)] = []
  ) {
    self.status = status
    self.code = code
    self.detail = detail
    self.instance = instance
    self.retryAfterSeconds = retryAfterSeconds
    self.members = members
    self.headers = headers
  }

  /// The JSON object.
  public var json: [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(192 + 2 * detail.utf8.count)
    output.append(contentsOf: #"{"type":"#.utf8)
    JSONText.append("urn:smartcontent:problem:" + code, to: &output)
    output.append(contentsOf: #","title":"#.utf8)
    JSONText.append(status.reason.description, to: &output)
    output.append(contentsOf: #","status":\#(status.code),"detail":"#.utf8)
    JSONText.append(detail, to: &output)
    if let instance {
      output.append(contentsOf: #","instance":"#.utf8)
      JSONText.append(instance, to: &output)
    }
    output.append(contentsOf: #","code":"#.utf8)
    JSONText.append(code, to: &output)
    output.append(contentsOf: #","message":"#.utf8)
    JSONText.append(detail, to: &output)
    for member in members {
      output.append(UInt8(ascii: ","))
      JSONText.append(member.name, to: &output)
      output.append(UInt8(ascii: ":"))
      output.append(contentsOf: member.json.utf8)
    }
    output.append(UInt8(ascii: "}"))
    return output
  }
}

extension Problem {
  /// The answer of an asynchronous route.
  public var response: HTTPResponse {
    HTTPResponse(status: status, headers: allHeaders, body: .bytes(json))
  }

  /// The answer of a fast route, serialised now: keep it where it is the same each time.
  public var prepared: PreparedResponse {
    PreparedResponse(status: status, headers: allHeaders, body: json)
  }

  private var allHeaders: [(name: String, value: String)] {
    var all = headers
    all.append((name: "Content-Type", value: Self.contentType))
    if let retryAfterSeconds {
      all.append((name: "Retry-After", value: String(retryAfterSeconds)))
    }
    return all
  }
}
