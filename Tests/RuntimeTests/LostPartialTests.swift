import Dataflow
import Events
import Operators
import Ports
import Testing
import Threads
import Views

@testable import Runtime

/// Frames of partials that cannot be read or are lost: the second stage goes on, says what is missing,
/// and has it made again.
@Suite struct LostPartialTests {
  private static let spec = PipelineSpec(
    name: "test", allowedDisorder: 2 * second, windowGrace: 7 * second,
    persons: PersonPolicy(
      sessionGap: minute, clickLookBack: 5 * minute, impressionLookBack: 2 * minute,
      lateness: 10 * minute, personCountMax: 1000))

  /// Known persons do something every second.
  private static let events: [LogEntry] =
    (0..<60).map { index in
      let at = ten + Int64(index) * second
      let kinds: [EventKind] = [.impression, .click, .conversion]
      return .events(
        [TestEvent(id: UInt64(index), time: at, kind: kinds[index % 3], user: index % 2)], at: at)
    } + [.heartbeat(at: ten + hour), .heartbeat(at: ten + hour + second)]

  private static func partials() throws -> [LogEntry] {
    var stage = Pipeline(spec: spec, stream: World.events, groups: 0..<KeyGroup.count)
    for (index, entry) in events.enumerated() {
      try entry.bytes.withUnsafeBytes {
        try stage.process(
          frame: try FrameView($0), sequence: UInt64(index + 1), storedAt: entry.storedAt)
      }
    }
    return stage.takeEmitted().map {
      LogEntry(content: .poison, bytes: $0.bytes, storedAt: ten + hour)
    }
  }

  /// A second stage whose stream has `entries`, before a log of events.
  private static func world(
    _ entries: [LogEntry], isRemade: Bool = true, generation: UInt32 = 1
  ) -> World {
    let world = World(entries, spec: spec, stream: .partials(of: spec))
    _ = world.generations.update(
      (1...generation).map { LogGeneration(number: $0, streams: ["events-g\($0)"]) })
    guard isRemade else { return world }
    let source = MemoryLog(clock: world.clock)
    source.entries = events
    world.remaker.update {
      $0 = PartialRemaker(
        spec: spec, log: source, generations: world.generations,
        snapshots: { _, _ in SnapshotArchive.Restored() },
        open: { LogPublisher(world.log) }, worker: .immediate(),
        metrics: RuntimeMetrics(world.registry).loop(
          pipeline: spec.name, stream: world.stream.stream),
        logger: World.quiet, stop: StopFlag())
    }
    return world
  }

  private static func rows(_ world: World) -> [RowKey: Counts] {
    world.views.now.rows.mapValues(\.counts).filter { $0.value != Counts() }
  }

  @Test(
    "What is lost is made again from the events, and everything comes to the same",
    arguments: [[10], [10, 11, 12], [10, 30], [1], [1, 2, 40, 41]])
  func remade(lost: [Int]) throws {
    let whole = try Self.partials()
    try #require(whole.count > 50)
    let straight = Self.world(whole, isRemade: false)
    straight.runToEnd()
    let expected = Self.rows(straight)
    try #require(!expected.isEmpty)
    for isPoison in [true, false] {
      var entries = whole
      for number in lost.reversed() {
        if isPoison {
          entries[number - 1].bytes = [1, 2, 3]
        } else {
          entries.remove(at: number - 1)
        }
      }
      let world = Self.world(entries)
      let wanted = UInt64(entries.count + lost.count)
      let status = world.run { _ in
        world.log.count == wanted
          && world.views.now.checkpoint.coarseSequence == world.log.count
      }
      #expect(status.phase == .stopped && status.waitingPartialCount == 0)
      #expect((Self.rows(world) == expected) == true, "\(lost), poison \(isPoison)")
      #expect(world.counter(RuntimeMetrics.partialsRemade) == lost.count)
    }
  }

  @Test("What is missing is named with the way out, and its time stands still, not the stage")
  func named() throws {
    var entries = try Self.partials()
    entries[9].bytes = [1, 2, 3]
    let count = UInt64(entries.count)
    let world = Self.world(entries, isRemade: false)
    let problem = Shared<String?>(nil)
    let status = world.run { status in
      if let text = status.problem, status.phase == .live { problem.update { $0 = text } }
      return problem.current != nil && world.views.now.checkpoint.sequence == count
    }
    #expect(status.waitingPartialCount == Int(count) - 10)
    #expect(
      problem.current
        == "has lost partial 10 of events-g1, or cannot read it: \(count - 10) after it wait, and"
        + " sessions, attribution and trends stand still; `smartcontent rebuild` makes all of them anew"
    )
    #expect(status.logTime < ten + 15 * second)
    #expect(
      status.stateSizes.contains { $0.operator == "intake" && $0.size.keyCount == Int(count) - 10 })
    // The next start finds them all, waits on, and is done once the missing one comes.
    world.log.append(try Self.partials()[9])
    world.runToEnd()
    let straight = Self.world(try Self.partials(), isRemade: false)
    straight.runToEnd()
    #expect((Self.rows(world) == Self.rows(straight)) == true)
  }

  @Test("A source that took persons over is not begun from its first frame")
  func inherited() throws {
    var entries = try Self.partials()
    entries[9].bytes = [1, 2, 3]
    let world = Self.world(entries, generation: 1)
    _ = world.generations.update([LogGeneration(number: 0, streams: ["earlier"])])
    world.run { status in
      status.problem?.contains("rebuild") == true
        && world.views.now.checkpoint.sequence == world.log.count
    }
    #expect(world.log.count == UInt64(entries.count))
    #expect(world.counter(RuntimeMetrics.partialsRemade) == 0)
  }

  @Test("More than may wait stop the stage with a reason that names the way out")
  func tooMany() {
    let error = PipelineError.refused(
      sequence: 7, .missing(generation: 1, partition: 2, number: 17, waiting: 65_536))
    guard case .halted(let reason) = LoopExit(error, Self.spec) else {
      Issue.record("\(error)")
      return
    }
    #expect(reason.contains("partial 17 of partition 2"))
    #expect(reason.contains("rebuild"))
  }
}

/// Stores every frame at the end of a log in memory.
private final class LogPublisher: FramePublisher {
  private let log: MemoryLog
  private var done: [(token: UInt64, outcome: PublishOutcome)] = []

  init(_ log: MemoryLog) { self.log = log }

  var inFlight: Int { done.count }
  var windowMax: Int { 16 }

  func publish(stream: String, messageID: String, frame: [UInt8], token: UInt64) {
    log.append(LogEntry(content: .poison, bytes: frame, storedAt: ten + hour))
    done.append((token, .stored(sequence: log.count, duplicate: false)))
  }

  func poll(timeoutMs: Int) -> [(token: UInt64, outcome: PublishOutcome)] {
    defer { done = [] }
    return done
  }

  func wake() {}
}
