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
  private var revenues: [Int64] = []
  private var received: [Int64] = []
  private var sent: [Int64] = []
  private var names: [UInt32] = []
  private var sources: [UInt32] = []
  private var ids = TextColumn()
  private var payloads = TextColumn()
  private var tuples = TextColumn()
  private var labels = TextColumn()
  private var tupleIndex: [[UInt8]: UInt32] = [:]
  private var labelIndex: [String: UInt32] = [:]
  /// Events in a row are often alike: comparing with the last one saves hashing.
  private var lastTuple: (bytes: [UInt8], index: UInt32) = ([], .max)
  private var lastName: (text: String?, index: UInt32) = (nil, .max)
  private var lastSource: (text: String?, index: UInt32) = (nil, .max)
  private var hasRevenue = false
  private var hasSent = false

  public init() {}

  /// Events since the last seal.
  public var count: Int { kinds.count }

  /// About how long the frame would be if it were sealed now, in bytes.
  public var byteCount: Int {
    FrameHeader.byteCount + kinds.count * 65 + ids.bytes.count + payloads.bytes.count
      + tuples.bytes.count + labels.bytes.count
  }

  public mutating func append(_ event: borrowing IncomingEvent) {
    kinds.append(event.kind.rawValue)
    tupleIndices.append(tuple(event.dimensions))
    eventTimes.append(event.eventTime)
    keys.append(event.key)
    persons.append(event.person)
    revenues.append(event.revenueMicros)
    hasRevenue = hasRevenue || event.revenueMicros != 0
    received.append(event.receivedAt)
    sent.append(event.sentAt)
    hasSent = hasSent || event.sentAt != 0
    if event.name != lastName.text { lastName = (event.name, label(event.name)) }
    names.append(lastName.index)
    if event.source != lastSource.text { lastSource = (event.source, label(event.source)) }
    sources.append(lastSource.index)
    ids.append(event.id)
    event.payload.withUnsafeBytes { payloads.append($0) }
  }

  private mutating func tuple(_ dimensions: [UInt8]) -> UInt32 {
    if dimensions == lastTuple.bytes { return lastTuple.index }
    let index = tupleIndex[dimensions] ?? UInt32(tuples.count)
    if index == tuples.count {
      tupleIndex[dimensions] = index
      dimensions.withUnsafeBytes { tuples.append($0) }
    }
    lastTuple = (dimensions, index)
    return index
  }

  private mutating func label(_ text: String) -> UInt32 {
    if let known = labelIndex[text] { return known }
    let index = UInt32(labels.count)
    labelIndex[text] = index
    labels.append(text)
    return index
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
    var columns: [(FrameColumn, Int)] = []
    var body = FrameBody(reserving: byteCount + 512)
    if !kinds.isEmpty {
      columns.append((.kind, body.count))
      kinds.withUnsafeBytes { body.append(column: $0) }
      columns.append((.tuple, body.count))
      tupleIndices.withUnsafeBytes { body.append(column: $0) }
      columns.append((.eventTime, body.count))
      eventTimes.withUnsafeBytes { body.append(column: $0) }
      columns.append((.key, body.count))
      keys.withUnsafeBytes { body.append(column: $0) }
      columns.append((.person, body.count))
      persons.withUnsafeBytes { body.append(column: $0) }
      if hasRevenue {
        columns.append((.revenue, body.count))
        revenues.withUnsafeBytes { body.append(column: $0) }
      }
      columns.append((.received, body.count))
      receivedDeltas.withUnsafeBytes { body.append(column: $0) }
      if hasSent {
        columns.append((.sent, body.count))
        sent.withUnsafeBytes { body.append(column: $0) }
      }
      columns.append((.tuples, body.count))
      tuples.write(to: &body)
      columns.append((.ids, body.count))
      ids.write(to: &body)
      columns.append((.name, body.count))
      names.withUnsafeBytes { body.append(column: $0) }
      columns.append((.source, body.count))
      sources.withUnsafeBytes { body.append(column: $0) }
      columns.append((.labels, body.count))
      labels.write(to: &body)
      columns.append((.payloads, body.count))
      payloads.write(to: &body)
    }
    reset()
    return Self.assemble(header, columns: columns, body: body)
  }

  /// A frame without events that moves log time forward.
  public static func heartbeat(_ header: FrameHeader) -> [UInt8] {
    assemble(header, columns: [], body: FrameBody(reserving: 0))
  }

  private mutating func reset() {
    kinds.removeAll(keepingCapacity: true)
    tupleIndices.removeAll(keepingCapacity: true)
    eventTimes.removeAll(keepingCapacity: true)
    keys.removeAll(keepingCapacity: true)
    persons.removeAll(keepingCapacity: true)
    revenues.removeAll(keepingCapacity: true)
    received.removeAll(keepingCapacity: true)
    sent.removeAll(keepingCapacity: true)
    names.removeAll(keepingCapacity: true)
    sources.removeAll(keepingCapacity: true)
    ids.removeAll()
    payloads.removeAll()
    tuples.removeAll()
    labels.removeAll()
    tupleIndex.removeAll(keepingCapacity: true)
    labelIndex.removeAll(keepingCapacity: true)
    lastTuple = ([], .max)
    lastName = (nil, .max)
    lastSource = (nil, .max)
    hasRevenue = false
    hasSent = false
  }

  private static func assemble(
    _ header: FrameHeader, columns: [(FrameColumn, Int)], body: borrowing FrameBody
  ) -> [UInt8] {
    let directory = columns.count * FrameHeader.directoryEntryByteCount
    let start = (FrameHeader.byteCount + directory + 7) & ~7
    let total = start + body.count
    var frame: [UInt8] = []
    frame.reserveCapacity(total)
    func put<T: FixedWidthInteger>(_ value: T) {
      withUnsafeBytes(of: value.littleEndian) { frame.append(contentsOf: $0) }
    }
    put(FrameHeader.magic)
    put(UInt32(0))
    put(FrameHeader.version)
    put(header.kind.rawValue)
    put(UInt8(0))
    put(FrameHeader.schema)
    put(UInt16(columns.count))
    put(header.generation)
    put(header.partition)
    put(header.producer.low)
    put(header.producer.high)
    put(header.epoch)
    put(UInt32(header.count))
    put(header.producerSequence)
    put(header.receivedBase)
    put(header.originalLogTime)
    put(UInt32(total))
    put(UInt32(0))
    for (index, column) in columns.enumerated() {
      let end = index + 1 < columns.count ? columns[index + 1].1 : body.count
      put(column.0.rawValue)
      put(UInt16(0))
      put(UInt32(start + column.1))
      put(UInt32(end - column.1))
    }
    while frame.count < start { frame.append(0) }
    frame.append(contentsOf: body.bytes)
    frame.withUnsafeMutableBytes { bytes in
      let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[8...]))
      bytes.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
    }
    return frame
  }
}

