import Analyses
import Dataflow
import Events
import Operators
import Oracles
import Statistics
import Testing
import Views

@testable import Learning

@Suite("Persons of experiments")
struct ExposureBookTests {
  private struct Touch: Hashable {
    var person: UInt64
    var variant: String
    var at: Int64
    var allocation = ""
    var channel = "mail"
    var kind = EventKind.impression
    var user: UInt64?
    var name = "Seen"
    var country = ""
    var agent = ""
    var money: Int64 = 0
    var dwellMs = 0

    var payload: String {
      var members: [String] = []
      if !allocation.isEmpty { members.append(#""properties":{"allocation":{\#(allocation)}}"#) }
      if !country.isEmpty { members.append(#""country":"\#(country)""#) }
      if dwellMs > 0 { members.append(#""dw":\#(dwellMs)"#) }
      return "{\(members.joined(separator: ","))}"
    }
  }

  private final class Reader: Analysis {
    let times = Int64.min..<Int64.max
    var book: ExposureBook
    private var judge = StreamJudge(
      PipelineSpec(name: "test", allowedLateness: 24 * hour), groups: 0..<KeyGroup.count)
    private var sequence: UInt64 = 0

    init(
      _ plans: [DecisionPlan] = [], variants: [String] = ["a", "b"], goals: [String] = [],
      times: Range<Int64> = 0..<Int64.max
    ) {
      book = ExposureBook(plans, isAuthentic: TestMAC.isAuthentic)
      follow(variants, goals: goals, times: times)
    }

    func follow(_ variants: [String], goals: [String] = [], times: Range<Int64>) {
      book.follow(
        [
          ExposureQuestion(
            id: "x", site: "shop", campaign: "spring", variants: variants, times: times,
            goals: goals)
        ], since: nil)
    }

    func add(_ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment) {
      book.add(frame, counted)
    }

    func merge(_ other: Reader) {}

    func take(_ events: [IncomingEvent]) throws {
      var encoder = FrameEncoder()
      for event in events { encoder.append(event) }
      sequence += 1
      let frame = encoder.seal(
        FrameHeader(
          kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 0,
          producerSequence: sequence))
      try frame.withUnsafeBytes {
        try judge.add($0, sequence: sequence, storedAt: ten, to: self)
      }
    }

    func take(_ touches: [Touch]) throws {
      try take(
        touches.map { touch in
          let id = "\(touch)"
          var event = IncomingEvent(
            kind: touch.kind,
            key: EventIdentity.dedupeKey(site: "shop", source: "t", eventID: id),
            person: DecisionStory.key(touch.person), eventTime: touch.at, receivedAt: ten,
            dimensions: DimensionTuple(
              site: "shop", campaign: "spring", variant: touch.variant, channel: touch.channel,
              currency: touch.money == 0 ? "" : "EUR"
            ).encoded, id: id, name: touch.name, source: "t", payload: Array(touch.payload.utf8))
          if let user = touch.user { event.user = DecisionStory.key(user) }
          event.agent = touch.agent
          event.revenueMicros = touch.money
          return event
        })
    }

    /// Of those whose exposure says chances.
    var logged: [SampleRatioStep] { arrivals.filter { !$0.probabilities.isEmpty } }

    var arrivals: [SampleRatioStep] { book.arrivals(of: "x", within: 0..<ten + hour) }

    func cohorts(
      outcomeWindow: Int64 = hour, by facets: Set<ExposureFacet> = []
    ) -> [ExposureCohort] {
      book.cohorts(
        of: "x", level: .hour, outcomeWindow: outcomeWindow, by: facets, dwellTenthsMax: 36_000)?
        .cohorts ?? []
    }
  }

  private static let thirds = #""a":0.25,"b":0.75"#
  private static let halves = #""a":0.5,"b":0.5"#

  private static func step(
    _ start: Int64, _ channel: String, _ visitors: [Int], _ probabilities: [Double]
  ) -> SampleRatioStep {
    SampleRatioStep(
      start: start,
      values: [
        SampleRatioStep.Value("device", ""), SampleRatioStep.Value("channel", channel),
        SampleRatioStep.Value("country", ""), SampleRatioStep.Value("browser", ""),
      ], visitors: visitors, probabilities: probabilities)
  }

  @Test("a person counts by the first touch that shows a variant, whatever comes first")
  func first() throws {
    let start = ten - 30 * minute
    let touches: [Touch] = [
      .init(person: 1, variant: "a", at: start, allocation: Self.thirds),
      .init(person: 1, variant: "b", at: start + second, allocation: Self.halves),
      .init(person: 2, variant: "b", at: start + second, allocation: Self.thirds),
      .init(person: 3, variant: "b", at: start, allocation: Self.halves),
      // Says nothing, or is none.
      .init(person: 4, variant: "b", at: start),
      .init(person: 4, variant: "b", at: start + second, allocation: Self.halves),
      .init(person: 5, variant: "b", at: start, allocation: Self.halves, kind: .click),
      .init(person: 6, variant: "b", at: start, allocation: #""a":0.9,"b":0.9"#),
      .init(person: 7, variant: "", at: start, allocation: Self.halves),
      .init(person: 8, variant: "b", at: start + minute, allocation: Self.halves, channel: "web"),
    ]
    let expected = [
      Self.step(start, "mail", [1, 1], [0.25, 0.75]),
      Self.step(start, "mail", [0, 1], [0.5, 0.5]),
      Self.step(start + minute, "web", [0, 1], [0.5, 0.5]),
    ]
    for seed in 1...6 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let reader = Reader()
      for touch in touches.shuffled(using: &random) { try reader.take([touch]) }
      #expect(reader.logged == expected, "seed \(seed)")
      // Those who say nothing are there as well, without chances.
      #expect(reader.arrivals.filter(\.probabilities.isEmpty).map(\.visitors) == [[0, 2]])
      reader.book.forget(DecisionStory.key(2))
      #expect(reader.logged.map(\.visitors) == [[1, 0], [0, 1], [0, 1]])
    }
  }

  @Test("the token of a decision says its chances")
  func tokens() throws {
    var story = DecisionStory(DecisionStory.plan)
    for person in 1...30 as ClosedRange<UInt64> {
      story.decide(person, at: ten - 20 * minute + Int64(person) * second)
    }
    let reader = Reader([story.plan], variants: ["a", "b", "c"])
    var shown = [0, 0, 0]
    for (id, decision) in story.decisions.sorted(by: { $0.key < $1.key }) {
      let text = decision.token.text(mac: TestMAC.sign)
      let event = IncomingEvent(
        kind: .impression, key: EventIdentity.dedupeKey(site: "s", source: "t", eventID: "\(id)"),
        person: DecisionStory.key(UInt64(truncatingIfNeeded: id.key.high)),
        eventTime: ten - minute, receivedAt: ten,
        dimensions: DimensionTuple(
          site: "shop", campaign: "spring", variant: story.plan.arms[decision.arm]
        ).encoded, id: "\(id)", name: "Seen", source: "t",
        payload: Array(#"{"decision":"\#(text)"}"#.utf8))
      try reader.take([event])
      shown[decision.arm] += 1
    }
    let steps = reader.logged
    var counted = [0, 0, 0]
    for step in steps { for arm in 0..<3 { counted[arm] += step.visitors[arm] } }
    #expect(counted == shown && counted.reduce(0, +) == 30)
    // Those who take no part get each arm alike.
    let drawn = steps.filter { $0.probabilities[0] > 0.4 }
    let chances = Propensities([5, 3, 2])
    #expect(drawn.count == 1)
    for (probability, part) in zip(try #require(drawn.first).probabilities, chances.parts) {
      #expect((probability - Double(part) / Double(chances.whole)).magnitude < 1e-8)
    }
  }

  @Test("device, browser and country are those of the first exposure")
  func facets() throws {
    let start = ten - 30 * minute
    let reader = Reader()
    try reader.take([
      .init(
        person: 1, variant: "a", at: start, country: "AT", agent: "Safari 17/iOS/mobile"),
      .init(
        person: 1, variant: "a", at: start + second, country: "DE",
        agent: "Chrome 126/Windows/desktop"),
      .init(
        person: 2, variant: "b", at: start, country: "DE", agent: "Chrome 126/Windows/desktop"),
      .init(person: 3, variant: "b", at: start),
    ])
    #expect(
      reader.arrivals.map { step in step.values.map(\.value) + step.visitors.map { "\($0)" } } == [
        ["", "mail", "", "", "0", "1"], ["desktop", "mail", "DE", "Chrome", "0", "1"],
        ["mobile", "mail", "AT", "Safari", "1", "0"],
      ])
    let cohorts = reader.cohorts(by: [.device, .country])
    #expect(
      cohorts.map { [$0.place.variant, $0.place.device, $0.place.country, $0.place.channel] } == [
        ["a", "mobile", "AT", ""], ["b", "", "", ""], ["b", "desktop", "DE", ""],
      ])
  }

  @Test("what follows within the outcome window counts, in whatever order it comes")
  func outcomes() throws {
    let start = ten - 50 * minute
    let touches: [Touch] = [
      .init(person: 1, variant: "a", at: start),
      .init(person: 1, variant: "a", at: start + minute, kind: .click),
      .init(
        person: 1, variant: "a", at: start + 2 * minute, kind: .engagement, dwellMs: 4_000),
      .init(
        person: 1, variant: "a", at: start + 3 * minute, kind: .engagement, dwellMs: 2_500),
      .init(
        person: 1, variant: "a", at: start + 4 * minute, kind: .conversion, name: "Order",
        money: 20_000_000),
      // Too late, too early, and of somebody who saw both.
      .init(person: 1, variant: "b", at: start + 20 * minute),
      .init(person: 2, variant: "b", at: start + minute),
      .init(person: 2, variant: "b", at: start, kind: .click),
      .init(person: 2, variant: "a", at: start + 2 * minute),
      .init(person: 2, variant: "b", at: start + 3 * minute, kind: .custom, name: "Signed Up"),
      .init(person: 2, variant: "b", at: start + 30 * minute, kind: .conversion, name: "Order"),
    ]
    for seed in 1...6 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let reader = Reader(goals: ["Order", "Signed Up"])
      for touch in touches.shuffled(using: &random) { try reader.take([touch]) }
      let cohorts = reader.cohorts(outcomeWindow: 10 * minute)
      #expect(cohorts.map(\.place.variant) == ["a", "a", "b"])
      #expect(cohorts.map(\.place.currency) == ["", "EUR", ""])
      #expect(cohorts[0].exposures == Exposures(persons: 1, clickers: 1, converters: 1))
      #expect(
        cohorts[1].exposures
          == Exposures(revenueCentsSquared: 4_000_000, revenueMicros: 20_000_000))
      #expect(cohorts[2].exposures == Exposures(persons: 1, mixed: 1))
      #expect(cohorts.map(\.goals) == [[1, 0], [0, 0], [0, 1]])
      #expect(cohorts[0].engagers == 1 && cohorts[0].dwellers == 1)
      #expect(cohorts[0].dwellTenths == 65 && cohorts[0].dwellTenthsSquared == 65 * 65)
      // All of it, where the window is an hour.
      let longer = reader.cohorts(outcomeWindow: hour)
      #expect(longer[0].exposures.mixed == 1)
      #expect(longer[2].exposures == Exposures(persons: 1, converters: 1, mixed: 1))
      #expect(longer[2].goals == [1, 1])
    }
  }

  @Test("a device's touches are its user's, before and after it was known")
  func users() throws {
    let start = ten - 40 * minute
    let reader = Reader()
    try reader.take([
      .init(person: 1, variant: "a", at: start),
      .init(person: 2, variant: "b", at: start + minute, user: 9),
      // The device turns out to be the user's, who was first exposed on it.
      .init(person: 1, variant: "", at: start + 2 * minute, kind: .identify, user: 9),
      .init(person: 2, variant: "b", at: start + 3 * minute, kind: .click),
    ])
    let joined = reader.cohorts()
    #expect(joined.map(\.exposures) == [Exposures(persons: 1, clickers: 1, mixed: 1)])
    #expect(joined.map(\.place.variant) == ["a"])
    #expect(reader.arrivals.map(\.visitors) == [[1, 0]])
    // Whoever signed out is somebody else from then on.
    try reader.take([
      .init(person: 2, variant: "", at: start + 4 * minute, kind: .unlink),
      .init(person: 2, variant: "b", at: start + 5 * minute),
    ])
    #expect(reader.cohorts().map(\.exposures.persons) == [1, 1])
    reader.book.forget(DecisionStory.key(9))
    #expect(reader.cohorts().map(\.place.variant) == ["b"])
  }

  @Test("what is followed keeps its persons when its end becomes known, and begins anew otherwise")
  func changes() throws {
    let start = ten - 40 * minute
    let reader = Reader(times: start..<Int64.max)
    try reader.take([
      .init(person: 1, variant: "a", at: start - second),
      .init(person: 2, variant: "a", at: start + second),
    ])
    #expect(reader.arrivals.map(\.visitors) == [[1, 0]])
    reader.follow(["a", "b"], times: start..<start + 10 * minute)
    try reader.take([.init(person: 3, variant: "b", at: start + 11 * minute)])
    #expect(reader.arrivals.map(\.visitors) == [[1, 0]])
    reader.follow(["b", "a"], times: start..<start + 10 * minute)
    #expect(reader.arrivals.isEmpty)
    reader.book.follow([], since: nil)
    try reader.take([.init(person: 4, variant: "a", at: start + minute)])
    #expect(reader.arrivals.isEmpty && reader.cohorts().isEmpty)
  }

  @Test("who did nothing for 30 days is forgotten")
  func forgetting() throws {
    let start = ten - 40 * minute
    let reader = Reader()
    try reader.take([
      .init(person: 1, variant: "a", at: start),
      .init(person: 2, variant: "b", at: start + hour / 2),
    ])
    reader.book.advance(to: start + ExposureBook.memory + minute)
    #expect(reader.arrivals.map(\.visitors) == [[0, 1]])
    #expect(reader.book.turnedAway == 0)
  }
}
