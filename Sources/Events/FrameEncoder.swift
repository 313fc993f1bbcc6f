/// Collects events into columns and seals them as one frame.
///
/// One encoder is filled, sealed and filled again; its buffers keep their capacity. Costs about
/// 100 ns per event beside copying its text.
public struct FrameEncoder: ~Copyable {
  private var kinds: [UInt8] = []
  private var tupleIndices: [UInt32] = []
  private var eventTimes: [Int64] = []
  private var keys: [Key128] = []
  private var persons: [Key128] = []
  private var users: [Key128] = []
  private var fingerprints: [UInt32] = []
  private var revenues: [Int64] = []
  private var received: [Int64] = []
  private var sent: [Int64] = []
  private var names: [UInt32] = []
  private var sources: [UInt32] = []
  private var agents: [UInt32] = []
  private var bots: [UInt32] = []
  private var ids = TextColumn()
  private var payloads = TextColumn()
  private var tuples = TextColumn()
  private var labels = TextColumn()
  private var tupleIndex = TextIndex()
  private var labelIndex = TextIndex()
  /// Events in a row are often alike: comparing with the last one saves hashing.
  private var lastTuple: (bytes: [UInt8]?, index: UInt32) = (nil, .max)
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
  public var count: Int { kinds.count }

  /// About how long the frame would be if it were sealed now, in bytes.
  public var byteCount: Int {
    FrameHeader.byteCount + kinds.count * (hasUser ? 93 : 77) + ids.bytes.count
      + payloads.bytes.count
      + tuples.bytes.count + labels.bytes.count
  }

  public mutating func append(_ event: borrowing IncomingEvent) {
    kinds.append(event.kind.rawValue)
    tupleIndices.append(tuple(event.dimensions))
    eventTimes.append(event.eventTime)
    keys.append(event.key)
    persons.append(event.person)
    users.append(event.user)
    hasUser = hasUser || event.user != .zero
    fingerprints.append(event.fingerprint)
    hasFingerprint = hasFingerprint || event.fingerprint != 0
    revenues.append(event.revenueMicros)
    hasRevenue = hasRevenue || event.revenueMicros != 0
    received.append(event.receivedAt)
    sent.append(event.sentAt)
    hasSent = hasSent || event.sentAt != 0
    if event.name != lastName.text { lastName = (event.name, label(event.name)) }
    names.append(lastName.index)
    if event.source != lastSource.text { lastSource = (event.source, label(event.source)) }
    sources.append(lastSource.index)
    if event.agent != lastAgent.text {
      lastAgent = (event.agent, event.agent.isEmpty ? 0 : label(event.agent) + 1)
    }
    agents.append(lastAgent.index)
    hasAgent = hasAgent || lastAgent.index != 0
    bots.append(event.bot)
    hasBot = hasBot || event.bot != 0
    ids.append(event.id)
    event.payload.withUnsafeBytes { payloads.append($0) }
  }

  private mutating func tuple(_ dimensions: [UInt8]) -> UInt32 {
    if dimensions == lastTuple.bytes { return lastTuple.index }
    let index = dimensions.withUnsafeBytes { tupleIndex.number(of: $0, in: &tuples) }
    lastTuple = (dimensions, index)
    return index
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
    header.count = kinds.count
    header.receivedBase = received.min() ?? 0
    let base = header.receivedBase
    // A request that waited over an hour for its frame would overflow; the clamp keeps the order.
    let receivedDeltas = received.map { UInt32(clamping: $0 - base) }
    let optional = [hasUser, hasRevenue, hasSent, hasFingerprint, hasAgent, hasBot]
    var body = FrameBody(
      columns: kinds.isEmpty ? 0 : Self.columnsAlways + optional.count { $0 },
      reserving: byteCount + 512)
    if !kinds.isEmpty {
      body.begin(.kind)
      kinds.withUnsafeBytes { body.append(column: $0) }
      body.begin(.tuple)
      tupleIndices.withUnsafeBytes { body.append(column: $0) }
      body.begin(.eventTime)
      eventTimes.withUnsafeBytes { body.append(column: $0) }
      body.begin(.key)
      keys.withUnsafeBytes { body.append(column: $0) }
      body.begin(.person)
      persons.withUnsafeBytes { body.append(column: $0) }
      if hasUser {
        body.begin(.user)
        users.withUnsafeBytes { body.append(column: $0) }
      }
      if hasRevenue {
        body.begin(.revenue)
        revenues.withUnsafeBytes { body.append(column: $0) }
      }
      body.begin(.received)
      receivedDeltas.withUnsafeBytes { body.append(column: $0) }
      if hasSent {
        body.begin(.sent)
        sent.withUnsafeBytes { body.append(column: $0) }
      }
      if hasFingerprint {
        body.begin(.fingerprint)
        fingerprints.withUnsafeBytes { body.append(column: $0) }
      }
      body.begin(.tuples)
      tuples.write(to: &body)
      body.begin(.ids)
      ids.write(to: &body)
      body.begin(.name)
      names.withUnsafeBytes { body.append(column: $0) }
      body.begin(.source)
      sources.withUnsafeBytes { body.append(column: $0) }
      if hasAgent {
        body.begin(.agent)
        agents.withUnsafeBytes { body.append(column: $0) }
      }
      if hasBot {
        body.begin(.bot)
        bots.withUnsafeBytes { body.append(column: $0) }
      }
      body.begin(.labels)
      labels.write(to: &body)
      body.begin(.payloads)
      payloads.write(to: &body)
    }
    reset()
    return body.frame(header)
  }

  /// A frame without events that moves log time forward.
  public static func heartbeat(_ header: FrameHeader) -> [UInt8] {
    FrameBody(columns: 0, reserving: 0).frame(header)
  }

  private mutating func reset() {
    kinds.removeAll(keepingCapacity: true)
    tupleIndices.removeAll(keepingCapacity: true)
    eventTimes.removeAll(keepingCapacity: true)
    keys.removeAll(keepingCapacity: true)
    persons.removeAll(keepingCapacity: true)
    users.removeAll(keepingCapacity: true)
    fingerprints.removeAll(keepingCapacity: true)
    revenues.removeAll(keepingCapacity: true)
    received.removeAll(keepingCapacity: true)
    sent.removeAll(keepingCapacity: true)
    names.removeAll(keepingCapacity: true)
    sources.removeAll(keepingCapacity: true)
    agents.removeAll(keepingCapacity: true)
    bots.removeAll(keepingCapacity: true)
    ids.removeAll()
    payloads.removeAll()
    tuples.removeAll()
    labels.removeAll()
    tupleIndex.removeAll()
    labelIndex.removeAll()
    lastTuple = (nil, .max)
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