/// The columns of a frame one after the other, each at a multiple of eight bytes.
struct FrameBody: ~Copyable {
  private(set) var bytes: [UInt8] = []

  init(reserving capacity: Int) { bytes.reserveCapacity(capacity) }

  var count: Int { bytes.count }

  mutating func append(column: UnsafeRawBufferPointer) {
    bytes.append(contentsOf: column)
    pad()
  }

  mutating func append(raw: UnsafeRawBufferPointer) { bytes.append(contentsOf: raw) }

  mutating func pad() {
    while bytes.count & 7 != 0 { bytes.append(0) }
  }
}

/// Texts one after the other: their count, `count + 1` rising offsets (four bytes each), the bytes.
struct TextColumn {
  private var ends: [UInt32] = [0]
  private(set) var bytes: [UInt8] = []

  var count: Int { ends.count - 1 }

  mutating func append(_ text: UnsafeRawBufferPointer) {
    bytes.append(contentsOf: text)
    ends.append(UInt32(bytes.count))
  }

  mutating func append(_ text: String) {
    bytes.append(contentsOf: text.utf8)
    ends.append(UInt32(bytes.count))
  }

  mutating func removeAll() {
    ends.removeAll(keepingCapacity: true)
    ends.append(0)
    bytes.removeAll(keepingCapacity: true)
  }

  func write(to body: inout FrameBody) {
    withUnsafeBytes(of: UInt32(count).littleEndian) { body.append(raw: $0) }
    ends.withUnsafeBytes { body.append(raw: $0) }
    bytes.withUnsafeBytes { body.append(raw: $0) }
    body.pad()
  }
}
