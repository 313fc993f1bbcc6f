/// Collects partials and seals them as one frame.
///
/// The frame is a function of the set of records, not of their order: records are sorted, and tuples
/// are numbered by their bytes. One encoder is filled, sealed and filled again; its buffers keep their
/// capacity.
public struct PartialFrameEncoder: ~Copyable {
  private var tuples: [[UInt8]] = []
  private var tupleIndex: [[UInt8]: UInt32] = [:]
  private var tupleByteCount = 0
  private var contributions: [PartialRecord] = []
  private var touches: [(user: Key128, touch: Touch)] = []
  private var unions: [PersonUnion] = []
  private var panes: [PartialRecord] = []
  private var feedbacks: [PartialFeedback] = []
  private var anchors: [PartialAnchor] = []

  /// A frame that has reached this is sealed. A single record adds less than 2 KB to it, so that frames
  /// stay far below what the log takes.
  public static let byteCountMax = 256 * 1024

  public init() {}

  /// Records since the last seal.
  public var count: Int {
    contributions.count + touches.count + unions.count + panes.count + feedbacks.count
      + anchors.count
  }

  /// At least how long the frame would be if it were sealed now, in bytes.
  public var byteCount: Int {
    1024 + tupleByteCount + (contributions.count + panes.count) * 61 + touches.count * 53
      + unions.count * 32 + anchors.count * 40 + feedbacks.count * 16
  }

  /// True where the frame is to be sealed before more is appended.
  public var isFull: Bool { byteCount >= Self.byteCountMax }

  /// The encoder's number for an encoded ``DimensionTuple``, good until the next seal.
  public mutating func tuple(_ encoded: UnsafeRawBufferPointer) -> UInt32 {
    let bytes = Array(encoded)
    if let known = tupleIndex[bytes] { return known }
    let index = UInt32(tuples.count)
    tuples.append(bytes)
    tupleIndex[bytes] = index
    tupleByteCount += bytes.count + 4
    return index
  }

  /// What outcomes are added to a window; the tuple's number is from ``tuple(_:)``.
  public mutating func append(contribution: PartialRecord) {
    check(contribution.tuple)
    contributions.append(contribution)
  }

  /// A touch of a known person; the tuple's number is from ``tuple(_:)``.
  ///
  /// - Parameter user: the person key of the user id, not zero.
  public mutating func append(_ touch: Touch, of user: Key128) {
    check(touch.tuple)
    precondition(user != .zero && touch.key != .zero, "keys of partials are not zero")
    precondition(EventKind(rawValue: touch.kind) != nil, "a touch has the kind of its event")
    touches.append((user, touch))
  }

  /// That two keys, neither of them zero, are one person.
  public mutating func append(union: PersonUnion) {
    precondition(union.first != .zero && union.second != .zero, "keys of partials are not zero")
    unions.append(union)
  }

  /// What a user, whose key is not zero, counts as exposed to.
  public mutating func append(anchor: PartialAnchor) {
    precondition(anchor.user != .zero, "keys of partials are not zero")
    anchors.append(anchor)
  }

  /// What a pane of a hopping window has counted; the tuple's number is from ``tuple(_:)``.
  public mutating func append(pane: PartialRecord) {
    check(pane.tuple)
    panes.append(pane)
  }

  /// What a person said about an incident.
  public mutating func append(feedback: PartialFeedback) {
    check(feedback.tuple)
    feedbacks.append(feedback)
  }

  private func check(_ tuple: UInt32) {
    precondition(Int(tuple) < tuples.count, "a tuple has its number from this frame's dictionary")
  }

  /// Seals what was appended since the last seal and starts anew.
  public mutating func seal(_ head: PartialFrameHead) -> [UInt8] {
    let order = tuples.indices.sorted { Self.precedes(tuples[$0], tuples[$1]) }
    var numbers = [UInt32](repeating: 0, count: tuples.count)
    for (number, index) in order.enumerated() { numbers[index] = UInt32(number) }
    for index in touches.indices {
      touches[index].touch.tuple = numbers[Int(touches[index].touch.tuple)]
    }
    touches.sort { a, b in
      if a.user != b.user { return a.user < b.user }
      return Self.precedes(a.touch, b.touch)
    }
    unions.sort { a, b in a.first != b.first ? a.first < b.first : a.second < b.second }
    anchors.sort { a, b in
      if a.user != b.user { return a.user < b.user }
      return (a.time, a.campaign, a.from) < (b.time, b.campaign, b.from)
    }
    Self.order(&contributions, by: numbers)
    Self.order(&panes, by: numbers)
    for index in feedbacks.indices {
      feedbacks[index].tuple = numbers[Int(feedbacks[index].tuple)]
    }
    feedbacks.sort { ($0.incident, $0.tuple, $0.verdict) < ($1.incident, $1.tuple, $1.verdict) }

    var body = FrameBody(columns: 8, reserving: byteCount + 512)
    write(head, to: &body)
    if !tuples.isEmpty {
      var dictionary = TextColumn()
      for index in order { tuples[index].withUnsafeBytes { dictionary.append($0) } }
      body.begin(.partialTuples)
      dictionary.write(to: &body)
    }
    if !contributions.isEmpty {
      Self.write(
        contributions, (.contributionTuple, .contributionStart, .contributionSums), to: &body)
      if contributions.contains(where: { $0.measure != PartialRecord.commonMeasure }) {
        body.column(.contributionMeasure, contributions.map(\.measure))
      }
    }
    if !touches.isEmpty { writeTouches(to: &body) }
    if !unions.isEmpty { body.column(.unions, unions) }
    if !panes.isEmpty { Self.write(panes, (.paneTuple, .paneStart, .paneSums), to: &body) }
    if !feedbacks.isEmpty { body.column(.feedbacks, feedbacks) }
    if !anchors.isEmpty { body.column(.anchors, anchors) }
    let header = head.header(count: count)
    reset()
    return body.frame(header)
  }

