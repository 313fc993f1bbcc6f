public import Events

/// What the edge knows of a request besides its events.
public struct RequestFacts {
  /// The `User-Agent` field; empty where there is none.
  public let userAgent: String
  /// The address that the request came from, such as `203.0.113.9`; empty where unknown.
  public let clientAddress: String
  /// The first field of a name.
  public let header: (String) -> String?
  /// Whether it comes from a browser that fetches a page before anybody wants to see it; looked up once for
  /// all events of the request.
  let isPrefetch: Bool
  /// Whether it comes from somebody's browser, as far as it says: then its address is that of a person.
  var isOfBrowser: Bool { userAgent.hasPrefix("Mozilla/") }
  /// What is encrypted of it; nil where nothing is to be.
  var claims: SealClaims?
  let memory = RequestMemory()

  public init(userAgent: String, clientAddress: String, header: @escaping (String) -> String?) {
    self.userAgent = userAgent
    self.clientAddress = clientAddress
    self.header = header
    isPrefetch = Self.prefetchFields.contains { name in
      guard let value = header(name)?.lowercased() else { return false }
      return value.hasPrefix("prefetch") || value.hasPrefix("preview")
        || value.hasPrefix("prerender")
    }
  }

  private static let prefetchFields = ["sec-purpose", "purpose", "x-purpose", "x-moz"]
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
  /// Told of the events of a request before the first one comes, so that what is far away in memory can be on its way.
  func expect(_ events: [IncomingEvent])

  /// Told of the events that have passed and are on their way to the log. What is only looked at, or refused
  /// because there is no room, does not come here.
  func taken(_ events: [IncomingEvent])

  /// Of a gate that refuses events: its name in their dead letters, for ever. They go on from it when
  /// they are read again.
  var name: String { get }

  /// - Throws: ``Refusal``: the event goes to the dead letters, as it was when it came here; who throws has not
  ///   changed it.
  func admit(
    _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
  ) throws(Refusal) -> GateVerdict

  /// What is refused as the dead letters may keep it; it has passed no gate.
  func clean(
    _ rejection: Rejection, _ request: borrowing RequestFacts, _ key: WriteKey,
    protocolName: String
  ) -> Rejection
}

extension EventGate {
  public func clean(
    _ rejection: Rejection, _ request: borrowing RequestFacts, _ key: WriteKey,
    protocolName: String
  ) -> Rejection { rejection }
}

extension EventGate {
  public var name: String { "" }
  public func expect(_ events: [IncomingEvent]) {}
  public func taken(_ events: [IncomingEvent]) {}
}

/// All gates in their order.
struct GateRow: Sendable {
  enum Passage {
    case passed
    case dropped(reason: String)
    case refused(Refusal, GateRefusal)
  }

  let gates: [any EventGate]

  func expect(_ events: [IncomingEvent]) {
    for gate in gates { gate.expect(events) }
  }

  func taken(_ events: [IncomingEvent]) {
    for gate in gates { gate.taken(events) }
  }

  /// What a protocol refused as the dead letters may keep it.
  func clean(
    _ rejection: Rejection, _ request: borrowing RequestFacts, _ key: WriteKey,
    _ protocolName: String
  ) -> Rejection {
    var rejection = rejection
    for gate in gates {
      rejection = gate.clean(rejection, request, key, protocolName: protocolName)
    }
    return rejection
  }

  /// - Parameter name: of the gate to begin with; nil: the first one.
  /// - Returns: nil where there is no gate of that name.
  func pass(
    _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey,
    from name: String?
  ) -> Passage? {
    guard let name else { return pass(&event, request, key) }
    return gates.firstIndex { $0.name == name }.map { pass(&event, request, key, from: $0) }
  }

  func pass(
    _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey,
    from first: Int = 0
  ) -> Passage {
    for index in first..<gates.count {
      do throws(Refusal) {
        if case .drop(let reason) = try gates[index].admit(&event, request, key) {
          return .dropped(reason: reason)
        }
      } catch {
        return .refused(error, GateRefusal(gate: gates[index].name, event: event))
      }
    }
    return .passed
  }
}

/// What became of a request's events at the gates.
struct PassedGates {
  var events: [IncomingEvent] = []
  /// Those of the protocol first, then those of the gates.
  var rejections: [Rejection]
  /// With their places in the batch.
  var dropped: [(index: Int, reason: String)] = []
  /// See ``RequestFacts/claims``.
  var claims: SealClaims?

  /// The places in the batch of ``events``.
  var places: PlacesInBatch {
    PlacesInBatch(without: rejections.map(\.index) + dropped.map { $0.index })
  }
}
