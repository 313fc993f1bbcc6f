/// Collects events and seals them as one frame, column by column.
///
/// One encoder is filled, sealed and filled again; its buffers keep their capacity. What has a fixed length is gathered
/// event by event, because that is one place to write to, and is laid out in columns when the frame is sealed.
public struct FrameEncoder: ~Copyable {
  /// What of an event has a fixed length.
  private struct Row: BitwiseCopyable {
    let key: Key128
    let person: Key128
    let user: Key128
    let eventTime: Int64
    let revenue: Int64
    let received: Int64
    let sent: Int64
    let tuple: UInt32
    let name: UInt32
    let source: UInt32
    let agent: UInt32
    let bot: UInt32
    let fingerprint: UInt32
    let kind: UInt8
  }

  private var rows: [Row] = []
  private var ids = TextColumn()
  private var payloads = TextColumn()
  private var tuples = TextColumn()
  private var labels = TextColumn()
  private var tupleIndex = TextIndex()
  private var labelIndex = TextIndex()
  /// Events in a row are often alike: comparing with the last one saves hashing.
  private var lastName: (text: String?, index: UInt32) = (nil, .max)
  private var lastSource: (text: String?, index: UInt32) = (nil, .max)
  private var lastAgent: (text: String?, index: UInt32) = (nil, .max)
  private var hasAgent = false
  private var hasBot = false
  private var hasRevenue = false
  private var hasSent = false
  private var hasUser = false
  private var hasFingerprint = false

  /// Columns of every frame that has events.
  private static let columnsAlways = 12

  public init() {}

  /// Events since the last seal.
  public var count: Int { rows.count }

  /// About how long the frame would be if it were sealed now, in bytes.
  public var byteCount: Int {
    FrameHeader.byteCount + rows.count * (hasUser ? 93 : 77) + ids.bytes.count
      + payloads.bytes.count
      + tuples.bytes.count + labels.bytes.count
  }

  public mutating func append(_ event: borrowing IncomingEvent) {
    let labels = labels(of: event)
    let tuple = event.dimensions.withUnsafeBytes { tupleIndex.number(of: $0, in: &tuples) }
    append(
      Row(
        key: event.key, person: event.person, user: event.user, eventTime: event.eventTime,
        revenue: event.revenueMicros, received: event.receivedAt, sent: event.sentAt, tuple: tuple,
        name: labels.name, source: labels.source, agent: labels.agent, bot: event.bot,
        fingerprint: event.fingerprint, kind: event.kind.rawValue))
    ids.append(event.id)
    event.payload.withUnsafeBytes { payloads.append($0) }
  }

  /// What of an event stands in its frame once for all that have the same.
  public struct Labels: BitwiseCopyable, Sendable {
    fileprivate let name: UInt32
    fileprivate let source: UInt32
    fileprivate let agent: UInt32
  }

  /// The labels of an event, which hold until the frame is sealed.
  public mutating func labels(of event: borrowing IncomingEvent) -> Labels {
    if event.name != lastName.text { lastName = (event.name, label(event.name)) }
    if event.source != lastSource.text { lastSource = (event.source, label(event.source)) }
    if event.agent != lastAgent.text {
      lastAgent = (event.agent, event.agent.isEmpty ? 0 : label(event.agent) + 1)
    }
    return Labels(name: lastName.index, source: lastSource.index, agent: lastAgent.index)
  }

  /// An event that is no whole one: its texts stay where they are until they are in the frame.
  public struct Parts {
    public var kind: EventKind
    public var key: Key128
    public var person: Key128
    public var user: Key128
    public var eventTime: Int64
    public var receivedAt: Int64
    public var sentAt: Int64
    public var revenueMicros: Int64
    public var fingerprint: UInt32
    public var bot: UInt32
    public var labels: Labels
    public var dimensions: UnsafeRawBufferPointer
    public var id: UnsafeRawBufferPointer
    public var payload: UnsafeRawBufferPointer

    /// Each as in ``IncomingEvent``.
    public init(
      kind: EventKind, key: Key128, person: Key128, user: Key128, eventTime: Int64,
      receivedAt: Int64, sentAt: Int64, revenueMicros: Int64, fingerprint: UInt32, bot: UInt32,
      labels: Labels, dimensions: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer,
      payload: UnsafeRawBufferPointer
    ) {
      self.kind = kind
      self.key = key
      self.person = person
      self.user = user
      self.eventTime = eventTime
      self.receivedAt = receivedAt
      self.sentAt = sentAt
      self.revenueMicros = revenueMicros
      self.fingerprint = fingerprint
      self.bot = bot
      self.labels = labels
      self.dimensions = dimensions
      self.id = id
      self.payload = payload
    }
  }

