import Events
import HTTPClient
import Testing

@testable import DemoTraffic

@Suite("The demo's truth")
struct DemoTruthTests {
  private static let answer = """
    {"results":[
      {"dimensions":["sale","hero","a","web"],"metrics":[10,5,2,1,1,{"EUR":12.34,"USD":0.5}]},
      {"dimensions":["sale","hero","b","web"],"metrics":[3,0,0,0,0,{}]}],
     "meta":{"final":false,"watermark":"2026-11-23T00:00:00Z"},"query":null}
    """

  private let place = DemoPlace(campaign: "sale", content: "hero", variant: "a", channel: "web")

  @Test("reads the query API's answer exactly, money to the millionth")
  func parse() throws {
    let truth = try DemoQuery.parse(Array(Self.answer.utf8))
    #expect(truth.places.count == 2)
    let counts = try #require(truth.places[place])
    #expect(counts.impressions == 10 && counts.views == 5 && counts.clicks == 2)
    #expect(counts.engagements == 1 && counts.conversions == 1)
    #expect(counts.revenue == ["EUR": 12_340_000, "USD": 500_000])
  }

  @Test(
    "does not take another answer for one",
    arguments: [
      "", "[]", #"{"results":[{"dimensions":["a"],"metrics":[1,1,1,1,1,{}]}]}"#,
      #"{"results":[{"dimensions":["a","b","c","d"],"metrics":[1,1,1,1,1]}]}"#,
      #"{"results":[{"dimensions":["a","b","c","d"],"metrics":[null,1,1,1,1,{}]}]}"#,
    ])
  func refuses(text: String) {
    #expect(throws: JSONError.self) { try DemoQuery.parse(Array(text.utf8)) }
  }

  @Test("finds the difference of a single event")
  func differences() throws {
    let before = try DemoQuery.parse(Array(Self.answer.utf8))
    var after = before
    var one = DemoTruth.Counts()
    one.clicks = 1
    after.add(one, to: place)
    var truth = DemoTruth()
    truth.add(one, to: place)
    #expect(after.since(before) == truth)
    let equal = DemoComparison(truth: truth, answer: after.since(before))
    #expect(equal.isEqual)
    #expect(DemoReport(outcome: DemoOutcome(), comparison: equal).text.contains("1 = 1"))

    truth.add(one, to: place)
    let different = DemoComparison(truth: truth, answer: after.since(before))
    #expect(different.differences == [place])
    let report = DemoReport(outcome: DemoOutcome(), comparison: different)
    #expect(!report.isEqual)
    #expect(report.text.contains("2 ≠ 1"))
    #expect(report.text.contains("DIFFERENT in 1"))
  }

  @Test("counts only acknowledged requests, and copies never")
  func tally() {
    let person = DemoPerson(anonymousID: "p")
    let event = DemoEvent(
      id: "1", action: .click, place: place, person: person, time: 0, timing: .live)
    let wire = DemoWire(writeKey: "dev")
    var copy = wire.pixel(event)
    copy.expectation = .duplicate
    let tally = DemoTally()
    tally.answered(wire.pixel(event), status: 503, position: nil)
    #expect(tally.outcome.truth.places.isEmpty)
    tally.answered(
      wire.pixel(event), status: 200, position: Position(generation: 1, sequences: [0: 5]))
    tally.answered(copy, status: 200, position: Position(generation: 1, sequences: [0: 4, 2: 9]))
    #expect(tally.outcome.truth.places[place]?.clicks == 1)
    #expect(tally.outcome.position == Position(generation: 1, sequences: [0: 5, 2: 9]))
    #expect(tally.outcome.spooledRequestCount == 0)
    tally.answered(copy, status: 200, position: nil)
    #expect(tally.outcome.spooledRequestCount == 1 && tally.outcome.position?.generation == 1)
    #expect(tally.outcome.statuses == [200: 3, 503: 1])
  }

  @Test("reads what became of the events from the processor's metrics")
  func accounting() {
    let before = DemoAccounting(
      metrics: """
        # TYPE smartcontent_events_accounted_total counter
        smartcontent_events_accounted_total{pipeline="default",stream="events-00",class="late"} 2.0
        """)
    let after = DemoAccounting(
      metrics: """
        smartcontent_events_accounted_total{pipeline="default",stream="events-00",class="late"} 5.0
        smartcontent_events_accounted_total{pipeline="default",stream="events-01",class="late"} 1
        smartcontent_events_accounted_total{class="duplicate",pipeline="default",stream="x"} 7
        smartcontent_events_received_total{pipeline="default",stream="events-01"} 9
        """)
    let difference = after.since(before)
    #expect(difference.pipelines == ["default": ["late": 4, "duplicate": 7]])
    #expect(difference.received == 11)
  }
}
