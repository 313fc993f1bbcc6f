import Events
import Operators
import Views

/// What one stream has for a question about persons.
final class PersonScanPart {
  /// A touch, or what only says who somebody is.
  struct Record: BitwiseCopyable {
    var time: Int64
    var key: Key128
    var revenueMicros: Int64
    /// Number of its person in ``devices``.
    var device: UInt32
    /// 1 + the number of its user in ``users``; 0 for none.
    var user: UInt32
    /// 0 of what is no touch.
    var marks: UInt32
    /// Number in ``values``.
    var value: UInt32
    /// Number in ``currencies``.
    var currency: UInt32
    /// Number in ``frames``.
    var frame: UInt32
    var kind: UInt8

    /// With what tells whose it is.
    static let bytes = MemoryLayout<Record>.stride + 12
  }

  /// A frame that has records, and what time it was.
  struct Frame {
    var logTime: Int64
    var watermark: Int64
    var first: Int
  }

  private struct Device {
    /// Of the record before.
    var user: UInt32 = 0
    var hour = Int64.min
    var isLinked = false

    /// With its places in tables, here and where it is told who is who.
    static let bytes = 160
  }

  private struct Test {
    let filter: BreakdownFilter
    /// Of one on segments, the sets that it admits.
    let sets: [Bool]?

    init(_ filter: BreakdownFilter, _ segments: SegmentHistory) {
      self.filter = filter
      sets = filter.dimension == .segment ? segments.passes([filter]) : nil
    }
  }

  private(set) var records: [Record] = []
  private(set) var frames: [Frame] = []
  /// By number.
  private(set) var devices: [Key128] = []
  private(set) var users: [Key128] = []
  private(set) var values: TextTable
  private(set) var currencies = TextTable(countMax: 4_096)
  /// Once there was no room: nothing else is kept from then on.
  private(set) var overflow: PersonOverflow?

  private let question: PersonQuestion
  private let segments: SegmentHistory
  private let share: PersonShare?
  private let room: PersonRoom
  private let site: [UInt8]
  private var states: [Device] = []
  private var deviceNumbers: [Key128: UInt32] = [:]
  private var userNumbers: [Key128: UInt32] = [:]
  private var dimensions: EventDimensions
  /// By kind, tuple and label of the current frame: the selectors that admit it.
  private let kindMarks: [UInt32]
  private var tupleMarks: [UInt32] = []
  private var tupleSites: [Bool] = []
  /// Where values follow from tuples alone.
  private var tupleValues: [UInt32?] = []
  private var tupleCurrencies: [UInt32?] = []
  private var nameMarks: [UInt32?] = []
  private let selectsNames: Bool
  private let valuesAreOfTuples: Bool
  /// By selector what no tuple answers: of each list one test holds.
  private let conditions: [[[Test]]]
  private let hasConditions: Bool
  private var text: [UInt8] = []

  init(
    _ question: PersonQuestion, _ segments: SegmentHistory, _ share: PersonShare?,
    _ room: PersonRoom
  ) {
    self.question = question
    self.segments = segments
    self.share = share
    self.room = room
    site = Array(question.site.utf8)
    values = TextTable(countMax: PersonQuestion.valueCountMax)
    dimensions = EventDimensions(question.asked, offsets: question.offsets, segments: segments)
    let all = question.selectors
    kindMarks = (0...UInt8.max).map { kind in Self.marks(all) { $0.admits(kind: kind) } }
    selectsNames = all.contains { $0.name != nil }
    valuesAreOfTuples = question.dimensions.allSatisfy { $0.part == .tuple }
    conditions = all.map { selector in
      selector.otherConditions.map { condition in condition.map { Test($0, segments) } }
    }
    hasConditions = conditions.contains { !$0.isEmpty }
  }

  private static func marks(
    _ selectors: [TouchSelector], _ admits: (TouchSelector) -> Bool
  ) -> UInt32 {
    var marks: UInt32 = 0
    for (index, selector) in selectors.enumerated() where admits(selector) {
      marks |= 1 << UInt32(index)
    }
    return marks
  }

