public import Events
public import Views

/// A frame of partials that a first stage has made.
public struct PartialFrame: Hashable, Sendable {
  /// Of the frame among those of its source, from 1 without a gap.
  public var number: UInt64
  /// The same for every copy.
  public var messageID: String
  public var bytes: [UInt8]

  public init(number: UInt64, messageID: String, bytes: [UInt8]) {
    self.number = number
    self.messageID = messageID
    self.bytes = bytes
  }
}

/// Collects what the first stage hands to the second, tick by tick.
///
///     log time  ──┬────── 50 ms ──────┬──────────────────┬──▶
///        frames   ·  ·  · ·     ·  ·  │ ·  the first frame past the boundary closes the tick
///
/// A tick is closed by the first frame past its end, and its frames follow from what came before: the
/// same log gives the same numbers and bytes, so a copy made by a replay or by a second owner changes
/// nothing. A tick in which nothing was collected is not emitted, except that time itself is, once in
/// ``silence`` of log time.
///
/// Cost: one look-up per event with a pane. The touches and panes of one tick are in memory. Limit: a
/// tick that holds ``countMax`` of them is closed by the next frame, whenever that comes.
public struct PartialEmitter: ~Copyable {
  public static var name: String { "emitter" }
  /// Microseconds of log time.
  public static let tick: Int64 = 50_000
  /// The longest stretch of log time, microseconds, of which the second stage is told nothing.
  public static let silence: Int64 = 1_000_000

  /// The most touches, unions and panes of a tick, but for those of its last frame: some 100 MB.
  var countMax = 1 << 20

  private let pipelineHash: UInt64
  private let generation: UInt32
  private let partition: UInt32
  private let partitionCount: UInt32
  /// Length of the panes of hopping windows, microseconds; 0 for none.
  private let paneLength: Int64
  /// Of each stretch of log time of this length that has frames the second stage is told, microseconds; 0 for none.
  private let partLength: Int64

  private var encoder = PartialFrameEncoder()
  private var tuples = TupleTable()
  private var touches: [(user: Key128, touch: Touch)] = []
  private var unions: [PersonUnion] = []
  private var feedbacks: [PartialFeedback] = []
  private var anchors: [PartialAnchor] = []
  /// By slot and start of the pane.
  private var panes = FlatTable<Counts>()
  private var frameSlots: [Int] = []

  /// Number of the last frame that was made.
  public private(set) var number: UInt64 = 0
  /// End of the open tick; nil before the first frame.
  private var tickEnd: Int64?
  /// Log time of the last frame that was made.
  private var emittedLogTime = Int64.min
  private var untold = Untold.nothing

  /// Events that no frame has told of. Not in snapshots, because it decides only whether somebody asks
  /// for time to go on, never what is made of it.
  private enum Untold {
    case nothing
    /// In the open tick.
    case inTick
    /// In ticks that have handed nothing on; time alone tells of them.
    case before
  }

  /// - Parameters:
  ///   - partitionCount: of the source's generation.
  ///   - paneLength: microseconds; 0 where there are no hopping windows.
  ///   - partLength: microseconds, a multiple of ``tick``; 0 where nobody asks in which stretches of time
  ///     the log has frames.
  public init(
    pipelineHash: UInt64, generation: UInt32, partition: UInt32, partitionCount: UInt32,
    paneLength: Int64, partLength: Int64 = 0
  ) {
    self.pipelineHash = pipelineHash
    self.generation = generation
    self.partition = partition
    self.partitionCount = partitionCount
    self.paneLength = paneLength
    self.partLength = partLength
  }

  /// True where a tick is open and holds something: a frame past its end would emit it.
  public var isHolding: Bool { count > 0 }

  /// Touches, unions, anchors, feedback and panes of the open tick.
  public var count: Int {
    touches.count + unions.count + anchors.count + feedbacks.count + panes.count
  }

  public var stateSize: StateSize {
    let touchByteCount = touches.capacity * MemoryLayout<(user: Key128, touch: Touch)>.stride
    return StateSize(
      keyCount: count, keyCountMax: countMax,
      byteCount: touchByteCount + unions.capacity * MemoryLayout<PersonUnion>.stride
        + anchors.capacity * MemoryLayout<PartialAnchor>.stride
        + feedbacks.capacity * MemoryLayout<PartialFeedback>.stride + panes.byteCount
        + tuples.byteCount)
  }

