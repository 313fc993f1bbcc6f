import Analyses
import Dataflow
import Events
import Operators
import Oracles
import Statistics
import Testing

@testable import Learning

@Suite("Forecasts of engagement")
struct ForecastLearnerTests {
  private static let hour = ForecastLearner.hour
  private static let start: Int64 = 1_800_000 * 1_000_000 * 1_000 / 3_600_000_000 * 3_600_000_000

  /// A learner that reads frames of one stream.
  private final class Desk: Analysis {
    let times = Int64.min..<Int64.max
    var latest: EngagementForecasts?
    lazy var learner = ForecastLearner { [unowned self] in latest = $0 }
    private var judge = StreamJudge(
      PipelineSpec(name: "test", allowedLateness: 24 * hour), groups: 0..<KeyGroup.count)
    private var sequence: UInt64 = 0

    func add(_ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment) {
      learner.add(
        frame, counted, at: moment, from: StreamPlace(generation: 1, partition: 0))
    }

    func merge(_ other: Desk) {}

    /// - Parameter events: kinds and times.
    func store(
      _ events: [(kind: EventKind, time: Int64, traffic: String)], at time: Int64
    ) throws {
      var encoder = FrameEncoder()
      sequence += 1
      for (number, event) in events.enumerated() {
        let id = "\(sequence)-\(number)"
        encoder.append(
          IncomingEvent(
            kind: event.kind,
            key: EventIdentity.dedupeKey(site: "shop", source: "t", eventID: id),
            person: Key128(low: UInt64(number + 1), high: 7), eventTime: event.time,
            receivedAt: time,
            dimensions: DimensionTuple(site: "shop", campaign: "spring", traffic: event.traffic)
              .encoded, id: id, name: "Seen", source: "t", payload: Array("{}".utf8)))
      }
      let frame = encoder.seal(
        FrameHeader(
          kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 0,
          producerSequence: sequence))
      try frame.withUnsafeBytes {
        try judge.add($0, sequence: sequence, storedAt: time, to: self)
      }
    }

    func publish(at time: Int64) {
      learner.publish(
        LearningProgress(position: Position(generation: 1), logTime: time, isCaughtUp: true))
    }
  }

  /// Engagements of an hour: more by day, a little by chance.
  private static func count(_ hour: Int, _ random: inout SeededGenerator) -> Int {
    let ofDay = hour % 24
    return (0..<(8 <= ofDay && ofDay < 20 ? 100 : 20)).reduce(0) { sum, _ in sum + random.below(2) }
  }

  @Test("days that repeat are forecast, and hours that fall out in a row are counted")
  func days() throws {
    var random = SeededGenerator(seed: 1)
    let desk = Desk()
    let fall = 21 * 24 + 10
    for number in 0..<fall + 3 {
      let start = Self.start + Int64(number) * Self.hour
      let count = Self.count(number, &random) / (number < fall ? 1 : 4)
      try desk.store(
        (0..<count).map { (EventKind.click, start + Int64($0) * 1_000_000, "") }
          + [(EventKind.impression, start, ""), (EventKind.click, start, "bot")],
        at: start + Self.hour / 2)
      // Often, as a follower does.
      desk.publish(at: start + Self.hour / 2)
      guard number == fall else { continue }
      let forecasts = try #require(desk.latest)
      #expect(forecasts.series.map(\.key.campaign) == ["", "spring"])
      let site = forecasts.series[0]
      #expect(site.hours == fall && site.next.count == 24 && forecasts.series[1].next.count == 1)
      #expect(site.hoursBelow <= 3 && site.next[0].start == start)
      // By day some 50, by night some 10.
      for hour in site.next {
        let ofDay = Int((hour.start - Self.start) / Self.hour) % 24
        let mean = 8 <= ofDay && ofDay < 20 ? 50.0 : 10
        #expect((hour.forecast.median / mean - 1).magnitude < 0.35, "\(ofDay): \(hour)")
        #expect(hour.forecast.lower < mean && hour.forecast.upper > mean)
      }
    }
    desk.publish(at: Self.start + Int64(fall + 3) * Self.hour + ForecastLearner.grace)
    let last = try #require(desk.latest).series[0]
    #expect(last.hoursBelow >= 3 && last.hoursAbove == 0)
    #expect(try Double(last.lastCount) < #require(last.lastForecast).lower)
  }

  @Test("what is late is turned away, and hours without any event of the log are not known")
  func late() throws {
    let desk = Desk()
    let times = { (hours: Int64, count: Int) in
      (0..<count).map { (EventKind.click, Self.start + hours * Self.hour + Int64($0), "") }
    }
    try desk.store(times(0, 5), at: Self.start + 1)
    // Within ten minutes after its hour, and later.
    try desk.store(times(0, 2), at: Self.start + Self.hour + ForecastLearner.grace - 1)
    try desk.store(times(0, 3), at: Self.start + Self.hour + ForecastLearner.grace)
    desk.publish(at: Self.start + Self.hour + ForecastLearner.grace)
    #expect(desk.latest?.series.map(\.lastCount) == [7, 7])
    #expect(desk.latest?.turnedAway == 3)
    // Nothing for a day: the last hour that is known stays.
    desk.publish(at: Self.start + 30 * Self.hour)
    #expect(desk.latest?.series[0].lastCount == 0 && desk.latest?.series[0].hours == 29)
    desk.publish(at: Self.start + 40 * Self.hour)
    #expect(desk.latest?.series[0].hours == 39 && desk.latest?.series[0].hoursBelow == 0)
  }
}
