import Dataflow
import Events
import Operators
import Testing
import Views

/// Cohorts of experiments where nothing happens any more.
@Suite("Cohorts on a quiet log")
struct QuietCohortTests {
  private static let outcomeWindow: Int64 = 2 * hour

  /// Heartbeats as the owner of a partition writes them, for as long as the stage asks for some.
  private struct Quiet: ~Copyable {
    var firstStage: Pipeline
    var secondStage: Pipeline
    /// Log time of the last event, and of each heartbeat.
    let last: Int64
    var beats: [Int64] = []
    /// Log time of the first heartbeat by which the second stage had come to a time.
    var reached: [(watermark: Int64, logTime: Int64)] = []
    private var sequence: UInt64 = 0
    private var partials: UInt64 = 0

    init(experiments: ExperimentPolicy?) throws {
      let spec = PipelineSpec(
        name: "test", allowedDisorder: 2 * second,
        persons: PersonPolicy(
          sessionGap: 60 * second, clickLookBack: minute, impressionLookBack: minute,
          lateness: minute, experiments: experiments))
      firstStage = Pipeline(
        spec: spec, stream: StreamPartition(stream: "events-00", generation: 1, partition: 0),
        groups: 0..<256)
      secondStage = Pipeline(spec: spec, stream: .partials(of: spec), groups: 0..<256)
      last = noon
      var encoder = FrameEncoder()
      encoder.append(
        IncomingEvent(
          kind: .exposure, key: Key128(low: 1, high: 1), person: Key128(low: 2, high: 2),
          eventTime: noon, receivedAt: noon,
          dimensions: DimensionTuple(site: "s", campaign: "c", variant: "a").encoded, id: "1",
          name: "exposed", source: "test", payload: [0x7b, 0x7d]))
      let frame = encoder.seal(
        FrameHeader(
          kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 1,
          producerSequence: 1))
      try take((frame, noon))
      while true {
        let timers = [firstStage.earliestTimer.map { $0 + 2 * second }, firstStage.tickEnd]
        guard let due = timers.compactMap({ $0 }).min(), beats.count < 10_000 else { break }
        beats.append(max(due, firstStage.logTime + 50_000))
        try take((StageLog.heartbeat(), beats[beats.count - 1]))
      }
    }

    private mutating func take(_ entry: StageLog.Entry) throws {
      sequence += 1
      try firstStage.take(entry, sequence: sequence)
      for frame in firstStage.takeEmitted() {
        partials += 1
        try secondStage.take(frame, sequence: partials, storedAt: entry.storedAt)
        reached.append((secondStage.watermark, entry.storedAt))
      }
    }
  }

  @Test("Each comes of age within two minutes of its time, whatever its length; then nobody asks")
  func quiet() throws {
    let quiet = try Quiet(experiments: ExperimentPolicy(outcomeWindow: Self.outcomeWindow))
    for level in WindowLevel.allCases {
      let due = level.start(of: quiet.last) + level.length + Self.outcomeWindow
      let reached = try #require(
        quiet.reached.first { $0.watermark >= due }, "\(level.name) never comes of age")
      #expect(reached.logTime - due <= 2 * minute + 4 * second, "\(level.name)")
    }
    // Once a minute, and what the windows and sessions of the exposure ask for; long after, what remembers it.
    let end = quiet.last + day + Self.outcomeWindow
    let early = quiet.beats.count { $0 <= end }
    #expect(early < Int((end - quiet.last) / minute) + 20, "\(early)")
    #expect(quiet.beats.count - early < 10, "\(quiet.beats.count - early)")
  }

  @Test("Without experiments nobody asks longer than windows and sessions are open")
  func without() throws {
    let quiet = try Quiet(experiments: nil)
    #expect(quiet.beats.count < 20 && quiet.beats[quiet.beats.count - 1] - quiet.last <= day)
  }
}
