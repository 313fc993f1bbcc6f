import Dataflow
import Events
import Operators
import Testing
import Views

@Suite("Events judged once more")
struct BotJudgementTests {
  private static let first = BotRules(version: 1, patterns: [], rate: nil, deciding: [.rate])
  private static let second = BotRules(
    version: 2, patterns: [BotRules.Pattern("googlebot", .crawler)],
    rate: BotRules.Rate(eventsMax: 100, clicksMax: 100), deciding: [.crawler])
  private static let now: Int64 = 1_795_424_400_000_000

  /// As a collector with the first rules stored them: a crawler that it did not know, a person who was too
  /// fast for it, one without an agent, and a person.
  private func frame() -> [UInt8] {
    var encoder = FrameEncoder()
    let senders: [(agent: String, reasons: BotReasons, isJudged: Bool)] = [
      ("Googlebot 2/other/bot/Googlebot", [], true), ("Chrome 126/Linux/desktop", .rate, true),
      ("", [], false), ("Chrome 126/Linux/desktop", [], true),
    ]
    for (index, (agent, reasons, isJudged)) in senders.enumerated() {
      var tuple = DimensionTuple(site: "default", campaign: "c\(index)")
      if Self.first.isBot(reasons) { tuple.traffic = DimensionTuple.bot }
      let id = "e\(index)"
      encoder.append(
        IncomingEvent(
          kind: .click, key: EventIdentity.dedupeKey(site: "default", source: "s", eventID: id),
          person: EventIdentity.personKey(site: "default", id: id), eventTime: Self.now,
          receivedAt: Self.now, dimensions: tuple.encoded, id: id, name: "click", source: "s",
          payload: Array("{}".utf8), agent: agent,
          bot: isJudged ? BotVerdict(version: 1, reasons: reasons).encoded : 0))
    }
    return encoder.seal(
      FrameHeader(
        kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 1,
        producerSequence: 1))
  }

  /// Campaigns whose click counts as a bot's.
  private func bots(_ spec: PipelineSpec) throws -> Set<String> {
    var pipeline = TestLoop.pipeline(spec, 0..<256)
    let bytes = frame()
    try bytes.withUnsafeBytes {
      try pipeline.process(frame: try FrameView($0), sequence: 1, storedAt: Self.now)
    }
    let batch = pipeline.drainCommit(includeCoarse: true)
    #expect(batch.accounting.onTime == 4)
    let checksum = try bytes.withUnsafeBytes { try FrameView($0).checksum }
    #expect(batch.checkpoint.fingerprint.checksum == checksum)
    return Set(
      batch.dimensions.compactMap { entry in
        let tuple = entry.encoded.withUnsafeBytes { DimensionTuple(encoded: $0) }
        return tuple?.traffic == DimensionTuple.bot ? tuple?.campaign : nil
      })
  }

  @Test("Without rules of its own a pipeline counts what collectors said")
  func stored() throws { #expect(try bots(PipelineSpec(name: "default")) == ["c1"]) }

  @Test("With rules of its own a pipeline counts by them, old events too")
  func judged() throws {
    #expect(try bots(PipelineSpec(name: "default", bots: Self.second)) == ["c0"])
  }

  @Test("Frames that were judged by these rules already stay as they are")
  func same() throws {
    try frame().withUnsafeBytes { bytes in
      let judged = try #require(FrameJudgement.frame(try FrameView(bytes), by: Self.second))
      try judged.withUnsafeBytes { bytes in
        let view = try FrameView(bytes)
        #expect(BotVerdict(encoded: view.bot(0)) == BotVerdict(version: 2, reasons: .crawler))
        // What was measured is still known, also where it does not decide any more.
        #expect(BotVerdict(encoded: view.bot(1)) == BotVerdict(version: 2, reasons: .rate))
        #expect(view.bot(2) == 0)
        #expect(FrameJudgement.frame(view, by: Self.second) == nil)
      }
    }
  }

  @Test("Rules are part of a declaration: they read back, and others are another pipeline")
  func declaration() throws {
    let spec = PipelineSpec(name: "default", bots: Self.second)
    #expect(PipelineSpec(declaration: spec.declaration) == spec)
    #expect(spec.hash != PipelineSpec(name: "default").hash)
    let followed = PipelineSpec(name: "default", persons: PersonPolicy())
    let exposed = PipelineSpec(
      name: "default", persons: PersonPolicy(experiments: ExperimentPolicy(memory: 1)))
    #expect(PipelineSpec(declaration: exposed.declaration) == exposed)
    #expect(exposed.hash != followed.hash)
    // Exposures are of persons who are followed.
    let alone = #"{"name":"default","experiments":{"outcome_window":1,"look_back":1,"memory":1}}"#
    #expect(PipelineSpec(declaration: alone) == nil)
    #expect(spec.hash != PipelineSpec(name: "default", bots: Self.first).hash)
  }
}
