import Dataflow
import Events
import Ports
import Testing
import Views

@testable import Runtime

/// What a loop does when something outside of it fails, and what the read models hold afterwards.
@Suite struct LoopFaultTests {
  /// On-time events, and then ones that correct expired windows of theirs.
  private static var corrected: [LogEntry] {
    [
      .events([TestEvent(id: 1, time: ten), TestEvent(id: 2, time: ten)], at: ten),
      .events([TestEvent(id: 3, time: ten + minute, kind: .click)], at: ten + minute),
      .events(
        [TestEvent(id: 4, time: ten), TestEvent(id: 5, time: ten + second, campaign: "c2")],
        at: ten + 2 * minute),
      .events([TestEvent(id: 5, time: ten + second, campaign: "c2")], at: ten + 2 * minute),
    ]
  }

  @Test(
    "A stop while the view store is away loses and doubles no correction, be it back for the last commit or not",
    arguments: [true, false])
  func stopWhileAway(isBack: Bool) {
    let world = World(Array(Self.corrected.prefix(2)))
    world.runToEnd()
    #expect(world.views.now.checkpoint.sequence == 2)
    world.log.entries = Self.corrected
    world.views.change {
      $0.script = isBack ? [.unavailableAndStop] : [.unavailableAndStop, .unavailable]
    }
    let status = world.run { _ in false }
    #expect(status.phase == .stopped)
    // The batch that could not be written is; frames after it are left to the next start.
    #expect((world.views.now.checkpoint.sequence > 2) == isBack)
    #expect(world.views.now.offered.contains { !$0.isWritten && !$0.batch.deltas.isEmpty })
    world.log.append(.heartbeat(at: ten + 3 * hour))
    world.runToEnd()
    world.expectRecount()
    #expect(world.views.now.accounting.late == 2 && world.views.now.accounting.duplicate == 1)
  }

  @Test("A commit that the view store cannot take is tried again and written once")
  func sameBatch() throws {
    let world = World(Self.corrected)
    world.views.change { $0.script = [.unavailable, .unavailable, .unavailable] }
    world.runToEnd()
    let offered = world.views.now.offered
    try #require(offered.count >= 4)
    #expect(offered.prefix(4).map(\.isWritten) == [false, false, false, true])
    for attempt in offered.prefix(4) {
      #expect(attempt.batch.checkpoint == offered[0].batch.checkpoint)
      #expect(attempt.batch.rows == offered[0].batch.rows)
      #expect(attempt.batch.deltas == offered[0].batch.deltas)
      #expect(attempt.batch.accounting == offered[0].batch.accounting)
    }
    #expect(world.counter(RuntimeMetrics.commitFailures) == 3)
    #expect(world.counter(RuntimeMetrics.received) == 6)
    world.expectRecount()
  }

  @Test("A loop whose stream another one took over ends and writes nothing")
  func fenced() {
    let world = World(Array(Self.corrected.prefix(2)))
    world.runToEnd()
    let before = world.views.now
    let status = world.run { status in
      if status.phase == .live && world.log.count == 2 {
        // The other one starts just when new frames come.
        world.views.change { $0.epoch += 1 }
        world.log.entries = Self.corrected
      }
      return false
    }
    #expect(status.phase == .stopped)
    #expect(world.lastEnd.current == .fenced)
    #expect(world.counter(RuntimeMetrics.halts) == 0)
    #expect(world.views.now.checkpoint == before.checkpoint)
    #expect(world.views.now.rows == before.rows)
  }

  @Test("A loop whose hot copy another one writes ends, even where it has nothing to commit")
  func fencedHotCopy() {
    let world = World(Self.corrected)
    world.runToEnd()
    let status = world.run { status in
      if status.phase == .live {
        world.hot.change { $0.header?.epoch = 99 }
        world.clock.advance(micros: 1_000_000)
      }
      return false
    }
    #expect(status.phase == .stopped)
    #expect(world.lastEnd.current == .fenced)
  }