  private static let hour: Int64 = 3_600_000_000

  func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment
  ) throws(AnalysisError) {
    begin(frame)
    let hour = moment.watermark / Self.hour
    let lateness = question.policy.lateness
    let earliest = moment.watermark < .min + lateness ? .min : moment.watermark - lateness
    let (first, devicesBefore) = (records.count, devices.count)
    for number in 0..<counted.count {
      let index = counted.index(number)
      let tuple = frame.tuple(index)
      guard tupleSites[tuple] else { continue }
      let (person, user) = (frame.person(index), frame.user(index))
      if let share, !share.has(person) { continue }
      let kind = frame.kind(index)
      let time = counted.time(number)
      var marks = tupleMarks[tuple] & kindMarks[Int(kind)]
      if marks != 0 && selectsNames { marks &= nameMarks(frame, index) }
      if marks != 0, time < earliest || !question.times.contains(time) { marks = 0 }
      if marks != 0 { dimensions.next() }
      if marks != 0 && hasConditions { marks = admitted(marks, frame, index, at: time) }
      if overflow != nil {
        count(person, user, marks)
        continue
      }
      if marks == 0 {
        let isIdentity = kind == EventKind.alias.rawValue || kind == EventKind.unlink.rawValue
        guard isIdentity || isNews(of: person, user, hour) else { continue }
      }
      let device = device(person)
      let userNumber = user == .zero ? 0 : self.user(user) + 1
      var record = Record(
        time: time, key: frame.key(index), revenueMicros: frame.revenueMicros(index),
        device: device, user: userNumber, marks: marks, value: 0, currency: 0,
        frame: UInt32(frames.count), kind: kind)
      if marks != 0 {
        record.value = try value(of: frame, index, at: time)
        record.currency = try currency(of: tuple, frame)
      }
      records.append(record)
      if kind == EventKind.unlink.rawValue {
        // Whoever signs in next is news, even if it is the same user.
        states[Int(device)].user = 0
        states[Int(device)].hour = .min
      } else {
        if userNumber != 0 { states[Int(device)].user = userNumber }
        states[Int(device)].hour = hour
      }
      if user != .zero && user != person { states[Int(device)].isLinked = true }
    }
    if overflow != nil { return try checkConnected() }
    guard records.count > first else { return }
    frames.append(Frame(logTime: moment.logTime, watermark: moment.watermark, first: first))
    let bytes =
      (records.count - first) * Record.bytes + (devices.count - devicesBefore) * Device.bytes
    if !room.take(bytes) { overflowNow() }
  }

  /// Whether an event that is no touch says something of who is who that is not known of this hour.
  private func isNews(of person: Key128, _ user: Key128, _ hour: Int64) -> Bool {
    if user == person { return false }
    guard let number = deviceNumbers[person] else { return user != .zero }
    let device = states[Int(number)]
    if user == .zero { return device.isLinked && device.hour != hour }
    return device.hour != hour || userNumbers[user].map { $0 + 1 } != device.user
  }

  private func device(_ person: Key128) -> UInt32 {
    if let number = deviceNumbers[person] { return number }
    let number = UInt32(devices.count)
    deviceNumbers[person] = number
    devices.append(person)
    states.append(Device())
    return number
  }

  private func user(_ user: Key128) -> UInt32 {
    if let number = userNumbers[user] { return number }
    let number = UInt32(users.count)
    userNumbers[user] = number
    users.append(user)
    return number
  }

  // MARK: No room

  /// Lets go of what was kept but for how much it was and who may be whom.
  func overflowNow() {
    guard overflow == nil else { return }
    var left = PersonOverflow()
    left.bytes = records.count * Record.bytes + devices.count * Device.bytes
    for record in records where record.user != 0 {
      let (device, user) = (devices[Int(record.device)], users[Int(record.user) - 1])
      if device != user { left.graph.link(device, user) }
    }
    overflow = left
    records = []
    frames = []
    devices = []
    users = []
    states = []
    deviceNumbers = [:]
    userNumbers = [:]
  }

  private func count(_ person: Key128, _ user: Key128, _ marks: UInt32) {
    if marks != 0 { overflow?.bytes += Record.bytes }
    guard user != .zero, user != person else { return }
    let before = overflow?.graph.count ?? 0
    overflow?.graph.link(person, user)
    let added = (overflow?.graph.count ?? 0) - before
    overflow?.bytes += added * Device.bytes
  }

  private func checkConnected() throws(AnalysisError) {
    try PersonScan.check(
      overflow?.graph.count ?? 0, PersonQuestion.connectedCountMax,
      "ids that are connected with others")
  }

  // MARK: What a frame's tuples and names are, and single events

  private func begin(_ frame: FrameView) {
    tupleMarks.removeAll(keepingCapacity: true)
    tupleSites.removeAll(keepingCapacity: true)
    for tuple in 0..<frame.tupleCount {
      let fields = TupleFields(frame.tupleBytes(tuple))
      let isOwn = fields.isValid && fields[.site].elementsEqual(site)
      tupleSites.append(isOwn)
      tupleMarks.append(isOwn ? Self.marks(question.selectors) { $0.admits(fields) } : 0)
    }
    tupleValues = Array(repeating: nil, count: frame.tupleCount)
    tupleCurrencies = Array(repeating: nil, count: frame.tupleCount)
    if selectsNames { nameMarks = Array(repeating: nil, count: frame.labelCount) }
    if hasConditions || !valuesAreOfTuples { dimensions.begin(frame) }
  }

  private func nameMarks(_ frame: FrameView, _ index: Int) -> UInt32 {
    let label = frame.nameLabel(index)
    if let marks = nameMarks[label] { return marks }
    let name = frame.label(label)
    let marks = Self.marks(question.selectors) { $0.admits(name: name) }
    nameMarks[label] = marks
    return marks
  }

  /// Those of some selectors whose other conditions hold too.
  private func admitted(
    _ marks: UInt32, _ frame: FrameView, _ index: Int, at time: Int64
  ) -> UInt32 {
    var admitted = marks
    let set = segments.isEmpty ? 0 : segments.set(of: frame, index, at: time)
    for selector in conditions.indices where marks & (1 << UInt32(selector)) != 0 {
      let holds = conditions[selector].allSatisfy { condition in
        condition.contains { test in
          if let sets = test.sets { return sets[set] }
          text.removeAll(keepingCapacity: true)
          dimensions.append(test.filter.dimension, of: frame, index, at: time, to: &text)
          return test.filter.admits(text)
        }
      }
      if !holds { admitted &= ~(1 << UInt32(selector)) }
    }
    return admitted
  }

  private func value(
    of frame: FrameView, _ index: Int, at time: Int64
  ) throws(AnalysisError) -> UInt32 {
    let tuple = frame.tuple(index)
    if valuesAreOfTuples, let known = tupleValues[tuple] { return known }
    text.removeAll(keepingCapacity: true)
    for dimension in question.dimensions {
      let start = text.count
      text.append(0)
      text.append(0)
      dimensions.append(dimension, of: frame, index, at: time, to: &text)
      let count = text.count - start - 2
      text[start] = UInt8(truncatingIfNeeded: count)
      text[start + 1] = UInt8(truncatingIfNeeded: count >> 8)
    }
    guard let number = text.withUnsafeBytes({ values.intern($0) }) else {
      throw .full(
        what: "values of the dimension", max: PersonQuestion.valueCountMax,
        advice: PersonQuestion.advice)
    }
    if valuesAreOfTuples { tupleValues[tuple] = UInt32(number) }
    return UInt32(number)
  }

  private func currency(of tuple: Int, _ frame: FrameView) throws(AnalysisError) -> UInt32 {
    if let known = tupleCurrencies[tuple] { return known }
    guard let number = currencies.intern(TupleFields(frame.tupleBytes(tuple))[.currency]) else {
      throw .full(what: "currencies", max: currencies.countMax, advice: PersonQuestion.advice)
    }
    tupleCurrencies[tuple] = UInt32(number)
    return UInt32(number)
  }
}
