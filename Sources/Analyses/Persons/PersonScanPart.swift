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
    /// Number in ``values``, too.
    var currency: UInt32
    /// Number in ``frames``.
    var frame: UInt32
    var kind: UInt8
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
  }

  private(set) var records: [Record] = []
  private(set) var frames: [Frame] = []
  /// By number.
  private(set) var devices: [Key128] = []
  private(set) var users: [Key128] = []
  private(set) var values: TextTable

  private let question: PersonQuestion
  private let site: [UInt8]
  private var states: [Device] = []
  private var deviceNumbers: [Key128: UInt32] = [:]
  private var userNumbers: [Key128: UInt32] = [:]
  /// By kind, tuple and label of the current frame: the selectors that admit it.
  private let kindMarks: [UInt32]
  private var tupleMarks: [UInt32] = []
  private var tupleSites: [Bool] = []
  private var tupleValues: [(value: UInt32, currency: UInt32)?] = []
  private var nameMarks: [UInt32?] = []
  private let selectsNames: Bool

  init(_ question: PersonQuestion) {
    self.question = question
    site = Array(question.site.utf8)
    values = TextTable(countMax: PersonQuestion.valueCountMax)
    let all = question.selectors
    kindMarks = (0...UInt8.max).map { kind in Self.marks(all) { $0.admits(kind: kind) } }
    selectsNames = all.contains { $0.name != nil }
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
    let first = records.count
    for number in 0..<counted.count {
      let index = counted.index(number)
      let tuple = frame.tuple(index)
      guard tupleSites[tuple] else { continue }
      let kind = frame.kind(index)
      let time = counted.time(number)
      var marks = tupleMarks[tuple] & kindMarks[Int(kind)]
      if marks != 0 && selectsNames { marks &= nameMarks(frame, index) }
      if marks != 0, time < earliest || !question.times.contains(time) { marks = 0 }
      let (person, user) = (frame.person(index), frame.user(index))
      if marks == 0 {
        let isIdentity = kind == EventKind.alias.rawValue || kind == EventKind.unlink.rawValue
        guard isIdentity || isNews(of: person, user, hour) else { continue }
      }
      let device = try device(person)
      let userNumber = user == .zero ? 0 : try self.user(user) + 1
      var record = Record(
        time: time, key: frame.key(index), revenueMicros: frame.revenueMicros(index),
        device: device, user: userNumber, marks: marks, value: 0, currency: 0,
        frame: UInt32(frames.count), kind: kind)
      if marks != 0 { (record.value, record.currency) = try values(of: tuple, frame) }
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
    guard records.count > first else { return }
    frames.append(Frame(logTime: moment.logTime, watermark: moment.watermark, first: first))
    try PersonScan.check(records.count, question.touchCountMax, "touches and sign-ins")
  }

  /// Whether an event that is no touch says something of who is who that is not known of this hour.
  private func isNews(of person: Key128, _ user: Key128, _ hour: Int64) -> Bool {
    if user == person { return false }
    guard let number = deviceNumbers[person] else { return user != .zero }
    let device = states[Int(number)]
    if user == .zero { return device.isLinked && device.hour != hour }
    return device.hour != hour || userNumbers[user].map { $0 + 1 } != device.user
  }

  private func device(_ person: Key128) throws(AnalysisError) -> UInt32 {
    if let number = deviceNumbers[person] { return number }
    try PersonScan.check(devices.count + 1, question.personCountMax, "persons")
    let number = UInt32(devices.count)
    deviceNumbers[person] = number
    devices.append(person)
    states.append(Device())
    return number
  }

  private func user(_ user: Key128) throws(AnalysisError) -> UInt32 {
    if let number = userNumbers[user] { return number }
    let number = UInt32(users.count)
    userNumbers[user] = number
    users.append(user)
    return number
  }

  // MARK: What a frame's tuples and names are

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
    if selectsNames { nameMarks = Array(repeating: nil, count: frame.labelCount) }
  }

  private func nameMarks(_ frame: FrameView, _ index: Int) -> UInt32 {
    let label = frame.nameLabel(index)
    if let marks = nameMarks[label] { return marks }
    let name = frame.label(label)
    let marks = Self.marks(question.selectors) { $0.admits(name: name) }
    nameMarks[label] = marks
    return marks
  }

  private func values(
    of tuple: Int, _ frame: FrameView
  ) throws(AnalysisError) -> (UInt32, UInt32) {
    if let known = tupleValues[tuple] { return known }
    let fields = TupleFields(frame.tupleBytes(tuple))
    let empty = UnsafeRawBufferPointer(start: nil, count: 0)
    let value = try intern(question.dimension.map { fields[$0] } ?? empty)
    let numbers = (value: value, currency: try intern(fields[.currency]))
    tupleValues[tuple] = numbers
    return numbers
  }

  private func intern(_ text: UnsafeRawBufferPointer) throws(AnalysisError) -> UInt32 {
    guard let number = values.intern(text) else {
      throw .full(
        what: "values of the dimension", max: PersonQuestion.valueCountMax,
        advice: PersonQuestion.advice)
    }
    return UInt32(number)
  }
}