  /// The same as ``append(_:)-(IncomingEvent)`` of the whole event.
  public mutating func append(_ parts: Parts) {
    append(
      Row(
        key: parts.key, person: parts.person, user: parts.user, eventTime: parts.eventTime,
        revenue: parts.revenueMicros, received: parts.receivedAt, sent: parts.sentAt,
        tuple: tupleIndex.number(of: parts.dimensions, in: &tuples), name: parts.labels.name,
        source: parts.labels.source, agent: parts.labels.agent, bot: parts.bot,
        fingerprint: parts.fingerprint, kind: parts.kind.rawValue))
    ids.append(parts.id)
    payloads.append(parts.payload)
  }

  private mutating func append(_ row: Row) {
    rows.append(row)
    hasUser = hasUser || row.user != .zero
    hasFingerprint = hasFingerprint || row.fingerprint != 0
    hasRevenue = hasRevenue || row.revenue != 0
    hasSent = hasSent || row.sent != 0
    hasAgent = hasAgent || row.agent != 0
    hasBot = hasBot || row.bot != 0
  }

  private mutating func label(_ text: String) -> UInt32 {
    var text = text
    return text.withUTF8 { labelIndex.number(of: UnsafeRawBufferPointer($0), in: &labels) }
  }

  /// Seals what was appended since the last seal and starts anew.
  ///
  /// - Parameter header: `count` and `receivedBase` are filled in here.
  public mutating func seal(_ header: FrameHeader) -> [UInt8] {
    var header = header
    header.count = rows.count
    let base = rows.lazy.map(\.received).min() ?? 0
    header.receivedBase = base
    let optional = [hasUser, hasRevenue, hasSent, hasFingerprint, hasAgent, hasBot]
    var body = FrameBody(
      columns: rows.isEmpty ? 0 : Self.columnsAlways + optional.count { $0 },
      reserving: byteCount + 512)
    if !rows.isEmpty {
      write(.kind, to: &body) { $0.kind }
      write(.tuple, to: &body) { $0.tuple }
      write(.eventTime, to: &body) { $0.eventTime }
      write(.key, to: &body) { $0.key }
      write(.person, to: &body) { $0.person }
      if hasUser { write(.user, to: &body) { $0.user } }
      if hasRevenue { write(.revenue, to: &body) { $0.revenue } }
      // A request that waited over an hour for its frame would overflow; the clamp keeps the order.
      write(.received, to: &body) { UInt32(clamping: $0.received - base) }
      if hasSent { write(.sent, to: &body) { $0.sent } }
      if hasFingerprint { write(.fingerprint, to: &body) { $0.fingerprint } }
      body.begin(.tuples)
      tuples.write(to: &body)
      body.begin(.ids)
      ids.write(to: &body)
      write(.name, to: &body) { $0.name }
      write(.source, to: &body) { $0.source }
      if hasAgent { write(.agent, to: &body) { $0.agent } }
      if hasBot { write(.bot, to: &body) { $0.bot } }
      body.begin(.labels)
      labels.write(to: &body)
      body.begin(.payloads)
      payloads.write(to: &body)
    }
    reset()
    return body.frame(header)
  }

  /// One value of each row, one after the other.
  @inline(__always)
  private func write<Value: BitwiseCopyable>(
    _ column: FrameColumn, to body: inout FrameBody, _ value: (Row) -> Value
  ) {
    body.begin(column)
    let rows = rows
    let values = [Value](unsafeUninitializedCapacity: rows.count) { values, count in
      rows.withUnsafeBufferPointer { rows in
        for index in rows.indices {
          values.initializeElement(at: index, to: value(rows[index]))
        }
        count = rows.count
      }
    }
    values.withUnsafeBytes { body.append(column: $0) }
  }

  /// A frame without events that moves log time forward.
  public static func heartbeat(_ header: FrameHeader) -> [UInt8] {
    FrameBody(columns: 0, reserving: 0).frame(header)
  }

  private mutating func reset() {
    rows.removeAll(keepingCapacity: true)
    ids.removeAll()
    payloads.removeAll()
    tuples.removeAll()
    labels.removeAll()
    tupleIndex.removeAll()
    labelIndex.removeAll()
    lastName = (nil, .max)
    lastSource = (nil, .max)
    lastAgent = (nil, .max)
    hasAgent = false
    hasBot = false
    hasRevenue = false
    hasSent = false
    hasUser = false
    hasFingerprint = false
  }
}