  /// End of the open tick, microseconds of log time; nil before the first frame.
  public var end: Int64? { tickEnd }

  /// Log time from which on any frame would bring the second stage nearer to all events so far: those that
  /// have nothing for it, too, because queries wait until it has come as far as they are. Nil once it has
  /// been told of all of them.
  ///
  /// - Parameter logTime: of the last frame.
  public func due(logTime: Int64) -> Int64? {
    guard let tickEnd else { return nil }
    if isHolding || untold == .inTick { return tickEnd }
    if untold == .nothing { return nil }
    // Where the open tick tells of time its end will do. Otherwise it takes a frame that does, and
    // another one past that.
    let next = emittedLogTime == .min ? .min : emittedLogTime + Self.silence
    return logTime >= next ? tickEnd : max(tickEnd, next)
  }

  /// True where a frame at `logTime` lies past the open tick, or the tick is full.
  public func isPast(_ logTime: Int64) -> Bool {
    tickEnd.map { logTime >= $0 || count >= countMax } ?? false
  }

  // MARK: Collecting

  /// Starts the events of a frame.
  public mutating func begin(_ frame: FrameView) {
    untold = .inTick
    frameSlots.removeAll(keepingCapacity: true)
    let tupleCount = frame.tupleCount
    for tuple in 0..<tupleCount {
      frameSlots.append(tuples.intern(tuple, of: tupleCount) { frame.tupleBytes($0) })
    }
  }

  /// A touch of a known person.
  ///
  /// - Parameters:
  ///   - touch: its tuple is an index of the begun frame.
  public mutating func add(_ touch: Touch, of user: Key128) {
    var touch = touch
    touch.tuple = UInt32(frameSlots[Int(touch.tuple)])
    touches.append((user, touch))
  }

  /// A touch that was kept here until its person became known.
  public mutating func add(_ touch: Touch, tuple: UnsafeRawBufferPointer, of user: Key128) {
    var touch = touch
    touch.tuple = UInt32(tuples.intern(tuple))
    touches.append((user, touch))
  }

  /// Two user ids are one person.
  public mutating func add(_ union: PersonUnion) { unions.append(union) }

  /// What a person said about an incident.
  ///
  /// - Parameter feedback: its tuple is an index of the begun frame.
  public mutating func add(_ feedback: PartialFeedback) {
    var feedback = feedback
    feedback.tuple = UInt32(frameSlots[Int(feedback.tuple)])
    feedbacks.append(feedback)
  }

  /// What a user counts as exposed to by a touch that is counted here.
  public mutating func add(_ anchor: PartialAnchor) { anchors.append(anchor) }

  /// Counts an event in its pane.
  ///
  /// - Parameters:
  ///   - tuple: an index of the begun frame.
  ///   - time: not before 1970, microseconds.
  @inline(__always)
  public mutating func count(tuple: Int, time: Int64, kind: UInt8, revenueMicros: Int64) {
    let key =
      UInt64(truncatingIfNeeded: frameSlots[tuple]) << 40
      | UInt64(truncatingIfNeeded: time / paneLength)
    var index = panes.find(key)
    if index < 0 { index = panes.insert(key, Counts()) }
    panes.entries[index].value.add(kind: kind, revenueMicros: revenueMicros)
  }

  // MARK: Closing

  /// Opens the tick of a frame at `logTime`; the one before is closed.
  public mutating func open(at logTime: Int64) {
    guard tickEnd.map({ logTime >= $0 }) ?? true else { return }
    tickEnd = logTime - logTime % Self.tick + Self.tick
  }

