import Events

/// Where bytes stand in others that are there anyway.
struct BytePlace: BitwiseCopyable, Sendable {
  private let start: UInt32
  private let length: UInt32

  static let none = BytePlace(start: 0, count: 0)

  init(start: Int, count: Int) {
    self.start = UInt32(start)
    length = UInt32(count)
  }

  var count: Int { Int(length) }

  /// - Parameter bytes: those that the place is in.
  func bytes(in bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[Int(start)..<Int(start) + Int(length)])
  }
}

/// An event of a batch: a whole one, or what it has of its own where else it is like a whole one of the batch.
struct EventRow: Sendable {
  /// Among the whole events of the batch: itself, or the one that it is like.
  let whole: Int
  /// The number of its template; −1 where it has none.
  var template: Int8 = -1
  /// Whether it is that event itself. Then nothing below counts.
  let isWhole: Bool
  /// Of a whole one: see ``EventTemplates/Likeness/known(_:)``.
  var isKnown = false
  /// Of its verdict, and of that on the event that it is like.
  var isBot = false
  var isLikeBot = false
  var kind = EventKind.custom
  var key = Key128.zero
  var person = Key128.zero
  var user = Key128.zero
  var eventTime: Int64 = 0
  var fingerprint: UInt32 = 0
  /// A ``BotVerdict``, encoded.
  var bot: UInt32 = 0
  /// In the body of the request.
  var payload = BytePlace.none
  var id = BytePlace.none
  /// In ``EventRows/dimensions``; empty where they are those of the event that it is like.
  var dimensions = BytePlace.none

  /// A whole event.
  init(whole: Int) {
    self.whole = whole
    isWhole = true
  }

  init(like whole: Int, template: Int, kind: EventKind) {
    self.whole = whole
    self.template = Int8(template)
    isWhole = false
    self.kind = kind
  }
}

/// The events of a batch in their order, most of them only by what they have of their own: so nothing is allocated for
/// an event that goes from the body of its request into a frame.
///
/// Borrows the body that they came in.
struct EventRows: Sendable {
  var list: [EventRow] = []
  /// Encoded tuples, one after the other.
  private var tuples: [UInt8] = []
  private var tupleBytes = 0

  /// Of a batch's tuples, to begin with.
  private static let tupleBytesMin = 2048

  /// Whether any is not whole.
  var hasAlike: Bool { list.contains { !$0.isWhole } }

  /// Makes room for a tuple.
  ///
  /// - Parameter write: gets at least `bytesMax` bytes and returns how many it has used.
  mutating func addTuple(
    bytesMax: Int, _ write: (UnsafeMutableRawBufferPointer) -> Int
  ) -> BytePlace {
    if tupleBytes + bytesMax > tuples.count {
      let more = max(Self.tupleBytesMin, tuples.count, bytesMax)
      tuples.append(contentsOf: repeatElement(0, count: more))
    }
    let start = tupleBytes
    let count = tuples.withUnsafeMutableBytes {
      write(UnsafeMutableRawBufferPointer(rebasing: $0[start...]))
    }
    tupleBytes += count
    return BytePlace(start: start, count: count)
  }

  /// All of them as whole events, and how they stand to each other.
  ///
  /// - Parameters:
  ///   - events: the whole ones.
  ///   - body: that the rows borrow.
  func whole(
    _ events: [IncomingEvent], in body: UnsafeRawBufferPointer
  ) -> (events: [IncomingEvent], likeness: [EventTemplates.Likeness]) {
    var all: [IncomingEvent] = []
    all.reserveCapacity(list.count)
    for row in list {
      let event = events[row.whole]
      all.append(row.isWhole ? event : whole(row, like: event, in: body))
    }
    return (all, list.map(\.likeness))
  }

  func whole(
    _ row: EventRow, like: IncomingEvent, in body: UnsafeRawBufferPointer
  ) -> IncomingEvent {
    IncomingEvent(
      kind: like.kind, key: row.key, person: row.person, user: row.user, eventTime: row.eventTime,
      receivedAt: like.receivedAt, sentAt: like.sentAt,
      dimensions: row.dimensions.count > 0 ? Array(ownTuple(row)) : like.dimensions,
      revenueMicros: like.revenueMicros,
      id: String(decoding: row.id.bytes(in: body), as: UTF8.self), name: like.name,
      source: like.source, payload: Array(row.payload.bytes(in: body)),
      fingerprint: row.fingerprint, agent: like.agent, bot: like.bot, notes: like.notes)
  }

  private func ownTuple(_ row: EventRow) -> [UInt8] {
    tuples.withUnsafeBytes { Array(row.dimensions.bytes(in: $0)) }
  }

  /// Hands over the tuple that a row has in the log.
  ///
  /// - Parameter whole: the whole events, as they are in the log.
  @inline(__always)
  func withTuple<R>(
    of row: EventRow, in whole: [IncomingEvent], _ body: (UnsafeRawBufferPointer) -> R
  ) -> R {
    if row.dimensions.count > 0, !row.isBot {
      return tuples.withUnsafeBytes { body(row.dimensions.bytes(in: $0)) }
    }
    if row.dimensions.count == 0, row.isBot == row.isLikeBot {
      return whole[row.whole].dimensions.withUnsafeBytes { body($0) }
    }
    return marked(row, like: whole[row.whole].dimensions).withUnsafeBytes { body($0) }
  }

