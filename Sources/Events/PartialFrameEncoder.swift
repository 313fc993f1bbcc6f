/// Collects partials and seals them as one frame.
///
/// The frame is a function of the set of records, not of their order: records are sorted, and tuples
/// are numbered by their bytes. One encoder is filled, sealed and filled again; its buffers keep their
/// capacity.
public struct PartialFrameEncoder: ~Copyable {
  private var tuples = TextColumn()
  private var tupleIndex = TextIndex()
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
    1024 + tuples.bytes.count + tuples.count * 4 + (contributions.count + panes.count) * 61
      + touches.count * 53
      + unions.count * 32 + anchors.count * 40 + feedbacks.count * 16
  }

  /// True where the frame is to be sealed before more is appended.
  public var isFull: Bool { byteCount >= Self.byteCountMax }

  /// The encoder's number for an encoded ``DimensionTuple``, good until the next seal.
  public mutating func tuple(_ encoded: UnsafeRawBufferPointer) -> UInt32 {
    tupleIndex.number(of: encoded, in: &tuples)
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
    let order = tuples.sorted()
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
    if tuples.count > 0 {
      var dictionary = TextColumn()
      for index in order { tuples.withText(index) { dictionary.append($0) } }
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

  /// Touches are ordered by time, then by key; the rest decides only between copies of one event.
  private static func precedes(_ a: Touch, _ b: Touch) -> Bool {
    if a.time != b.time { return a.time < b.time }
    if a.key != b.key { return a.key < b.key }
    if a.kind != b.kind { return a.kind < b.kind }
    if a.tuple != b.tuple { return a.tuple < b.tuple }
    return a.revenueMicros < b.revenueMicros
  }

  /// Places are put in order instead of records, which are three times as long.
  private static func order(_ records: inout [PartialRecord], by numbers: [UInt32]) {
    var places: [(key: UInt64, start: Int64, index: UInt32)] = []
    places.reserveCapacity(records.count)
    for index in records.indices {
      let number = numbers[Int(records[index].tuple)]
      records[index].tuple = number
      places.append(
        (
          UInt64(records[index].measure) << 32 | UInt64(number), records[index].start,
          UInt32(index)
        ))
    }
    let before = records
    places.sort { a, b in
      if a.key != b.key { return a.key < b.key }
      if a.start != b.start { return a.start < b.start }
      return precedes(before[Int(a.index)].sums, before[Int(b.index)].sums)
    }
    for (place, (_, _, index)) in places.enumerated() { records[place] = before[Int(index)] }
  }

  private static func precedes(_ x: PartialSums, _ y: PartialSums) -> Bool {
    if x.first != y.first { return x.first < y.first }
    if x.second != y.second { return x.second < y.second }
    if x.third != y.third { return x.third < y.third }
    if x.fourth != y.fourth { return x.fourth < y.fourth }
    if x.fifth != y.fifth { return x.fifth < y.fifth }
    return x.sixth < y.sixth
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
    tuples.removeAll()
    tupleIndex.removeAll()
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