  /// Makes the frames of the open tick, if it holds anything or if time is to be told.
  ///
  /// - Parameters:
  ///   - sequence: the last frame of the source in the tick.
  ///   - logTime: of that frame.
  ///   - contributions: sums by measure, tuple and window, in any fixed order.
  ///   - isLast: the source ends with this tick.
  public mutating func close(
    sequence: UInt64, logTime: Int64, contributions: borrowing Contributions, isLast: Bool = false,
    into frames: inout [PartialFrame]
  ) {
    guard
      isHolding || contributions.count > 0 || isLast || emittedLogTime == .min
        || logTime - emittedLogTime >= Self.silence || isInNewPart(logTime)
    else {
      if untold == .inTick { untold = .before }
      return
    }
    var head = PartialFrameHead(
      pipelineHash: pipelineHash, generation: generation, partition: partition,
      partitionCount: partitionCount, number: 0, sourceSequence: sequence, sourceLogTime: logTime,
      closesTick: false, isLast: false)
    // By slot, plus one: the tuple's number in the frame that is being filled; 0 for none.
    var numbers: [UInt32] = []
    func makeRoom(_ emitter: inout PartialEmitter) {
      guard emitter.encoder.isFull else { return }
      emitter.seal(&head, into: &frames)
      numbers.removeAll(keepingCapacity: true)
    }
    func number(_ emitter: inout PartialEmitter, _ slot: Int) -> UInt32 {
      while numbers.count <= slot { numbers.append(0) }
      if numbers[slot] == 0 {
        numbers[slot] = emitter.encoder.tuple(emitter.tuples.bytes(slot)) + 1
      }
      return numbers[slot] - 1
    }
    for index in 0..<contributions.count {
      makeRoom(&self)
      let contribution = contributions[index]
      encoder.append(
        contribution: PartialRecord(
          tuple: number(&self, tuples.intern(contribution.tuple)), start: contribution.start,
          sums: PartialSums(contribution.sums), measure: contribution.measure.rawValue))
    }
    for (user, touch) in touches {
      makeRoom(&self)
      var touch = touch
      touch.tuple = number(&self, Int(touch.tuple))
      encoder.append(touch, of: user)
    }
    for union in unions {
      makeRoom(&self)
      encoder.append(union: union)
    }
    for anchor in anchors {
      makeRoom(&self)
      encoder.append(anchor: anchor)
    }
    for index in 0..<panes.count {
      makeRoom(&self)
      let pane = panes.entries[index]
      encoder.append(
        pane: PartialRecord(
          tuple: number(&self, Int(pane.key >> 40)),
          start: Int64(pane.key & 0xff_ffff_ffff) * paneLength,
          sums: PartialSums(pane.value)))
    }
    for feedback in feedbacks {
      makeRoom(&self)
      var feedback = feedback
      feedback.tuple = number(&self, Int(feedback.tuple))
      encoder.append(feedback: feedback)
    }
    head.closesTick = true
    head.isLast = isLast
    seal(&head, into: &frames)
    emittedLogTime = logTime
    untold = .nothing
    reset()
  }

  private func isInNewPart(_ logTime: Int64) -> Bool {
    partLength > 0 && logTime / partLength != emittedLogTime / partLength
  }

  private mutating func seal(_ head: inout PartialFrameHead, into frames: inout [PartialFrame]) {
    number += 1
    head.number = number
    let bytes = encoder.seal(head)
    // Another form of the same number is no copy: it has to arrive, so that it is noticed.
    let checksum = bytes.withUnsafeBytes {
      UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    }
    frames.append(
      PartialFrame(
        number: number, messageID: "\(head.messageID)-\(String(checksum, radix: 16))",
        bytes: bytes))
  }

  private mutating func reset() {
    touches.removeAll(keepingCapacity: true)
    unions.removeAll(keepingCapacity: true)
    feedbacks.removeAll(keepingCapacity: true)
    anchors.removeAll(keepingCapacity: true)
    panes.removeAll()
    tuples = TupleTable()
    frameSlots.removeAll(keepingCapacity: true)
  }

  // MARK: Snapshots

  private static let sectionID: UInt16 = 41
  private static let sectionVersion: UInt16 = 2

  public var changeByteCount: Int {
    72 + touches.count * 120 + unions.count * 32 + anchors.count * 40 + panes.count * 120
      + feedbacks.count * 80
  }

  /// Writes what the open tick holds, in the order in which it came; the same for every scope.
  public func snapshot(into writer: inout SnapshotWriter) {
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(number)
    writer.put(tickEnd ?? .min)
    writer.put(emittedLogTime)
    writer.put(UInt64(touches.count))
    for (user, touch) in touches {
      writer.put(user.low)
      writer.put(user.high)
      writer.put(touch.time)
      writer.put(touch.key.low)
      writer.put(touch.key.high)
      writer.put(touch.revenueMicros)
      writer.put(touch.kind)
      put(Int(touch.tuple), into: &writer)
    }
    writer.put(UInt64(unions.count))
    for union in unions {
      for key in [union.first, union.second] {
        writer.put(key.low)
        writer.put(key.high)
      }
    }
    writer.put(UInt64(anchors.count))
    for anchor in anchors {
      writer.put(anchor.user.low)
      writer.put(anchor.user.high)
      writer.put(anchor.campaign)
      writer.put(anchor.time)
      writer.put(anchor.from)
    }
    writer.put(UInt64(panes.count))
    for index in 0..<panes.count {
      let pane = panes.entries[index]
      writer.put(pane.key & 0xff_ffff_ffff)
      let sums = PartialSums(pane.value)
      for value in [sums.first, sums.second, sums.third, sums.fourth, sums.fifth, sums.sixth] {
        writer.put(value)
      }
      put(Int(pane.key >> 40), into: &writer)
    }
    writer.put(UInt64(feedbacks.count))
    for feedback in feedbacks {
      writer.put(feedback.incident)
      writer.put(feedback.verdict)
      put(Int(feedback.tuple), into: &writer)
    }
    writer.end()
  }

