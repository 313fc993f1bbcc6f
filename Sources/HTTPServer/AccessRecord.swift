/// One answered request, for counters and logs. The observer runs on the event loop.
public struct AccessRecord: Sendable {
  /// The declared path, such as `/v1/content/{id}/metrics`; empty where none matched.
  public let route: String
  /// Of the declared path, from 1 in the order of declaration; 0 where none matched.
  public let routeNumber: Int
  public let method: HTTPMethod
  public let status: HTTPStatus
  public let requestBodyBytes: Int
  /// Bytes of the answer's body; 0 for a stream.
  public let responseBodyBytes: Int
  /// From the end of the request's header to the answer's last byte handed over.
  public let durationNanoseconds: UInt64
}