  /// The tuple of a bot's event, or of a person's that is like one of a bot.
  private func marked(_ row: EventRow, like: [UInt8]) -> [UInt8] {
    if row.dimensions.count == 0 {
      return row.isBot ? like + Self.mark : Array(like.dropLast(Self.markByteCount))
    }
    return ownTuple(row) + Self.mark
  }

  /// What stands at the end of the tuple of a bot's event.
  private static let mark: [UInt8] = {
    var mark: [UInt8] = []
    DimensionTuple.append(DimensionTuple.bot, to: &mark)
    return mark
  }()

  fileprivate static let markByteCount = mark.count
}

extension EventRow {
  /// How it stands to the others of its batch.
  var likeness: EventTemplates.Likeness {
    if template < 0 { return .none }
    if !isWhole { return .again(Int(template)) }
    return isKnown ? .known(Int(template)) : .first(Int(template))
  }
}

/// The events of one request on their way into frames.
struct EventBatch: @unchecked Sendable {
  // All of it is constant, and what it borrows is the request's body, which nobody changes and which stays until the
  // events are copied into frames.

  let whole: [IncomingEvent]
  /// All of them in their order; nil: the whole ones are all.
  let rows: EventRows?
  /// What the rows borrow.
  private let body: UnsafeRawBufferPointer
  let count: Int

  init(_ events: [IncomingEvent]) {
    whole = events
    rows = nil
    body = UnsafeRawBufferPointer(start: nil, count: 0)
    count = events.count
  }

  /// - Parameter body: has to be there as long as this is used.
  init(_ rows: EventRows, _ events: [IncomingEvent], in body: UnsafeRawBufferPointer) {
    whole = events
    self.rows = rows
    self.body = body
    count = rows.list.count
  }

  var isEmpty: Bool { count == 0 }
  var indices: Range<Int> { 0..<count }

  func person(_ index: Int) -> Key128 {
    guard let rows else { return whole[index].person }
    let row = rows.list[index]
    return row.isWhole ? whole[row.whole].person : row.person
  }

  /// Whether it happened long before it came; see ``IngestParameters/oldAfterSeconds``.
  func isOld(_ index: Int, _ parameters: IngestParameters) -> Bool {
    guard let rows else {
      return parameters.isOld(whole[index].eventTime, receivedAt: whole[index].receivedAt)
    }
    let row = rows.list[index]
    let time = row.isWhole ? whole[row.whole].eventTime : row.eventTime
    return parameters.isOld(time, receivedAt: whole[row.whole].receivedAt)
  }

  /// The whole event that it is, or is like.
  private func wholeIndex(_ index: Int) -> Int { rows?.list[index].whole ?? index }

  /// How many have no line of the mapping.
  var unnamedCount: Int { indices.count { whole[wholeIndex($0)].notes.contains(.unnamed) } }

  /// Of each, a ``BotVerdict``, encoded.
  func verdict(_ index: Int) -> UInt32 {
    guard let rows else { return whole[index].bot }
    let row = rows.list[index]
    return row.isWhole ? whole[row.whole].bot : row.bot
  }

  func act(_ index: Int) -> PersonAct {
    guard let rows else { return PersonAct(whole[index]) }
    let row = rows.list[index]
    return row.isWhole ? PersonAct(whole[row.whole]) : PersonAct(row)
  }

  /// What it counts for in its lane, in bytes.
  func size(_ index: Int) -> Int {
    guard let rows else { return OpenFrame.size(of: whole[index]) }
    let row = rows.list[index]
    if row.isWhole { return OpenFrame.size(of: whole[row.whole]) }
    var tuple = row.dimensions.count
    if tuple == 0 {
      tuple = whole[row.whole].dimensions.count - (row.isLikeBot ? EventRows.markByteCount : 0)
    }
    if row.isBot { tuple += EventRows.markByteCount }
    return OpenFrame.size(payload: row.payload.count, id: row.id.count, dimensions: tuple)
  }

  /// What is the same in all rows that are like one event, while one frame is filled.
  struct Cursor {
    fileprivate var whole = -1
    fileprivate var labels: FrameEncoder.Labels?
    fileprivate var receivedAt: Int64 = 0
    fileprivate var sentAt: Int64 = 0
    fileprivate var revenueMicros: Int64 = 0

    init() {}

    fileprivate init(
      _ index: Int, _ event: borrowing IncomingEvent, _ encoder: inout FrameEncoder
    ) {
      whole = index
      labels = encoder.labels(of: event)
      receivedAt = event.receivedAt
      sentAt = event.sentAt
      revenueMicros = event.revenueMicros
    }
  }

  /// - Parameter cursor: of this batch and the frame that the encoder fills; a new one for another.
  func append(_ index: Int, to encoder: inout FrameEncoder, _ cursor: inout Cursor) {
    guard let rows else { return encoder.append(whole[index]) }
    let row = rows.list[index]
    if row.isWhole { return encoder.append(whole[row.whole]) }
    if cursor.whole != row.whole { cursor = Cursor(row.whole, whole[row.whole], &encoder) }
    guard let labels = cursor.labels else { preconditionFailure("a cursor at an event has labels") }
    rows.withTuple(of: row, in: whole) { tuple in
      encoder.append(
        FrameEncoder.Parts(
          kind: row.kind, key: row.key, person: row.person, user: row.user,
          eventTime: row.eventTime, receivedAt: cursor.receivedAt, sentAt: cursor.sentAt,
          revenueMicros: cursor.revenueMicros, fingerprint: row.fingerprint, bot: row.bot,
          labels: labels, dimensions: tuple, id: row.id.bytes(in: body),
          payload: row.payload.bytes(in: body)))
    }
  }
}
