import Analyses
import Dataflow
import Events
import Operators
import Oracles
import Testing

@testable import Learning

@Suite("Whose an incident is")
struct AudienceTableTests {
  private static let bin = AudienceTable.bin

  private final class Reader: Analysis {
    let times = Int64.min..<Int64.max
    var table = AudienceTable()
    private var judge = StreamJudge(
      PipelineSpec(name: "test", allowedLateness: 30 * 24 * hour), groups: 0..<KeyGroup.count)
    private var sequence: UInt64 = 0

    func add(_ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment) {
      table.add(frame, counted)
    }

    func merge(_ other: Reader) {}

    /// Impressions of some people with one agent and country.
    func take(
      _ count: Int, _ agent: String, _ country: String, of content: String = "post-1",
      at time: Int64
    ) throws {
      var encoder = FrameEncoder()
      sequence += 1
      for number in 0..<count {
        let id = "\(sequence)-\(number)"
        encoder.append(
          IncomingEvent(
            kind: .impression,
            key: EventIdentity.dedupeKey(site: "shop", source: "t", eventID: id),
            person: EventIdentity.personKey(site: "shop", id: id), eventTime: time,
            receivedAt: ten,
            dimensions: DimensionTuple(site: "shop", campaign: "spring", content: content).encoded,
            id: id,
            name: "Seen", source: "t", payload: Array(#"{"country":"\#(country)"}"#.utf8),
            agent: agent))
      }
      let frame = encoder.seal(
        FrameHeader(
          kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 0,
          producerSequence: sequence))
      try frame.withUnsafeBytes {
        try judge.add($0, sequence: sequence, storedAt: ten, to: self)
      }
    }
  }

  private struct Batch {
    var count: Int
    var agent: String
    var country: String
    var at: Int64
  }

  private static let mobile = "Safari 17/iOS/mobile"
  private static let desktop = "Chrome 126/Windows/desktop"

  /// A day in which everybody comes, and half an hour without those on mobile devices.
  ///
  /// - Parameter size: persons of each device and country in a bin.
  private static func batches(size: Int, from start: Int64) -> [Batch] {
    (0..<294).flatMap { number -> [Batch] in
      let at = start + Int64(number) * bin + 1
      return ["AT", "DE"].flatMap { country in
        [Batch(count: size, agent: desktop, country: country, at: at)]
          + (number < 288
            ? [Batch(count: size, agent: mobile, country: country, at: at)] : [])
      }
    }
  }

  @Test(
    "the device that is missing is named with its browser, and no country, in whatever order events come",
    arguments: [5, 100])
  func outage(size: Int) throws {
    let start = ten / Self.bin * Self.bin - 300 * Self.bin
    let begin = start + 288 * Self.bin
    let batches = Self.batches(size: size, from: start)
    for seed in 1...2 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let reader = Reader()
      for batch in seed == 1 ? batches : batches.shuffled(using: &random) {
        try reader.take(batch.count, batch.agent, batch.country, at: batch.at)
      }
      for (campaign, content) in [("", ""), ("spring", ""), ("spring", "post-1")] {
        let found = reader.table.contributions(
          site: "shop", campaign: campaign, content: content, .impressions, from: begin,
          until: begin + 6 * Self.bin, expected: Double(6 * 4 * size))
        #expect(found.map(\.dimension) == ["device", "browser"], "seed \(seed): \(found)")
        #expect(found.map(\.value) == ["mobile", "Safari"])
        #expect(found.allSatisfy { $0.share > 0.95 && ($0.usual - 0.5).magnitude < 0.05 })
      }
      #expect(reader.table.turnedAway == 0)
    }
  }

  @Test("where all fall alike, or nothing is known, nobody is named")
  func alike() throws {
    let start = ten / Self.bin * Self.bin - 20 * Self.bin
    let reader = Reader()
    for number in 0..<12 {
      let count = number < 10 ? 40 : 10
      try reader.take(count, Self.mobile, "AT", at: start + Int64(number) * Self.bin)
      try reader.take(count, Self.desktop, "AT", at: start + Int64(number) * Self.bin)
    }
    let begin = start + 10 * Self.bin
    func found(_ campaign: String) -> [AudienceTable.Contribution] {
      reader.table.contributions(
        site: "shop", campaign: campaign, .impressions, from: begin, until: begin + 2 * Self.bin,
        expected: 160)
    }
    #expect(found("").isEmpty && found("autumn").isEmpty)
    reader.table.advance(to: start + 8 * 24 * hour)
    #expect(found("spring").isEmpty)
  }

  @Test("of many contents those with the most events are known, and of many values the first ones")
  func many() throws {
    let start = ten / Self.bin * Self.bin - 20 * Self.bin
    let reader = Reader()
    func found(_ content: String) -> [AudienceTable.Contribution] {
      reader.table.contributions(
        site: "shop", campaign: "spring", content: content, .impressions, from: start + Self.bin,
        until: start + 2 * Self.bin, expected: 20)
    }
    for number in 0..<AudienceTable.contentsMax {
      let content = "post-\(number)"
      try reader.take(number % 2 == 0 ? 1 : 2, Self.mobile, "AT", of: content, at: start)
    }
    try reader.take(9, Self.mobile, "AT", of: "late", at: start)
    #expect(reader.table.turnedAway == 1)
    reader.table.advance(to: start)
    for device in [Self.mobile, Self.desktop] {
      try reader.take(10, device, "AT", of: "late", at: start)
      try reader.take(10, device, "AT", of: "post-1", at: start)
    }
    for content in ["late", "post-1"] {
      try reader.take(10, Self.desktop, "AT", of: content, at: start + Self.bin)
      #expect(found(content).first?.value == "mobile", "\(found(content))")
    }
    #expect(found("post-0").isEmpty && reader.table.turnedAway == 1)
    // Those without a place of their own still count among all.
    for number in 0..<2 * AudienceTable.contentValuesMax {
      try reader.take(10, Self.mobile, "A\(number)", of: "wide", at: start)
      guard number > 0 else { continue }
      try reader.take(10, Self.mobile, "A\(number)", of: "wide", at: start + Self.bin)
    }
    let wide = reader.table.contributions(
      site: "shop", campaign: "spring", content: "wide", .impressions, from: start + Self.bin,
      until: start + 2 * Self.bin, expected: Double(20 * AudienceTable.contentValuesMax))
    #expect(wide.map(\.value) == ["A0"] && wide[0].share > 0.99, "\(wide)")
  }
}
