public import Events
import HTTPServer

/// Reads a dead letter once more, as the protocol that refused it would read it now.
///
/// The letter's bytes, place, site and source are those of the first time, and so are the event's
/// identity and time of receipt: what is accepted now counts once, however often it is sent.
public struct DeadLetterReading: Sendable {
  public enum Outcome: Sendable {
    case accepted([IncomingEvent])
    /// It is refused again, with the reason.
    case refused(code: String, detail: String)
    /// It cannot be read again, and why.
    case unreadable(String)
  }

  private let mapping: CompiledMapping
  private static let key = "resend"
  /// A letter of a link is there only because the link was allowed to lead on; nobody is sent now.
  private static let anywhere = RedirectPolicy(isSigned: { _, _, _ in true }, hosts: [])

  public init(mapping: CompiledMapping) { self.mapping = mapping }

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
    var body = letter.body
    if words.count > 2 {
      guard let index = Self.index(words[2]) else {
        return .unreadable("there is no place called \(letter.place)")
      }
      // Derived ids tell places in a batch apart, so it stands where it stood.
      body = Array("{\"batch\":[".utf8)
      for _ in 0..<index { body += Array("0,".utf8) }
      body += letter.body + Array("]}".utf8)
    }
    let key = WriteKey(key: Self.key, site: site, source: names[1], mapping: mapping)
    let authorization = "Basic " + Base64.encode(Array("\(Self.key):".utf8))
    let reading = body.withUnsafeBytes { bytes in
      let isQuery = endpoint.method == .get
      let none = UnsafeRawBufferPointer(start: nil, count: 0)
      return endpoint.read(
        IngestInput(
          query: isQuery ? bytes : none, body: isQuery ? none : bytes,
          header: { $0.lowercased() == "authorization" ? authorization : nil },
          keys: WriteKeyTable(every: key), receivedAt: receivedAt, uniqueID: { uniqueID },
          redirects: Self.anywhere))
    }
    switch reading {
    case .events(let events, let rejected, _, _):
      if !events.isEmpty { return .accepted(events) }
      guard let last = rejected.last else { return .unreadable("it holds no event") }
      return .refused(code: last.code.rawValue, detail: last.detail)
    case .refused(let rejection, _):
      return .refused(code: rejection.code.rawValue, detail: rejection.detail)
    case .problem(let code, let detail): return .refused(code: code, detail: detail)
    case .unknownKey, .unknownKeyOnLink: return .unreadable("its write key is not known")
    }
  }

  /// The number in `batch[3]`.
  private static func index(_ text: String) -> Int? {
    guard text.hasPrefix("batch["), text.hasSuffix("]"),
      let index = Int(text.dropFirst(6).dropLast()),
      (0..<PostHogProtocol.batchEventsMax).contains(index)
    else { return nil }
    return index
  }
}
