import Dataflow
import Events
import Operators
import Oracles
import Testing
import Verification
import Views

/// What whoever asks for heartbeats is told about when: the second stage is to hear of every event soon,
/// also where nothing comes after it and it has nothing for that stage.
@Suite("Word of events for the second stage")
struct ToldStageTests {
  /// A partition of which the test says what comes next, and which gets the heartbeats that it asks for.
  private struct Partition: ~Copyable {
    var stage: Pipeline
    var sequence: UInt64 = 0
    var logTime = noon
    /// The source's last frame that the second stage has been told of, and when.
    var told: (sequence: UInt64, at: Int64) = (0, noon)
    private var random = SeededGenerator(seed: 7)

    init(_ stage: consuming Pipeline) { self.stage = stage }

    mutating func take(_ bytes: [UInt8], after wait: Int64) throws {
      sequence += 1
      logTime += wait
      try stage.take((bytes, logTime), sequence: sequence)
      for frame in stage.takeEmitted() {
        let head = try frame.bytes.withUnsafeBytes { try PartialFrameView($0).head }
        if head.closesTick { told = (head.sourceSequence, logTime) }
      }
    }

    mutating func take(_ kind: EventKind, device: Int?, user: Int?, after wait: Int64) throws {
      var fact = PersonHistoriesTests.facts(&random, count: 1)[0]
      fact.kind = kind
      fact.time = logTime + wait
      let step = StageLog.Step(fact: fact, device: device, user: user, storedAt: logTime + wait)
      try take(StageLog.frame(step), after: wait)
    }

    /// - Returns: the heartbeats until nothing is asked for any more.
    mutating func rest() throws -> Int {
      var count = 0
      while let due = stage.tickEnd, count < 10 {
        try take(StageLog.heartbeat(), after: max(1, due - logTime))
        count += 1
      }
      return count
    }
  }

  @Test(
    "Every event is told of within a second and some ticks, with at most three heartbeats and none after them",
    arguments: [0, 200_000, 900_000, 5 * second], [true, false])
  func told(gap: Int64, hasTrends: Bool) throws {
    var log = StageLog(.mixed, seed: 1)
    if !hasTrends { log.spec.trends = nil }
    var partition = Partition(log.firstStage(0))
    // Something for the second stage, an event that has nothing for it, one that is kept here.
    let events: [(kind: EventKind, device: Int?, user: Int?)] = [
      (.view, nil, 1), (.identify, 1, 1), (.custom, nil, 2), (.view, 3, nil), (.identify, 1, 1),
    ]
    for (index, event) in events.enumerated() {
      try partition.take(event.kind, device: event.device, user: event.user, after: gap)
      let sequence = partition.sequence
      let sent = partition.logTime
      #expect(try partition.rest() <= 3, "event \(index)")
      #expect(partition.told.sequence >= sequence, "event \(index)")
      #expect(
        partition.told.at - sent <= PartialEmitter.silence + 3 * PartialEmitter.tick,
        "event \(index)")
      #expect(partition.stage.tickEnd == nil, "event \(index)")
    }
    // Time goes on, and nobody asks for more.
    try partition.take(StageLog.heartbeat(), after: minute)
    #expect(partition.stage.tickEnd == nil)
  }

  @Test("After a start from a snapshot what may not have been told is told, once")
  func restored() throws {
    var log = StageLog(.mixed, seed: 1)
    log.spec.trends = nil
    var partition = Partition(log.firstStage(0))
    try partition.take(.view, device: nil, user: 1, after: 0)
    _ = try partition.rest()
    try partition.take(.identify, device: 1, user: 1, after: 1)
    let sequence = partition.sequence
    let base = partition.stage.snapshot(.everything)
    var again = Partition(log.firstStage(0))
    #expect(try again.stage.resume(base: base, increments: []))
    again.sequence = sequence
    again.logTime = partition.logTime
    #expect(try again.rest() <= 3)
    #expect(again.told.sequence >= sequence)
    #expect(again.stage.tickEnd == nil)
  }
}
