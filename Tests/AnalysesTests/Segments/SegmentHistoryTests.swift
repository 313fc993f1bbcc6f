import Events
import Oracles
import Testing
import Views

@testable import Analyses

@Suite("Who was in which segment")
struct SegmentHistoryTests {
  /// An event of the log that says that a person changes.
  private static func change(
    _ id: UInt64, _ person: UInt64, _ segment: String, _ change: String, _ number: Int,
    at time: Int64, site: String = "shop"
  ) -> ScannedEvent {
    ScannedEvent(
      id: id, kind: .segment, person: person, time: time, tuple: DimensionTuple(site: site),
      payload: #"{"segment":"\#(segment)","change":"\#(change)","number":\#(number)}"#)
  }

  private static func history(
    _ events: [ScannedEvent], from: Int64 = .min, until: Int64 = .max, memory: Int64? = nil
  ) throws -> SegmentHistory {
    try ScannedFrames.read(
      SegmentScan(site: "shop", for: from..<until, memory: memory), events, perFrame: 2
    ).history()
  }

  private static func segments(
    _ history: SegmentHistory, _ person: UInt64, at time: Int64
  ) -> [String] {
    history.texts(ofSet: history.set(of: ScannedFrames.person(person), at: time))
  }

  @Test("A person is in a segment from the time that the log says until the time that it left")
  func golden() throws {
    let minute = 60 * second
    let events = [
      Self.change(1, 1, "loyal", "entered", 1, at: ten - 40 * minute),
      Self.change(2, 1, "customer", "entered", 1, at: ten - 30 * minute),
      // Another process has seen the same later: it is the same change.
      Self.change(3, 1, "customer", "entered", 1, at: ten - 10 * minute),
      Self.change(4, 1, "loyal", "left", 2, at: ten - 20 * minute),
      Self.change(5, 1, "loyal", "stayed", 3, at: ten),
      // Of another site, of no form, of another kind.
      Self.change(6, 2, "loyal", "entered", 1, at: ten - 40 * minute, site: "other"),
      Self.change(7, 2, "loyal", "appeared", 1, at: ten - 40 * minute),
      ScannedEvent(id: 8, person: 2, payload: #"{"segment":"loyal","change":"entered"}"#),
    ]
    let history = try Self.history(events)
    #expect(history.segments == ["customer", "loyal"])
    let minutes: [(Int64, [String])] = [
      (-41, [""]), (-40, ["loyal"]), (-31, ["loyal"]), (-30, ["customer", "loyal"]),
      (-20, ["customer"]), (-1, ["customer"]), (0, ["customer", "loyal"]),
    ]
    for (at, expected) in minutes {
      #expect(Self.segments(history, 1, at: ten + at * minute) == expected, "\(at)")
    }
    #expect(Self.segments(history, 2, at: ten) == [""])
    let early = try Self.history(events, until: ten - 25 * minute)
    #expect(Self.segments(early, 1, at: ten) == ["customer", "loyal"])
  }

  @Test(
    "What is not said again is forgotten, and a reading that begins so long before sees the same")
  func memory() throws {
    let minute = 60 * second
    let events = [
      Self.change(1, 1, "loyal", "entered", 1, at: ten - 100 * minute),
      Self.change(2, 1, "loyal", "stayed", 2, at: ten - 80 * minute),
      Self.change(3, 2, "loyal", "entered", 1, at: ten - 60 * minute),
      Self.change(4, 2, "customer", "entered", 1, at: ten - 50 * minute),
      Self.change(5, 2, "loyal", "left", 2, at: ten - 40 * minute),
    ]
    let history = try Self.history(events, memory: 30 * minute)
    let expected: [(person: UInt64, minutes: Int64, segments: [String])] = [
      (1, -101, [""]), (1, -71, ["loyal"]), (1, -51, ["loyal"]), (1, -50, [""]), (1, 0, [""]),
      (2, -60, ["loyal"]), (2, -45, ["customer", "loyal"]), (2, -40, ["customer"]),
      (2, -21, ["customer"]), (2, -20, [""]),
    ]
    for (person, minutes, segments) in expected {
      let at = ten + minutes * minute
      #expect(Self.segments(history, person, at: at) == segments, "\(person) at \(minutes)")
      // Whatever the question's times are.
      let short = try Self.history(events, from: at, until: at + 1, memory: 30 * minute)
      #expect(Self.segments(short, person, at: at) == segments, "\(person) at \(minutes) alone")
    }
    let scan = SegmentScan(site: "shop", for: ten..<ten + minute, memory: 30 * minute)
    #expect(scan.times == ten - 30 * minute..<ten + minute)
  }

  @Test("It is what the changes up to a time say, however streams divide them", arguments: 0..<60)
  func oracle(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var numbers: [String: Int] = [:]
    var events: [ScannedEvent] = []
    var known: [(person: UInt64, segment: String, at: Int64, isIn: Bool)] = []
    var now = ten - hour
    for id in 1...80 as ClosedRange<UInt64> {
      now += random.time(upTo: 30 * second)
      let person = UInt64(1 + random.below(4))
      let segment = random.pick(["a", "b", "c"])
      let change = random.pick(["entered", "left", "stayed"])
      let number = numbers["\(person)\(segment)", default: 0] + 1
      numbers["\(person)\(segment)"] = number
      events.append(Self.change(id, person, segment, change, number, at: now))
      known.append((person, segment, now, change != "left"))
    }
    let whole = SegmentScan(site: "shop", for: .min ..< .max, memory: nil)
    for part in 0..<3 as Range<UInt64> {
      try whole.merge(
        ScannedFrames.read(
          SegmentScan(site: "shop", for: .min ..< .max, memory: nil),
          events.filter { $0.person % 3 == part }))
    }
    let history = whole.history()
    for _ in 0..<200 {
      let person = UInt64(1 + random.below(5))
      let time = ten - hour - second + random.time(upTo: now - ten + hour + 2 * second)
      var expected: Set<String> = []
      for change in known where change.person == person && change.at <= time {
        if change.isIn {
          expected.insert(change.segment)
        } else {
          expected.remove(change.segment)
        }
      }
      #expect(
        Self.segments(history, person, at: time) == (expected.isEmpty ? [""] : expected.sorted()),
        "seed \(seed)")
    }
  }

  @Test(
    "An event counts for each segment of its user, else of its device, and filters hold for all of them"
  )
  func breakdown() throws {
    let history = try Self.history([
      Self.change(1, 1, "loyal", "entered", 1, at: ten - hour),
      Self.change(2, 1, "customer", "entered", 1, at: ten - hour / 2),
      Self.change(3, 7, "loyal", "entered", 1, at: ten - hour / 2),
    ])
    let events = [
      ScannedEvent(id: 11, person: 1, time: ten - hour / 2 - second),
      ScannedEvent(id: 12, person: 1), ScannedEvent(id: 13, kind: .click, person: 1),
      // A device that nobody knows, of a user that is in one.
      ScannedEvent(id: 14, person: 5, user: 7), ScannedEvent(id: 15, person: 5),
    ]
    func rows(_ dimensions: [BreakdownDimension], _ filters: [BreakdownFilter] = []) throws
      -> [String]
    {
      ScannedFrames.texts(
        try ScannedFrames.breakdown(
          BreakdownQuestion(
            site: "shop", times: .min..<Int64.max, dimensions: dimensions, filters: filters),
          events, perFrame: 2, segments: history))
    }
    #expect(
      try rows([.segment]) == [
        "0  [1 0 0 0 0 0]", "0 customer [1 0 1 0 0 0]", "0 loyal [3 0 1 0 0 0]",
      ])
    func filter(_ test: BreakdownFilter.Test, _ values: String...) -> [BreakdownFilter] {
      [BreakdownFilter(.segment, test, values.map { Array($0.utf8) })]
    }
    #expect(try rows([], filter(.isAnyOf, "customer")) == ["0  [1 0 1 0 0 0]"])
    #expect(try rows([], filter(.isNoneOf, "customer")) == ["0  [3 0 0 0 0 0]"])
    #expect(try rows([], filter(.isAnyOf, "")) == ["0  [1 0 0 0 0 0]"])
    #expect(
      try rows([.segment], filter(.isAnyOf, "customer")) == [
        "0 customer [1 0 1 0 0 0]", "0 loyal [1 0 1 0 0 0]",
      ])
    // What says that somebody changes is of that segment alone.
    let change = Self.change(20, 1, "customer", "left", 2, at: ten)
    let changes = try ScannedFrames.breakdown(
      BreakdownQuestion(
        site: "shop", times: .min..<Int64.max, dimensions: [.event, .segment]), [change],
      segments: history
    ).rows()
    #expect(changes.map(\.values) == [["Name", "customer"]] && changes.map(\.events) == [1])
    let tops = try ScannedFrames.breakdown(
      BreakdownQuestion(site: "shop", times: .min..<Int64.max, tops: [.segment]), events,
      segments: history
    ).rows()[0].tops[0].entries
    #expect(tops.map(\.text) == ["loyal", "customer"] && tops.map(\.count) == [4, 2])
  }
}
