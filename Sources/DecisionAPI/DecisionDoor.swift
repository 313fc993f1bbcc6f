public import Events
public import HTTPServer

/// What a request says beside its body.
public struct DecisionCall {
  /// Without `?`.
  public var query: String
  /// The peer's address without port; empty where unknown.
  public var address: String
  /// The first field of a name.
  public var header: (String) -> String?

  public init(query: String, address: String, header: @escaping (String) -> String?) {
    self.query = query
    self.address = address
    self.header = header
  }

  init(_ request: HTTPRequest) {
    self.init(query: request.query, address: request.remoteAddress) { request.header($0) }
  }

  init(_ request: FastRequest) {
    let query = request.withQuery { span in
      span.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
    self.init(query: query, address: request.remoteAddress) { request.header($0) }
  }
}

/// Who may ask for decisions: those who have a write key.
public protocol DecisionDoor: Sendable {
  /// - Parameter named: the write key that the body names; else the request says it.
  /// - Throws: a 401, 403 or 429.
  func admit(_ call: DecisionCall, named: String?) throws(Problem) -> any DecisionGuest
  /// The JSON in the body of a PostHog request, taken out of what it is wrapped in; nil where it cannot be read.
  func postHogJSON(query: String, body: [UInt8]) -> [UInt8]?
  /// What PostHog's SDKs for browsers ask for besides flags: members of a JSON object.
  var postHogSettings: [(name: String, json: String)] { get }
}

/// Who asks.
public protocol DecisionGuest {
  var site: String { get }
  /// The person as the events of this write key have it.
  func person(_ id: String) -> Key128
  /// A text as the write key lets it into the log.
  func cleaned(_ text: String) -> String
  /// Attaches to an event what the request tells of its sender.
  ///
  /// - Returns: false where the person asks for nothing to be stored.
  func admits(_ event: inout IncomingEvent) -> Bool
}

/// What became of events on their way into the log.
public enum DecisionStorage: Sendable, Hashable {
  /// At this position; nil while they wait in the collector's spool.
  case stored(String?)
  /// There was no room for them.
  case refused
  /// Not known to be stored in time.
  case unavailable
}

/// The way into the log. The completion comes once, from any thread.
public typealias DecisionStore =
  @Sendable ([IncomingEvent], _ completion: @escaping @Sendable (DecisionStorage) -> Void) -> Void