  @Test("A loop that may not claim its stream ends and reads nothing")
  func held() {
    let world = World(Self.corrected)
    world.views.change { $0.holder = "elsewhere" }
    let status = world.run { _ in false }
    #expect(status.phase == .stopped && status.epoch == 0)
    #expect(world.lastEnd.current == .fenced)
    #expect(world.counter(RuntimeMetrics.frames) == 0)
  }

  @Test(
    "A log that went back halts the loop, and nothing is written",
    arguments: [
      // Another frame at the committed sequence, with frames after it; and too few frames.
      [
        LogEntry.events([TestEvent(id: 1, time: ten)], at: ten),
        .events([TestEvent(id: 9, time: ten)], at: ten + 1), .heartbeat(at: ten + hour),
      ],
      [LogEntry.events([TestEvent(id: 1, time: ten), TestEvent(id: 2, time: ten)], at: ten)],
    ])
  func wentBack(entries: [LogEntry]) {
    let world = World(Array(Self.corrected.prefix(2)))
    world.runToEnd()
    let before = world.views.now
    world.log.entries = entries
    let status = world.run { _ in false }
    #expect(status.phase == .halted)
    #expect(status.detail.contains("events-00 went back in time"))
    #expect(status.detail.contains("`smartcontent rebuild --pipeline test --drop 1`"))
    #expect(world.counter(RuntimeMetrics.halts) == 1)
    #expect(world.views.now.offered.count == before.offered.count)
    #expect(world.views.now.rows == before.rows)
  }