  private func put(_ slot: Int, into writer: inout SnapshotWriter) {
    let bytes = tuples.bytes(slot)
    writer.put(UInt32(bytes.count))
    writer.put(bytes)
  }

  /// Passes over a section.
  public func skip(in reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try reader.skip(section: Self.sectionID)
  }

  public mutating func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    reset()
    // Unknown: at worst time is told once more than need be.
    untold = .inTick
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    number = try reader.get(UInt64.self)
    let end = try reader.get(Int64.self)
    tickEnd = end == .min ? nil : end
    emittedLogTime = try reader.get(Int64.self)
    for _ in 0..<(try reader.getCount(elementByteCount: 61)) {
      let user = try getKey(&reader)
      let time = try reader.get(Int64.self)
      let key = try getKey(&reader)
      let revenue = try reader.get(Int64.self)
      let kind = try reader.get(UInt8.self)
      guard user != .zero, key != .zero, EventKind(rawValue: kind) != nil else {
        throw reader.malformed("a touch without person, key or kind")
      }
      touches.append(
        (
          user,
          Touch(
            time: time, key: key, revenueMicros: revenue, tuple: try getTuple(&reader), kind: kind)
        ))
    }
    for _ in 0..<(try reader.getCount(elementByteCount: 32)) {
      let union = PersonUnion(try getKey(&reader), try getKey(&reader))
      guard union.first != .zero, union.second != .zero else {
        throw reader.malformed("a union without persons")
      }
      unions.append(union)
    }
    for _ in 0..<(try reader.getCount(elementByteCount: 40)) {
      let anchor = PartialAnchor(
        user: try getKey(&reader), campaign: try reader.get(UInt64.self),
        time: try reader.get(Int64.self), from: try reader.get(Int64.self))
      guard anchor.user != .zero else { throw reader.malformed("an anchor without a person") }
      anchors.append(anchor)
    }
    for _ in 0..<(try reader.getCount(elementByteCount: 60)) {
      let pane = try reader.get(UInt64.self)
      var values: [Int64] = []
      for _ in 0..<6 { values.append(try reader.get(Int64.self)) }
      let key = UInt64(try getTuple(&reader)) << 40 | pane
      guard pane < 1 << 40, panes.find(key) < 0 else {
        throw reader.malformed("a pane that no event has, or twice")
      }
      _ = panes.insert(
        key,
        Counts(PartialSums(values[0], values[1], values[2], values[3], values[4], values[5])))
    }
    for _ in 0..<(try reader.getCount(elementByteCount: 16)) {
      let incident = try reader.get(Int64.self)
      let verdict = try reader.get(UInt32.self)
      feedbacks.append(
        PartialFeedback(incident: incident, tuple: try getTuple(&reader), verdict: verdict))
    }
    try reader.close()
  }

  private func getKey(_ reader: inout SnapshotReader) throws(SnapshotFormatError) -> Key128 {
    Key128(low: try reader.get(UInt64.self), high: try reader.get(UInt64.self))
  }

  private mutating func getTuple(
    _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> UInt32 {
    let bytes = try reader.get(byteCount: Int(try reader.get(UInt32.self)))
    return UInt32(bytes.withUnsafeBytes { tuples.intern($0) })
  }
}

extension PartialSums {
  /// The places of a window row.
  init(_ counts: Counts) {
    self.init(
      counts.impressions, counts.views, counts.clicks, counts.engagements, counts.conversions,
      counts.revenueMicros)
  }
}

extension Counts {
  /// From the places of a partial record.
  public init(_ sums: PartialSums) {
    self.init(
      impressions: sums.first, views: sums.second, clicks: sums.third, engagements: sums.fourth,
      conversions: sums.fifth, revenueMicros: sums.sixth)
  }
}
