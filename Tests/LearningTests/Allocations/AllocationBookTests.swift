import Analyses
import Dataflow
import Events
import Operators
import Oracles
import Statistics
import Testing

@testable import Learning

@Suite("Chances that events log")
struct AllocationBookTests {
  private struct Touch: Hashable {
    var person: UInt64
    var variant: String
    var at: Int64
    var allocation = ""
    var channel = "mail"
    var kind = EventKind.impression
    var payload: String {
      allocation.isEmpty ? "{}" : #"{"properties":{"allocation":{\#(allocation)}}}"#
    }
  }

  private final class Reader: Analysis {
    let times = Int64.min..<Int64.max
    var book: AllocationBook
    private var judge = StreamJudge(
      PipelineSpec(name: "test", allowedLateness: 24 * hour), groups: 0..<KeyGroup.count)
    private var sequence: UInt64 = 0

    init(_ plans: [DecisionPlan] = []) {
      book = AllocationBook(plans, isAuthentic: TestMAC.isAuthentic)
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
          return IncomingEvent(
            kind: touch.kind,
            key: EventIdentity.dedupeKey(site: "shop", source: "t", eventID: id),
            person: DecisionStory.key(touch.person), eventTime: touch.at, receivedAt: ten,
            dimensions: DimensionTuple(
              site: "shop", campaign: "spring", variant: touch.variant, channel: touch.channel
            ).encoded, id: id, name: "Seen", source: "t", payload: Array(touch.payload.utf8))
        })
    }

    func steps(_ variants: [String] = ["a", "b"]) -> [SampleRatioStep] {
      book.steps(site: "shop", campaign: "spring", variants: variants, times: 0..<ten + hour)
    }
  }

  private static let thirds = #""a":0.25,"b":0.75"#
  private static let halves = #""a":0.5,"b":0.5"#

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
      SampleRatioStep(
        start: start, channel: "mail", visitors: [1, 1], probabilities: [0.25, 0.75]),
      SampleRatioStep(start: start, channel: "mail", visitors: [0, 1], probabilities: [0.5, 0.5]),
      SampleRatioStep(
        start: start + minute, channel: "web", visitors: [0, 1], probabilities: [0.5, 0.5]),
    ]
    // One that makes the campaign known, so that touches without chances are noted from the first on.
    let known = Touch(person: 9, variant: "z", at: start - hour, allocation: Self.halves)
    for seed in 1...6 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let reader = Reader()
      try reader.take([known])
      for touch in touches.shuffled(using: &random) { try reader.take([touch]) }
      #expect(reader.steps() == expected, "seed \(seed)")
      reader.book.forget(DecisionStory.key(2))
      #expect(reader.steps().map(\.visitors) == [[1, 0], [0, 1], [0, 1]])
    }
  }

  @Test("the token of a decision says its chances")
  func tokens() throws {
    var story = DecisionStory(DecisionStory.plan)
    for person in 1...30 as ClosedRange<UInt64> {
      story.decide(person, at: ten - 20 * minute + Int64(person) * second)
    }
    let reader = Reader([story.plan])
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
    let steps = reader.steps(["a", "b", "c"])
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
}
