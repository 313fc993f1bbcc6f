public import Events
public import HTTPServer

/// Lets requests in that ask something with a write key, by the same rules as those that bring events: the key, the
/// pages that may use it, its rate.
public final class WriteKeyDoor: Sendable {
  private let keys: @Sendable () -> WriteKeyTable
  private let gates: GateRow
  private let agents = AgentCache()
  private let clock: CollectorClock

  /// - Parameters:
  ///   - keys: the write keys that are accepted now; asked for once per request.
  ///   - gates: what events pass that are made for a request: consent and bots. Their payloads are written by
  ///     this installation, of texts that were ``WriteKeyGuest/cleaned(_:)``.
  public init(
    keys: @autoclosure @escaping @Sendable () -> WriteKeyTable, gates: [any EventGate],
    clock: CollectorClock = .system
  ) {
    self.keys = keys
    self.gates = GateRow(gates: gates)
    self.clock = clock
  }

  /// - Parameters:
  ///   - named: the key that the body names; else it is in the authorization or in the query's `k`.
  ///   - query: without `?`.
  ///   - header: the first field of a name.
  /// - Throws: a 401, 403 or 429.
  public func admit(
    named: String?, query: String, address: String, header: @escaping (String) -> String?
  ) throws(Problem) -> WriteKeyGuest {
    let name =
      named
      ?? Array(query.utf8).withUnsafeBytes { query in
        let authorization = header("authorization")
        return BasicAuthorization.writeKey(authorization) ?? WriteKeyName.bearer(authorization)
          ?? QueryField.text("k", in: query)
      }
    guard let key = name.flatMap({ keys().find($0) }) else {
      throw Problem(
        .unauthorized, code: "unknown_write_key",
        detail:
          "The write key is missing or unknown; send it in the body (k, of PostHog's SDKs api_key or"
          + " token), as k in the query, or by Basic or Bearer authorization.",
        headers: [(name: "WWW-Authenticate", value: "Basic realm=\"write key\"")])
    }
    if let origin = header("origin"), !key.allows(origin: origin) {
      throw Problem(
        .forbidden, code: KeyRefusal.Reason.origin.rawValue,
        detail: "Pages of this origin may not use this write key; add the origin to the key's list."
      )
    }
    let empty = key.rateLimit?.take(1, nowMicros: clock.steadyMicros()) ?? 0
    if empty > 0 {
      throw Problem(
        .tooManyRequests, code: KeyRefusal.Reason.rate.rawValue,
        detail: "This write key asks and sends more per second than it may; wait for the seconds of"
          + " Retry-After.", retryAfterSeconds: Int((empty + 999_999) / 1_000_000))
    }
    let facts = RequestFacts(
      userAgent: header("user-agent") ?? "", clientAddress: address, header: header)
    return WriteKeyGuest(key: key, facts: facts, gates: gates, agents: agents)
  }
}

/// Whose request it is. Belongs to the request, on its event loop.
public struct WriteKeyGuest {
  let key: WriteKey
  let facts: RequestFacts
  let gates: GateRow
  let agents: AgentCache

  public var site: String { key.site }

  /// The person as the events of this key have it.
  public func person(_ id: String) -> Key128 { key.identity.personKey(id: key.identify(id)) }

  /// A text as the key lets it into the log.
  public func cleaned(_ text: String) -> String {
    key.policy.personalData == .keep ? text : PersonalText.removed(from: text)
  }

  /// Attaches to an event what the request tells of its sender.
  ///
  /// - Returns: false where the person asks for nothing to be stored.
  public func admits(_ event: inout IncomingEvent) -> Bool {
    event.agent = agents.agent(facts.userAgent).label
    guard case .passed = gates.pass(&event, facts, key) else { return false }
    gates.taken(EventBatch([event]))
    return true
  }
}

/// What PostHog's SDKs wrap their requests in, for requests that are no events.
public enum PostHogRequest {
  /// - Returns: the JSON of the body; nil where it is none that can be read.
  public static func json(query: String, body: [UInt8]) -> [UInt8]? {
    Array(query.utf8).withUnsafeBytes { query in
      body.withUnsafeBytes { bytes in
        let input = IngestInput(
          query: query, body: bytes, header: { _ in nil }, keys: WriteKeyTable([]), receivedAt: 0,
          uniqueID: { "" })
        do {
          return try PostHogBody.unwrapped(input) ?? body
        } catch {
          return nil
        }
      }
    }
  }
}
