/// The request methods that routes can be declared for.
public enum HTTPMethod: Int, CaseIterable, Sendable {
  case get, head, post, put, patch, delete, options

  /// The word on the wire, such as `GET`.
  public var name: String {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .patch: "PATCH"
    case .delete: "DELETE"
    case .options: "OPTIONS"
    }
  }
}
