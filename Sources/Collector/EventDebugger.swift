public import Events
import Synchronization

/// The last things that became of events, for people who look on: kept only while somebody does.
///
/// It sees events behind the gates, with what these left of them, and of refused ones only why. Nobody
/// having asked for ``watchMicros``, it costs one comparison per request. More than ``perSecondMax`` things
/// in a second are counted and not kept, so that looking on slows nothing down.
public final class EventDebugger: Sendable {
  public enum Outcome: String, CaseIterable, Sendable {
    /// In the log.
    case accepted
    /// Among the dead letters.
    case rejected
    /// Not stored on purpose.
    case dropped
    /// A request of which nothing was stored.
    case refused
  }

  struct Entry: Sendable {
    /// From 1, without gaps.
    var number: UInt64 = 0
    var time: Int64
    var outcome: Outcome
    var protocolName: String
    var path = ""
    var key: String
    var index = 0
    var code = ""
    var detail = ""
    var event: IncomingEvent?
    /// Of the event; its payload is left out where it is long.
    var payloadByteCount = 0
  }

  static let entriesMax = 500
  static let perSecondMax = 200
  /// How long after somebody asked the next one is waited for.
  static let watchMicros: Int64 = 30_000_000
  /// Of a payload that is kept.
  static let payloadBytesMax = 8 * 1024

  private struct State {
    var entries: [Entry] = []
    /// Of the next entry.
    var next: UInt64 = 1
    var second: Int64 = 0
    var inSecond = 0
    var skipped: UInt64 = 0
  }

  private let watchedUntil = Atomic<Int64>(0)
  private let state = Mutex(State())
  private let clock: CollectorClock

  public init(clock: CollectorClock = .system) { self.clock = clock }

  // MARK: On the way of requests

  func isWatched(_ now: Int64) -> Bool { now < watchedUntil.load(ordering: .relaxed) }

  /// - Returns: nil while nobody looks.
  func entries(
    _ passed: @autoclosure () -> PassedGates, _ ingest: IngestProtocol,
    _ endpoint: IngestEndpoint, _ key: WriteKey, _ now: Int64
  ) -> [Entry]? {
    guard isWatched(now) else { return nil }
    let passed = passed()
    func make(_ outcome: Outcome, _ index: Int) -> Entry {
      Entry(
        time: now, outcome: outcome, protocolName: ingest.name, path: endpoint.path, key: key.id,
        index: index)
    }
    var entries: [Entry] = []
    var places = passed.places
    for event in passed.events.prefix(Self.perSecondMax) {
      var entry = make(.accepted, places.next())
      entry.event = event
      entry.payloadByteCount = event.payload.count
      if event.payload.count > Self.payloadBytesMax { entry.event?.payload = [] }
      entries.append(entry)
    }
    for rejection in passed.rejections.prefix(Self.perSecondMax) {
      var entry = make(.rejected, rejection.index)
      entry.code = rejection.code.rawValue
      entry.detail = rejection.detail
      entry.payloadByteCount = rejection.byteCount
      entries.append(entry)
    }
    for drop in passed.dropped.prefix(Self.perSecondMax) {
      var entry = make(.dropped, drop.index)
      entry.code = drop.reason
      entries.append(entry)
    }
    let all = passed.events.count + passed.rejections.count + passed.dropped.count
    let skipped = all - entries.count
    if skipped > 0 { state.withLock { $0.skipped += UInt64(skipped) } }
    return entries
  }

  func add(_ entries: [Entry]?) {
    guard let entries, let time = entries.first?.time else { return }
    state.withLock { state in
      if state.second != time / 1_000_000 {
        state.second = time / 1_000_000
        state.inSecond = 0
      }
      for var entry in entries {
        guard state.inSecond < Self.perSecondMax else {
          state.skipped += 1
          continue
        }
        state.inSecond += 1
        entry.number = state.next
        state.next += 1
        state.entries.append(entry)
      }
      // Not at each entry: dropping the first moves all others.
      if state.entries.count >= 2 * Self.entriesMax {
        state.entries.removeFirst(state.entries.count - Self.entriesMax)
      }
    }
  }

