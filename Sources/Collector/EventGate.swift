public import Events

/// What the edge knows of a request besides its events.
public struct RequestFacts {
  /// The `User-Agent` field; empty where there is none.
  public let userAgent: String
  /// The client's address, such as `203.0.113.9`; empty where unknown.
  public let clientAddress: String
  /// The first field of a name.
  public let header: (String) -> String?

  public init(userAgent: String, clientAddress: String, header: @escaping (String) -> String?) {
    self.userAgent = userAgent
    self.clientAddress = clientAddress
    self.header = header
  }
}

/// What becomes of an event at a gate.
public enum GateVerdict: Hashable, Sendable {
  case pass
  /// It is not stored, and its sender is told that all is well: who asks not to be tracked must
  /// notice nothing. Counted by this reason.
  case drop(reason: String)
}

/// A step that every event passes between its protocol and the log, whatever the protocol: consent, bots,
/// schemas, privacy. Gates stand in a fixed order in ``IngestRoutes``; each may change the event.
///
/// Runs on the event loop: pure, no waiting, a microsecond or less for an ordinary event.
public protocol EventGate: Sendable {
  /// - Throws: ``Refusal``: the event goes to the dead letters.
  func admit(
    _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
  ) throws(Refusal) -> GateVerdict
}
