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

/// A gate that need not see an event whole that is like another one of its batch (``EventRow``).
protocol RowGate: EventGate {
  /// As ``EventGate/expect(_:)``, of those that are not whole.
  func expect(_ rows: [EventRow])

  /// Whether what became of an event here becomes of all that are like it, but for what ``admit(_:_:)`` does. Asked once
  /// for all of them, behind all gates.
  ///
  /// - Parameter template: the event's number among those that others are like.
  func admitsAlike(
    _ event: borrowing IncomingEvent, template: Int, _ request: borrowing RequestFacts,
    _ key: WriteKey
  ) -> Bool

  /// Whether rows go through ``admit(_:_:)``.
  var looksAtRows: Bool { get }

  /// - Parameter row: with the verdict on the event that it is like.
  func admit(_ row: inout EventRow, _ request: borrowing RequestFacts)

  /// As ``EventGate/taken(_:)``.
  func taken(_ events: EventBatch)
}

extension RowGate {
  var looksAtRows: Bool { false }
  func expect(_ rows: [EventRow]) {}
  func admit(_ row: inout EventRow, _ request: borrowing RequestFacts) {}
  func taken(_ events: EventBatch) {}
}

/// All gates in their order.
struct GateRow: Sendable {
  enum Passage {
    case passed
    case dropped(reason: String)
    case refused(Refusal, GateRefusal)
  }

  let gates: [any EventGate]
  /// The same, if all are such.
  let rowGates: [any RowGate]?
  /// Those of them that look at rows.
  private let rowReaders: [any RowGate]

  init(gates: [any EventGate]) {
    self.gates = gates
    let rowGates = gates.compactMap { $0 as? any RowGate }
    self.rowGates = rowGates.count == gates.count ? rowGates : nil
    rowReaders = rowGates.filter { $0.looksAtRows }
  }

  func expect(_ events: [IncomingEvent]) {
    for gate in gates { gate.expect(events) }
  }

  func taken(_ events: EventBatch) {
    if events.rows == nil {
      for gate in gates { gate.taken(events.whole) }
    } else {
      for gate in rowGates ?? [] { gate.taken(events) }
    }
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

extension GateRow {
  /// The events of a batch in their order: whole ones as all others, and what is like one of them as the gates have said of
  /// that one.
  ///
  /// - Parameter events: the whole ones.
  /// - Returns: nil where some gate has to see every event as a whole, or stops one.
  func pass(
    _ rows: EventRows, _ events: [IncomingEvent], _ request: borrowing RequestFacts, _ key: WriteKey
  ) -> PassedGates? {
    guard let gates = rowGates else { return nil }
    var (rows, events) = (rows, events)
    expect(events)
    for gate in gates { gate.expect(rows.list) }
    // By template: whether the gates were asked.
    var isAdmitted: UInt64 = 0
    for index in rows.list.indices {
      let whole = rows.list[index].whole
      if rows.list[index].isWhole {
        request.memory.likeness = rows.list[index].likeness
        guard case .passed = pass(&events[whole], request, key) else { return nil }
        continue
      }
      let template = Int(rows.list[index].template)
      if isAdmitted >> UInt64(template) & 1 == 0 {
        for gate in gates
        where !gate.admitsAlike(events[whole], template: template, request, key) { return nil }
        isAdmitted |= 1 << UInt64(template)
      }
      rows.list[index].bot = events[whole].bot
      // By their places: gates are large, and handing one out copies it.
      for reader in rowReaders.indices { rowReaders[reader].admit(&rows.list[index], request) }
    }
    var passed = PassedGates(rejections: [])
    (passed.events, passed.rows) = (events, rows)
    return passed
  }
}

/// What became of a request's events at the gates.
struct PassedGates {
  /// All that passed, or the whole ones of them where there are ``rows``.
  var events: [IncomingEvent] = []
  var rows: EventRows?
  /// Those of the protocol first, then those of the gates.
  var rejections: [Rejection]
  /// With their places in the batch.
  var dropped: [(index: Int, reason: String)] = []
  /// See ``RequestFacts/claims``.
  var claims: SealClaims?

  /// - Parameter body: what rows borrow.
  func batch(in body: UnsafeRawBufferPointer) -> EventBatch {
    rows.map { EventBatch($0, events, in: body) } ?? EventBatch(events)
  }

  /// The places in the batch of ``events``.
  var places: PlacesInBatch {
    PlacesInBatch(without: rejections.map(\.index) + dropped.map { $0.index })
  }
}