  /// - Parameter key: the id of the write key, or a word where it is not known.
  func refused(
    _ protocolName: String, _ code: String, key: String = KeyMeters.unknown, detail: String = ""
  ) {
    let now = clock.nowMicros()
    guard isWatched(now) else { return }
    add([
      Entry(
        time: now, outcome: .refused, protocolName: protocolName, key: key, code: code,
        detail: detail)
    ])
  }

  /// An event that no request brought.
  ///
  /// - Parameter name: stands in the place of a protocol.
  public func stored(_ event: IncomingEvent, by name: String) {
    let now = clock.nowMicros()
    guard isWatched(now) else { return }
    var entry = Entry(time: now, outcome: .accepted, protocolName: name, key: "")
    entry.event = event
    entry.payloadByteCount = event.payload.count
    add([entry])
  }

  // MARK: For those who look

  struct Page {
    var entries: [Entry]
    /// What to ask after next.
    var last: UInt64
    /// Since the process began.
    var skipped: UInt64
  }

  /// The newest entries after a number, the oldest first. Who asks looks on for a while.
  func page(after number: UInt64, key: String?, outcome: Outcome?, limit: Int) -> Page {
    watchedUntil.store(clock.nowMicros() + Self.watchMicros, ordering: .relaxed)
    return state.withLock { state in
      let kept = state.entries.suffix(Self.entriesMax).filter {
        $0.number > number && (key == nil || $0.key == key)
          && (outcome == nil || $0.outcome == outcome)
      }
      return Page(
        entries: Array(kept.suffix(limit)), last: state.next - 1, skipped: state.skipped)
    }
  }
}

extension EventDebugger.Entry {
  func write(to json: inout JSONWriter) {
    json.beginObject()
    json.key("number")
    json.integer(number)
    let texts = [
      ("time", Timestamp.format(time)), ("outcome", outcome.rawValue),
      ("protocol", protocolName), ("path", path), ("key", key), ("code", code),
      ("detail", detail),
    ]
    for (name, text) in texts where !text.isEmpty {
      json.key(name)
      json.string(text)
    }
    if outcome != .refused {
      json.key("index")
      json.integer(index)
    }
    if payloadByteCount > 0 {
      json.key("bytes")
      json.integer(payloadByteCount)
    }
    if let event {
      json.key("event")
      event.writeDescription(to: &json, payload: !event.payload.isEmpty)
    }
    json.endObject()
  }
}

extension IncomingEvent {
  /// An event as people are shown it.
  func writeDescription(to json: inout JSONWriter, payload isShown: Bool) {
    json.beginObject()
    let texts = [
      ("id", id), ("kind", kind.name), ("name", name), ("time", Timestamp.format(eventTime)),
      ("received_at", Timestamp.format(receivedAt)),
      ("sent_at", sentAt == 0 ? "" : Timestamp.format(sentAt)), ("person", person.description),
      ("user", user == .zero ? "" : user.description), ("source", source), ("agent", agent),
    ]
    for (name, text) in texts where !text.isEmpty {
      json.key(name)
      json.string(text)
    }
    json.key("dimensions")
    DimensionTuple.write(encoded: dimensions, to: &json)
    if kind == .conversion {
      json.key("revenue_micros")
      json.integer(revenueMicros)
    }
    if bot != 0 {
      json.key("bot")
      writeVerdict(to: &json)
    }
    if !notes.isEmpty {
      json.key("notes")
      json.beginArray()
      for text in notes.texts { json.string(text) }
      json.endArray()
    }
    if isShown {
      json.key("payload")
      payload.withUnsafeBytes { json.raw($0) }
    }
    json.endObject()
  }

  /// Reasons may stand where the event counts as a person's: rules say which of them suffice.
  private func writeVerdict(to json: inout JSONWriter) {
    let verdict = BotVerdict(encoded: bot)
    let tuple = dimensions.withUnsafeBytes { DimensionTuple(encoded: $0) }
    json.beginObject()
    json.key("is_bot")
    json.bool(tuple?.traffic == DimensionTuple.bot)
    json.key("rules_version")
    json.integer(Int(verdict.version))
    json.key("reasons")
    json.beginArray()
    for name in verdict.reasons.names { json.string(name) }
    json.endArray()
    json.endObject()
  }
}