  /// In the order of bytes; eight at a time, because tuples begin alike.
  private static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    let common = min(a.count, b.count)
    return a.withUnsafeBytes { a in
      b.withUnsafeBytes { b in
        var offset = 0
        while offset + 8 <= common {
          let x = UInt64(bigEndian: a.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
          let y = UInt64(bigEndian: b.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
          if x != y { return x < y }
          offset += 8
        }
        while offset < common {
          if a[offset] != b[offset] { return a[offset] < b[offset] }
          offset += 1
        }
        return a.count < b.count
      }
    }
  }

  /// Touches are ordered by time, then by key; the rest decides only between copies of one event.
  private static func precedes(_ a: Touch, _ b: Touch) -> Bool {
    if a.time != b.time { return a.time < b.time }
    if a.key != b.key { return a.key < b.key }
    if a.kind != b.kind { return a.kind < b.kind }
    if a.tuple != b.tuple { return a.tuple < b.tuple }
    return a.revenueMicros < b.revenueMicros
  }

  private static func order(_ records: inout [PartialRecord], by numbers: [UInt32]) {
    for index in records.indices { records[index].tuple = numbers[Int(records[index].tuple)] }
    records.sort { a, b in
      if a.measure != b.measure { return a.measure < b.measure }
      if a.tuple != b.tuple { return a.tuple < b.tuple }
      if a.start != b.start { return a.start < b.start }
      let (x, y) = (a.sums, b.sums)
      if x.first != y.first { return x.first < y.first }
      if x.second != y.second { return x.second < y.second }
      if x.third != y.third { return x.third < y.third }
      if x.fourth != y.fourth { return x.fourth < y.fourth }
      if x.fifth != y.fifth { return x.fifth < y.fifth }
      return x.sixth < y.sixth
    }
  }

  private func write(_ head: PartialFrameHead, to body: inout FrameBody) {
    body.begin(.partialHead)
    func put<T: FixedWidthInteger>(_ value: T) {
      withUnsafeBytes(of: value.littleEndian) { body.append(raw: $0) }
    }
    put(head.sourceSequence)
    put(head.sourceLogTime)
    put(head.flags)
    put(UInt32(contributions.count))
    put(UInt32(touches.count))
    put(UInt32(unions.count))
    put(UInt32(panes.count))
    put(head.partitionCount)
  }

  private static func write(
    _ records: [PartialRecord],
    _ columns: (tuple: FrameColumn, start: FrameColumn, sums: FrameColumn),
    to body: inout FrameBody
  ) {
    body.column(columns.tuple, records.map(\.tuple))
    body.column(columns.start, records.map(\.start))
    body.column(columns.sums, records.map(\.sums))
  }

  private func writeTouches(to body: inout FrameBody) {
    body.column(.touchUser, touches.map(\.user))
    body.column(.touchTime, touches.map(\.touch.time))
    body.column(.touchKey, touches.map(\.touch.key))
    body.column(.touchKind, touches.map(\.touch.kind))
    body.column(.touchTuple, touches.map(\.touch.tuple))
    if touches.contains(where: { $0.touch.revenueMicros != 0 }) {
      body.column(.touchRevenue, touches.map(\.touch.revenueMicros))
    }
  }

  private mutating func reset() {
    tuples.removeAll(keepingCapacity: true)
    tupleIndex.removeAll(keepingCapacity: true)
    tupleByteCount = 0
    contributions.removeAll(keepingCapacity: true)
    touches.removeAll(keepingCapacity: true)
    unions.removeAll(keepingCapacity: true)
    panes.removeAll(keepingCapacity: true)
    feedbacks.removeAll(keepingCapacity: true)
    anchors.removeAll(keepingCapacity: true)
  }
}

extension FrameBody {
  /// A column of values that lie in memory as they lie in frames: little-endian, without gaps.
  mutating func column<T: BitwiseCopyable>(_ id: FrameColumn, _ values: [T]) {
    begin(id)
    values.withUnsafeBytes { append(column: $0) }
  }
}
