public import Events
import HTTPServer

/// Reads a dead letter once more, as the protocol that refused it would read it now.
///
/// The letter's bytes, place, site and source are those of the first time, and so are the event's
/// identity and time of receipt: what is accepted now counts once, however often it is sent. An event
/// that a gate refused is not read but goes on from that gate as it was there.
public struct DeadLetterReading: Sendable {
  public enum Outcome: Sendable {
    case accepted([IncomingEvent])
    /// It is refused again, with the reason.
    case refused(Rejection)
    /// A gate lets it be stored no more, and why.
    case dropped(reason: String)
    /// It cannot be read again, and why.
    case unreadable(String)
  }

  private let mapping: CompiledMapping
  private let gates: GateRow
  private static let key = "resend"
  /// A letter of a link is there only because the link was allowed to lead on; nobody is sent now.
  private static let anywhere = RedirectPolicy(isSigned: { _, _, _ in true }, hosts: [])

  /// - Parameter gates: what events pass once more, in the collector's order. Not those that judge by the
  ///   request, of which nothing is known any more.
  public init(mapping: CompiledMapping, gates: [any EventGate] = []) {
    self.mapping = mapping
    self.gates = GateRow(gates: gates)
  }

  /// - Parameters:
  ///   - source: as the letter's event has it, such as `segment/web`.
  ///   - receivedAt: when it was received first, microseconds since the epoch.
  ///   - uniqueID: an id for an event that has none of its own; the same for the same letter.
  public func read(
    _ letter: DeadLetter, site: String, source: String, receivedAt: Int64, uniqueID: String
  ) -> Outcome {
    guard letter.bodyByteCount == letter.body.count else {
      return .unreadable("only \(letter.body.count) of \(letter.bodyByteCount) bytes were kept")
    }
    let names = source.split(separator: "/", maxSplits: 1).map(String.init)
    let words = letter.place.split(separator: " ").map(String.init)
    guard names.count == 2, words.count >= 2,
      let ingest = ProtocolCatalog.all.first(where: { $0.name == names[0] }),
      let endpoint = ingest.endpoints.first(where: { $0.path == words[1] })
    else { return .unreadable("there is no way in called \(letter.place)") }
    let key = WriteKey(key: Self.key, site: site, source: names[1], mapping: mapping)
    if let gate = letter.gate {
      var event = gate.event
      event.payload = letter.body
      return pass([event], key, path: words[1], from: gate.gate)
    }
    var body = letter.body
    if words.count > 2 {
      guard words.count == 3, let place = BatchPlace(words[2]),
        let request = ingest.requestAgain(place, letter.body)
      else { return .unreadable("there is no place called \(letter.place)") }
      body = request
    }
    switch read(body, endpoint, key, receivedAt: receivedAt, uniqueID: uniqueID) {
    case .events(let events, let rejected, _, _):
      if !events.isEmpty { return pass(events, key, path: words[1]) }
      // In front of it are only those that hold its place.
      guard let last = rejected.last else { return .unreadable("it holds no event") }
      return .refused(last)
    case .refused(let rejection, _): return .refused(rejection)
    case .problem(_, let detail): return .unreadable(detail)
    case .unknownKey, .unknownKeyOnLink: return .unreadable("its write key is not known")
    }
  }

  private func read(
    _ body: [UInt8], _ endpoint: IngestEndpoint, _ key: WriteKey, receivedAt: Int64,
    uniqueID: String
  ) -> IngestReading {
    let authorization = "Basic " + Base64.encode(Array("\(Self.key):".utf8))
    return body.withUnsafeBytes { bytes in
      let isQuery = endpoint.method == .get
      let none = UnsafeRawBufferPointer(start: nil, count: 0)
      return endpoint.read(
        IngestInput(
          query: isQuery ? bytes : none, body: isQuery ? none : bytes,
          header: { $0.lowercased() == "authorization" ? authorization : nil },
          keys: WriteKeyTable(every: key), receivedAt: receivedAt, uniqueID: { uniqueID },
          redirects: Self.anywhere))
    }
  }

  /// - Parameter gate: where they go on; nil: at the first one.
  private func pass(
    _ events: [IncomingEvent], _ key: WriteKey, path: String, from gate: String? = nil
  ) -> Outcome {
    let nothing = RequestFacts(userAgent: "", clientAddress: "", header: { _ in nil })
    var passed: [IncomingEvent] = []
    for (index, var event) in events.enumerated() {
      switch gates.pass(&event, nothing, key, from: gate) {
      case .passed: passed.append(event)
      case .dropped(let reason): return .dropped(reason: reason)
      case .refused(let refusal, let gate):
        return .refused(Rejection(refusal, index: index, path: path, event: event, gate: gate))
      case nil: return .unreadable("there is no gate called \(gate ?? "")")
      }
    }
    return .accepted(passed)
  }
}

/// Where an event stood among others of its request, such as `batch[3]`.
public struct BatchPlace: Hashable, Sendable {
  /// No protocol takes more events in one request.
  private static let indexMax = 10_000

  /// The name of the array; empty where the whole body is one.
  public let array: String
  public let index: Int

  /// - Returns: nil where the text is none, such as `batch[3].event`.
  init?(_ text: String) {
    guard text.hasSuffix("]"), let bracket = text.firstIndex(of: "["),
      let index = Int(text[text.index(after: bracket)...].dropLast()),
      (0...Self.indexMax).contains(index)
    else { return nil }
    array = String(text[..<bracket])
    self.index = index
  }

  /// An array in which the event stands at its place. Ids that are derived tell places in a batch apart,
  /// so it must stand where it stood; what is in front of it is refused and counts for nothing.
  func list(_ event: [UInt8]) -> [UInt8] {
    var bytes = Array("[".utf8)
    bytes.reserveCapacity(2 * index + event.count + 2)
    for _ in 0..<index { bytes += Array("0,".utf8) }
    return bytes + event + Array("]".utf8)
  }

  /// The request of most protocols: the list as the named member of an object, or alone.
  public static func request(_ place: BatchPlace, _ event: [UInt8]) -> [UInt8]? {
    let list = place.list(event)
    return place.array.isEmpty
      ? list : Array("{\"\(place.array)\":".utf8) + list + Array("}".utf8)
  }
}
