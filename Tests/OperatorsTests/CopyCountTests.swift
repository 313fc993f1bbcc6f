import Events
import Testing

@testable import Operators

@Suite("Copies of events")
struct CopyCountTests {
  /// What comes, one after the other: an id and what is sent with it; 0 for what has no fingerprint.
  private func counts(_ story: [(id: UInt64, fingerprint: UInt32)]) throws -> CopyCounts {
    var deduplicator = Deduplicator(groups: 0..<256, horizon: day, countMax: 1000)
    for (sequence, event) in story.enumerated() { try take(event, UInt64(sequence), &deduplicator) }
    return deduplicator.takeCopies()
  }

  private func take(
    _ event: (id: UInt64, fingerprint: UInt32), _ sequence: UInt64,
    _ deduplicator: inout Deduplicator, isSilent: Bool = false
  ) throws {
    var encoder = FrameEncoder()
    encoder.append(
      IncomingEvent(
        kind: .view, key: Key128(low: event.id, high: 1), person: Key128(low: 1, high: 1),
        eventTime: noon, receivedAt: noon, dimensions: DimensionTuple(site: "s").encoded, id: "e",
        name: "n", source: "s", payload: [], fingerprint: event.fingerprint))
    let frame = encoder.seal(
      FrameHeader(
        kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 1,
        producerSequence: sequence))
    let moment = FrameMoment(
      sequence: sequence + 1, logTime: noon, watermark: noon, isSilent: isSilent)
    try frame.withUnsafeBytes {
      let view = try FrameView($0)
      var verdicts = Verdicts()
      verdicts.reset(count: view.count)
      deduplicator.advance(to: moment)
      try deduplicator.process(view, at: moment, verdicts: &verdicts)
    }
  }

  @Test(
    "A copy with the same payload is natural, one with another is synthetic, beside nothing untold")
  func kinds() throws {
    let stories: [([(id: UInt64, fingerprint: UInt32)], [Int])] = [
      ([(1, 7), (2, 7)], [0, 0, 0]),
      ([(1, 7), (1, 7), (1, 7)], [2, 0, 0]),
      ([(1, 7), (1, 8), (1, 7)], [1, 1, 0]),
      ([(1, 0), (1, 7)], [0, 0, 1]),
      ([(1, 7), (1, 0)], [0, 0, 1]),
    ]
    for (story, expected) in stories {
      let counts = try counts(story)
      #expect([counts.natural, counts.synthetic, counts.untold] == expected, "\(story)")
    }
  }

  @Test("Few of many other payloads pass for the same one")
  func resolution() throws {
    let counts = try counts([(1, 7)] + (0..<5000).map { (1, 1_000_003 &* UInt32($0 + 1)) })
    #expect(counts.natural < 30 && counts.natural + counts.synthetic == 5000)
  }

  @Test("What is remembered from a snapshot is not told apart, and a silent replay counts nothing")
  func restored() throws {
    var deduplicator = Deduplicator(groups: 0..<256, horizon: day, countMax: 1000)
    try take((1, 7), 1, &deduplicator)
    try take((1, 7), 2, &deduplicator, isSilent: true)
    #expect(deduplicator.takeCopies() == CopyCounts())
    var writer = SnapshotWriter(kind: .base, pipelineHash: 1)
    deduplicator.snapshot(.everything, into: &writer)
    var restored = Deduplicator(groups: 0..<256, horizon: day, countMax: 1000)
    var reader = try SnapshotReader(writer.finish(), pipelineHash: 1)
    try restored.restore(from: &reader, keeping: 0..<256)
    try take((1, 7), 3, &restored)
    #expect(restored.takeCopies().untold == 1)
  }
}
