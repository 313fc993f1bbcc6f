public import Events

/// That a person entered a segment, or left it, as the log has it: an event of kind ``EventKind/segment``.
///
///     {"segment":"customer","change":"entered","number":1}
///
/// `number` counts what the log has of the person and the segment. The id of the event is made from person, segment and
/// number, so that of several processes that see the same change all write the same event, which counts once; and one
/// that ends before its event is stored is no loss: the next one to read the log misses it, and writes it.
public struct SegmentEvent: Hashable, Sendable {
  public enum Change: String, CaseIterable, Sendable {
    case entered, left
    /// Still in: said again before the last event is further back than the memory of ``ProfilePolicy``.
    case stayed

    var eventName: String {
      switch self {
      case .entered: "Segment Entered"
      case .left: "Segment Left"
      case .stayed: "Segment Stayed"
      }
    }
  }

  public var person: Key128
  public var site: String
  /// The id of its rule.
  public var segment: String
  public var change: Change
  public var number: UInt64
  /// The log's time when it was seen, microseconds since the epoch.
  public var at: Int64

  public init(
    person: Key128, site: String, segment: String, change: Change, number: UInt64, at: Int64
  ) {
    self.person = person
    self.site = site
    self.segment = segment
    self.change = change
    self.number = number
    self.at = at
  }

  /// Ids of events are unique within it.
  public static let source = "segments"

  public var payload: [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("segment")
    json.string(segment)
    json.key("change")
    json.string(change.rawValue)
    json.key("number")
    json.integer(number)
    json.endObject()
    return json.bytes
  }

  /// - Parameter receivedAt: the clock of the process that writes it, microseconds since the epoch.
  public func event(receivedAt: Int64) -> IncomingEvent {
    let id = "\(person).\(segment).\(number)"
    return IncomingEvent(
      kind: .segment,
      key: EventIdentity.dedupeKey(site: site, source: Self.source, eventID: id),
      person: person, eventTime: at, receivedAt: receivedAt,
      dimensions: DimensionTuple(site: site).encoded, id: id, name: change.eventName,
      source: Self.source, payload: payload)
  }

  /// - Parameter at: its time.
  init(
    payload bytes: UnsafeRawBufferPointer, person: Key128, site: String, at: Int64
  ) throws(JSONError) {
    var json = JSONScanner(bytes)
    var (segment, change, number) = ("", Change.entered, UInt64(0))
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "segment": segment = try json.string()
      case "change": change = Change(rawValue: try json.string()) ?? change
      case "number": number = UInt64(clamping: try json.int64())
      default: try json.skipValue()
      }
    }
    try json.end()
    self.init(
      person: person, site: site, segment: segment, change: change, number: number, at: at)
  }
}
