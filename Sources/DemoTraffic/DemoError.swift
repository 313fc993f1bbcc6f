public import HTTPClient

/// Why a demo run could not be done or compared.
public enum DemoError: Error, Sendable {
  case unreachable(HTTPClientError)
  /// The write key is unknown there.
  case keyRefused(status: Int, body: String)
  /// The collector does not accept events now.
  case ingestRefused(status: Int, body: String)
  case queryRefused(status: Int, body: String)
  case answerNotUnderstood(reason: String, body: String)
  /// Requests that were never acknowledged: whether they count is not known.
  case unacknowledged(requestCount: Int)
}

extension DemoError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unreachable(let error):
      "\(error); start it with `smartcontent dev`, or name another one with --url"
    case .keyRefused(let status, let body):
      "the write key was refused (status \(status)): \(Self.start(of: body)); pass one with --key"
    case .ingestRefused(let status, let body):
      "the collector answers \(status): \(Self.start(of: body)); is its log there?"
    case .queryRefused(let status, let body):
      "the query was answered with status \(status): \(Self.start(of: body))"
    case .answerNotUnderstood(let reason, let body):
      "the answer is not what the API promises: \(reason): \(Self.start(of: body))"
    case .unacknowledged(let requestCount):
      "\(requestCount) requests were not acknowledged in the time allowed, so the truth is not "
        + "known; see the server's log, then run again"
    }
  }

  private static func start(of body: String) -> String {
    body.isEmpty ? "(empty body)" : String(body.prefix(400))
  }
}