  @Test(
    "Where results are no longer those of the log, the explanation names the commands that lead out",
    arguments: [
      (LoopExit(LogError.wentBack(stream: "events-00", wanted: 9, last: 3), World.shortGrace), ""),
      (
        LoopExit(LogError.missing(stream: "events-00", from: 1, to: 3), World.shortGrace),
        " --from-what-is-left"
      ),
      (
        LoopExit(
          PipelineError.diverged(sequence: 9, committed: Accounting(), replayed: Accounting()),
          World.shortGrace), ""
      ),
      (LoopExit(PipelineError.sourceWentBack(partition: 0, number: 9), World.shortGrace), ""),
    ])
  func wayOut(exit: LoopExit, option: String) throws {
    guard case .halted(let reason) = exit else {
      Issue.record("\(exit) is no reason to halt")
      return
    }
    let commands = reason.matches(of: /`([^`]+)`/).map { String($0.1) }
    #expect(
      commands == [
        "smartcontent rebuild --pipeline test\(option)",
        "smartcontent rebuild --pipeline test --drop 1",
      ])
  }

  @Test("A frame that cannot be read is passed over and counted, and those after it are processed")
  func poison() {
    let good = Self.corrected
    let world = World([good[0], .poison(at: ten), good[1], .poison(at: ten + minute), good[2]])
    let status = world.runToEnd()
    #expect(status.phase == .stopped)
    #expect(world.counter(RuntimeMetrics.poisonFrames) == 2)
    #expect(world.counter(RuntimeMetrics.frames) == 5)
    world.expectRecount()
    #expect(world.views.now.accounting.received == 5)
    // One at the committed sequence has a fingerprint too.
    world.log.append(.poison(at: ten + 3 * minute))
    world.runToEnd()
    world.log.append(good[3])
    #expect(world.runToEnd().phase == .stopped)
    world.expectRecount()
  }

  @Test("Dead letters are counted as rejected, over a restart too, and are waited for in peace")
  func deadLetters() {
    let world = World(
      [.deadLetters(3, at: ten), .poison(at: ten), .deadLetters(2, at: ten + second)],
      stream: World.deadLetters)
    world.runToEnd()
    world.expectRecount()
    #expect(world.views.now.accounting.rejected == 5)
    #expect(!world.snapshots.now.blobs.isEmpty)
    world.log.append(.deadLetters(4, at: ten + minute))
    world.runToEnd()
    world.expectRecount()
    #expect(world.views.now.accounting.rejected == 9)
    #expect(world.hot.now.header == nil)
    _ = world.log.takeWaits()
    world.run { _ in world.clock.loopClock.monotonic() > 1_100_000_000 }
    let waits = world.log.takeWaits()
    #expect(waits.suffix(10).allSatisfy { $0 == 250 }, "\(waits.suffix(10))")
  }

  @Test(
    "A hot copy that was away or lost everything is whole again without new events",
    arguments: [true, false])
  func hotCopy(isAway: Bool) throws {
    let world = World(Self.corrected)
    world.runToEnd()
    let before = world.hot.now
    #expect(before.header?.sequence == 4)
    if isAway {
      world.hot.change { $0.isAway = true }
    }
    let status = world.run { status in
      world.hot.change { hot in
        if isAway && hot.failureCount > 2 { hot.isAway = false }
        // Once this owner has written it.
        if !isAway, let epoch = hot.header?.epoch, epoch != before.header?.epoch,
          hot.rebuildCount == before.rebuildCount
        {
          hot.header = nil
          hot.rows = [:]
        }
      }
      let hot = world.hot.now
      return hot.header != nil && hot.rebuildCount == before.rebuildCount + 1
    }
    #expect(status.phase == .stopped)
    let hot = world.hot.now
    let header = try #require(hot.header)
    #expect(header.isComplete && header.sequence == 4 && header.committedSequence == 4)
    let live = Recount(world.log.entries, spec: world.spec).live(header.seams)
    #expect(!live.isEmpty)
    let found = hot.rows.filter { $0.key.start >= header.seams[$0.key.level] }
    #expect(World.difference(found, live) == "")
    #expect(world.counter(RuntimeMetrics.hotFailures) == (isAway ? 3 : 0))
  }

  @Test(
    "A new owner takes over the copy that was left, unless it is of another log",
    arguments: ["ahead of the checkpoint", "at it", "of another log"])
  func takenOver(copy: String) throws {
    let world = World(Array(Self.corrected.prefix(3)))
    if copy == "ahead of the checkpoint" {
      // The last commit is lost with its owner, and so are snapshots.
      world.views.change { $0.script = [.done, .crashBefore, .crashBefore, .crashBefore] }
      world.run { _ in world.hot.now.header?.sequence == 3 }
      world.views.change { $0.script = [] }
      world.snapshots.change { $0.blobs = [:] }
    } else {
      world.runToEnd()
    }
    let before = world.hot.now
    try #require(before.header?.sequence == 3)
    if copy == "of another log" { world.hot.change { $0.header?.fingerprint.checksum ^= 1 } }
    world.log.append(.events([TestEvent(id: 7, time: ten + second)], at: ten + 3 * minute))
    world.runToEnd()
    world.run { _ in world.hot.now.header?.sequence == 4 }
    let hot = world.hot.now
    let header = try #require(hot.header)
    #expect(
      hot.rebuildCount == before.rebuildCount + (copy == "of another log" ? 1 : 0))
    let live = Recount(world.log.entries, spec: world.spec).live(header.seams)
    let found = hot.rows.filter { $0.key.start >= header.seams[$0.key.level] }
    #expect(World.difference(found, live) == "")
  }

  @Test(
    "A copy behind the newest snapshot is taken over from an earlier one, at the second try, unless frames are gone",
    arguments: [false, true])
  func takenOverFromBefore(areGone: Bool) throws {
    let world = World(Array(Self.corrected.prefix(2)))
    world.runToEnd()
    world.hot.change { $0.isAway = true }
    world.log.append(.events([TestEvent(id: 7, time: ten + second)], at: ten + 2 * minute))
    world.runToEnd()
    #expect(world.snapshots.now.blobs.keys.compactMap(SnapshotName.init).map(\.to).max() == 3)
    world.hot.change {
      $0.isAway = false
      $0.unansweredCount = 1
    }
    let before = world.hot.now
    #expect(before.header?.sequence == 2)
    if areGone { world.log.purge(before: 4) }
    world.log.append(.events([TestEvent(id: 8, time: ten, campaign: "c3")], at: ten + 3 * minute))
    world.runToEnd()
    world.run { _ in world.hot.now.header?.sequence == 4 }
    let hot = world.hot.now
    let header = try #require(hot.header)
    #expect(hot.rebuildCount == before.rebuildCount + (areGone ? 1 : 0))
    let live = Recount(world.log.entries, spec: world.spec).live(header.seams)
    let found = hot.rows.filter { $0.key.start >= header.seams[$0.key.level] }
    #expect(World.difference(found, live) == "")
    // What the loop saves from there on is a chain with what was saved before.
    let saved = world.snapshots.now.blobs.keys.compactMap(SnapshotName.init)
    #expect(SnapshotChain.best(of: saved).end == 4)
    world.expectRecount()
  }

  @Test("An owner that stops leaves a hot copy that the next one takes over")
  func handedOver() throws {
    var parameters = RuntimeParameters()
    parameters.hotIntervalMs = 3_600_000
    parameters.hotIntervalMsMax = 3_600_000
    let world = World(Array(Self.corrected.prefix(1)), parameters: parameters)
    world.runToEnd()
    let before = world.hot.now
    #expect(before.header?.sequence == 1)
    world.log.append(.events([TestEvent(id: 7, time: ten + second)], at: ten + second))
    world.runToEnd()
    world.log.append(.events([TestEvent(id: 8, time: ten, campaign: "c3")], at: ten + second))
    world.runToEnd()
    let hot = world.hot.now
    let header = try #require(hot.header)
    #expect(header.sequence == 3 && header.committedSequence == 3)
    #expect(hot.rebuildCount == before.rebuildCount)
    let live = Recount(world.log.entries, spec: world.spec).live(header.seams)
    #expect(World.difference(hot.rows, live) == "")
  }

  @Test("A hot copy that was away while rows changed is whole again")
  func hotCopyMissedChanges() throws {
    let world = World(Array(Self.corrected.prefix(1)))
    world.run { status in
      let hot = world.hot.now
      if hot.header?.sequence == 1 && world.log.count == 1 {
        world.hot.change { $0.isAway = true }
        world.log.append(.events([TestEvent(id: 7, time: ten + second)], at: ten + second))
      } else if hot.failureCount == 1 && world.log.count == 2 {
        world.log.append(.events([TestEvent(id: 8, time: ten, campaign: "c3")], at: ten + second))
      } else if hot.failureCount > 2 {
        world.hot.change { $0.isAway = false }
      }
      return !hot.isAway && hot.header?.sequence == 3
    }
    let header = try #require(world.hot.now.header)
    #expect(header.sequence == 3)
    let live = Recount(world.log.entries, spec: world.spec).live(header.seams)
    #expect(World.difference(world.hot.now.rows, live) == "")
  }

  @Test(
    "An update whose answer was lost is found out and not a reason to write the copy anew",
    arguments: [true, false])
  func hotUpdateInDoubt(isDone: Bool) throws {
    let world = World(Array(Self.corrected.prefix(1)))
    world.run { status in
      let hot = world.hot.now
      if hot.header?.sequence == 1 && world.log.count == 1 {
        world.hot.change {
          $0.isMute = isDone
          $0.isAway = !isDone
        }
        world.log.append(.events([TestEvent(id: 7, time: ten + second)], at: ten + second))
      } else if hot.failureCount == 1 && world.log.count == 2 {
        world.log.append(.events([TestEvent(id: 8, time: ten, campaign: "c3")], at: ten + second))
        world.hot.change {
          $0.isMute = false
          $0.isAway = false
        }
      }
      return hot.header?.sequence == 3
    }
    let hot = world.hot.now
    let header = try #require(hot.header)
    #expect(header.sequence == 3 && hot.failureCount == 1 && hot.rebuildCount == 1)
    let live = Recount(world.log.entries, spec: world.spec).live(header.seams)
    #expect(World.difference(hot.rows, live) == "")
  }

  @Test("While a stream is quiet nothing is committed again")
  func quiet() {
    let world = World(Self.corrected)
    world.runToEnd()
    world.log.append(.heartbeat(at: ten + 3 * minute))
    let before = world.views.now.offered.count
    let end = world.clock.loopClock.monotonic() + 60 * second
    world.run { _ in world.clock.loopClock.monotonic() > end }
    // The frame's own commit, and the one of the open hour and day.
    #expect((1...2).contains(world.views.now.offered.count - before))
  }
}
