import Analyses
import Dataflow
import Events
import Operators
import Oracles
import Statistics
import Testing

@testable import Learning

@Suite("Values that are unlike before")
struct NoveltyLearnerTests {
  private static let bin = NoveltyLearner.bin
  private static let start: Int64 = 1_800_000_000_000_000 / bin * bin

  /// A learner that reads frames of one stream.
  private final class Desk: Analysis {
    let times = Int64.min..<Int64.max
    var latest: ValueNovelties?
    lazy var learner = NoveltyLearner { [unowned self] in latest = $0 }
    private var judge = StreamJudge(
      PipelineSpec(name: "test", allowedLateness: 24 * hour), groups: 0..<KeyGroup.count)
    private var sequence: UInt64 = 0

    func add(_ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment) {
      learner.add(
        frame, counted, at: moment, from: StreamPlace(generation: 1, partition: 0))
    }

    func merge(_ other: Desk) {}

    /// - Parameters:
    ///   - revenue: of conversions, millionths of EUR.
    ///   - seconds: in view, of engagements.
    func store(
      revenue: [Int64] = [], seconds: [Double] = [], campaign: String = "spring",
      traffic: String = "", eventTime: Int64? = nil, at time: Int64
    ) throws {
      var encoder = FrameEncoder()
      sequence += 1
      for number in 0..<(revenue.count + seconds.count) {
        let id = "\(sequence)-\(number)"
        let isMoney = number < revenue.count
        let payload = isMoney ? "{}" : #"{"dw":\#(Int(seconds[number - revenue.count] * 1_000))}"#
        encoder.append(
          IncomingEvent(
            kind: isMoney ? .conversion : .engagement,
            key: EventIdentity.dedupeKey(site: "shop", source: "t", eventID: id),
            person: Key128(low: UInt64(number), high: 7), eventTime: eventTime ?? time,
            receivedAt: time,
            dimensions: DimensionTuple(
              site: "shop", campaign: campaign, currency: isMoney ? "EUR" : "", traffic: traffic
            ).encoded, revenueMicros: isMoney ? revenue[number] : 0, id: id, name: "Seen",
            source: "t", payload: Array(payload.utf8)))
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

    func series(
      _ quantity: ValueNovelties.Quantity, _ campaign: String = ""
    ) -> ValueNovelties.Series? {
      latest?.series.first { $0.key.quantity == quantity && $0.key.campaign == campaign }
    }
  }

  @Test(
    "a price that is a tenth of what it was is marked while as many buy"
  )
  func price() throws {
    var random = SeededGenerator(seed: 1)
    let desk = Desk()
    let count = 400
    for number in 0..<count {
      let isWrong = number >= count - 3
      let time = Self.start + Int64(number) * Self.bin
      try desk.store(
        revenue: (0..<30).map { _ in
          Int64(20 + random.below(40)) * (isWrong ? 100_000 : 1_000_000)
        },
        seconds: (0..<30).map { _ in
          Double(5 + random.below(20))
        }, at: time)
      // Others are not people, or too few for a mean.
      try desk.store(revenue: Array(repeating: 1, count: 40), traffic: "bot", at: time + 1)
      desk.publish(at: time + Self.bin + NoveltyLearner.grace)
      let revenue = try #require(desk.series(.revenue))
      #expect(revenue.count == number + 1 && revenue.key.currency == "EUR")
      if number < 50 { #expect(revenue.anomaly == nil) }
    }
    let latest = try #require(desk.latest)
    #expect(latest.series.map(\.key.campaign) == ["", "", "spring", "spring"])
    for campaign in ["", "spring"] {
      let revenue = try #require(desk.series(.revenue, campaign))
      let anomaly = try #require(revenue.anomaly)
      #expect(anomaly.point.start >= Self.start + Int64(count - 3) * Self.bin)
      #expect(anomaly.point.value < 5, "a tenth")
      #expect(try (#require(anomaly.point.usual) - 40).magnitude < 3)
      #expect(anomaly.point.novelty >= NoveltyDetector.defaultThreshold)
      #expect(anomaly.regards.map(\.name).sorted() == NoveltyDetector.opinions.sorted())
      #expect(latest.isFresh(revenue))
      let dwell = try #require(desk.series(.dwell, campaign))
      #expect((dwell.last.value - 14.5).magnitude < 5)
    }
    // Told of for half an hour.
    desk.publish(at: Self.start + Int64(count + 8) * Self.bin)
    let later = try #require(desk.latest)
    #expect(try !later.isFresh(#require(desk.series(.revenue))))
  }

  @Test("few events say nothing, and late ones are turned away")
  func few() throws {
    let desk = Desk()
    let grace = NoveltyLearner.grace
    let min = NoveltyLearner.eventsMin
    let revenue = { (count: Int) in Array(repeating: 2_000_000 as Int64, count: count) }
    try desk.store(revenue: revenue(min - 1), at: Self.start)
    desk.publish(at: Self.start + Self.bin + grace)
    #expect(desk.latest?.series.isEmpty == true)
    try desk.store(revenue: revenue(min - 1), at: Self.start + Self.bin)
    // In time within a minute after, and no more then.
    let end = Self.start + 2 * Self.bin
    try desk.store(revenue: revenue(1), eventTime: end - 1, at: end + grace - 1)
    try desk.store(revenue: revenue(1), eventTime: end - 1, at: end + grace)
    desk.publish(at: end + grace)
    #expect(desk.series(.revenue)?.count == 1 && desk.series(.revenue)?.last.value == 2)
    #expect(desk.latest?.turnedAway == 1)
    // After two weeks without a value it is forgotten.
    desk.publish(at: end + 15 * 24 * hour)
    #expect(desk.latest?.series.isEmpty == true)
  }

  @Test("of campaigns without end only so many are summed, and the site is all the same")
  func manyCampaigns() throws {
    let desk = Desk()
    let count = NoveltyLearner.openMax + 10
    for number in 0..<count {
      try desk.store(revenue: [3_000_000], campaign: "c\(number)", at: Self.start)
    }
    desk.publish(at: Self.start + Self.bin + NoveltyLearner.grace)
    // The site's own sum is one of them.
    #expect(desk.latest?.turnedAway == 11)
    #expect(desk.latest?.series.count == 1 && desk.series(.revenue)?.last.value == 3)
  }
}
