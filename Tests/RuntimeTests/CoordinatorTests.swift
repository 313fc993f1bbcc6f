import Oracles
import Dataflow
import Ports
import Synchronization
import Testing

@testable import Runtime

@Suite("Processes share the streams")
struct CoordinatorTests {
  /// Processes of one group, stepped every ten milliseconds of its clock.
  final class Group {
    let store = MemoryGroup()
    let items: [PipelineStream]
    private(set) var processes: [SimulatedProcess] = []
    private let killed = Shared<Set<Int32>>([])
    private var started: Int32 = 0

    init(_ partitions: Int) { items = AssignmentTests.items(partitions) }

    @discardableResult
    func start(
      host: String = "", afterMs: Int64 = 0, claimMs: Int64 = 20, stopMs: Int64 = 150
    ) -> SimulatedProcess {
      started += 1
      let killed = killed
      let process = SimulatedProcess(
        "p\(started)", host: host.isEmpty ? "host-\(started)" : host, pid: started,
        pipelines: [AssignmentTests.clicks], items: items, group: store, firstStepAfterMs: afterMs,
        claimMs: claimMs, stopMs: stopMs, hasEnded: { killed.current.contains($0.pid) })
      processes.append(process)
      return process
    }

    func kill(_ process: SimulatedProcess) {
      processes.removeAll { $0 === process }
      killed.update { $0.insert(process.member.pid) }
    }

    func run(ms: Int64) {
      for _ in 0..<ms / 10 {
        store.change { $0.nowMs += 10 }
        for process in processes { process.run() }
        processes.removeAll(where: \.hasLeft)
      }
    }

    /// Milliseconds until the condition holds.
    func wait(_ what: String, maxMs: Int64 = 60_000, until condition: () -> Bool) -> Int64 {
      let begin = store.now.nowMs
      while !condition() {
        guard store.now.nowMs - begin < maxMs else {
          Issue.record("what was waited for did not come: \(what)")
          break
        }
        run(ms: 10)
      }
      return store.now.nowMs - begin
    }

    var counts: [Int] {
      processes.map { process in
        store.now.owners.count { item, owner in
          owner.owner == process.member.id && process.loops.epochs[item] == owner.epoch
        }
      }
    }

    /// Every stream has one owner that runs it, nobody runs another's, and shares are equal.
    var isSettled: Bool {
      let counts = counts
      return counts.reduce(0, +) == items.count && (counts.max() ?? 0) - (counts.min() ?? 0) <= 1
        && processes.map(\.loops.epochs.count).reduce(0, +) == items.count
        && processes.allSatisfy(\.loops.isQuiet)
    }
  }

  @Test("one takes all; a second and a third get their shares; nothing moves then")
  func joins() {
    let group = Group(5)
    let first = group.start()
    #expect(group.wait("one owns all") { group.isSettled } <= 100)
    for count in 2...3 {
      group.start()
      let time = group.wait("\(count) share") { group.processes.count == count && group.isSettled }
      #expect(time <= Assignment.joinDelayMs + 1500, "after \(time) ms")
    }
    #expect(group.counts == [2, 2, 2])
    #expect(first.status.current.memberCount == 3)
    let claims = group.store.now.claims.count
    #expect(claims == 6 + 3 + 2)
    group.run(ms: 20_000)
    #expect(group.store.now.claims.count == claims)
  }

  @Test("one that is killed on another host is replaced when its lease has run out")
  func killed() {
    let group = Group(7)
    for _ in 0..<2 { group.start() }
    _ = group.wait("two share") { group.isSettled }
    group.kill(group.processes[0])
    let time = group.wait("one owns all") { group.isSettled }
    #expect(time > 900 && time <= 1200 + 250 + 50, "after \(time) ms")
  }

  @Test("one that is killed on the same host is replaced at once, before the next beat")
  func killedHere() {
    let group = Group(7)
    for _ in 0..<2 { group.start(host: "here") }
    _ = group.wait("two share") { group.isSettled }
    group.kill(group.processes[0])
    #expect(group.wait("one owns all") { group.isSettled } <= 50)
  }

  @Test("one that leaves hands everything over, stream by stream")
  func leaves() {
    let group = Group(7)
    for _ in 0..<3 { group.start() }
    _ = group.wait("three share") { group.isSettled }
    let before = group.store.now.claims.count
    group.processes[1].leave()
    let time = group.wait("two share") { group.processes.count == 2 && group.isSettled }
    #expect(time <= 150 + 2 * 250 + 50, "after \(time) ms")
    #expect(group.store.now.claims.count <= before + 3)
  }

  @Test("one that was paused finds its streams taken, ends their loops, and gets its share again")
  func paused() {
    let group = Group(5)
    for _ in 0..<2 { group.start() }
    _ = group.wait("two share") { group.isSettled }
    let process = group.processes[0]
    process.pause()
    _ = group.wait("the other owns all") { group.counts == [0, 6] }
    process.resume()
    #expect(group.wait("two share") { group.isSettled } <= 4000)
  }

  @Test("the store's absence moves nothing, however long it lasts", arguments: [false, true])
  func storeAway(isRestarted: Bool) {
    let group = Group(5)
    for index in 0..<3 { group.start(afterMs: Int64(index) * 90) }
    _ = group.wait("three share") { group.isSettled }
    let claims = group.store.now.claims.count
    for awayMs in [300, 1100, 1300, 5000, 60_000] as [Int64] {
      group.store.change { $0.isAway = true }
      group.run(ms: awayMs)
      group.store.change {
        $0.isAway = false
        if isRestarted { $0.startedAt = $0.nowMs }
      }
      group.run(ms: 10_000)
      #expect(group.store.now.claims.count == claims, "after \(awayMs) ms")
      #expect(group.isSettled)
    }
  }

  @Test("one that dies while the store is away is replaced when the store is back")
  func diesWhileAway() {
    let group = Group(5)
    for _ in 0..<2 { group.start() }
    _ = group.wait("two share") { group.isSettled }
    group.store.change { $0.isAway = true }
    group.run(ms: 2000)
    group.kill(group.processes[0])
    group.run(ms: 2000)
    group.store.change { $0.isAway = false }
    #expect(group.wait("one owns all") { group.isSettled } <= 2 * 1200 + 250 + 50)
  }

  @Test("a process that dies right after each start moves nothing that is owned")
  func dyingAtStart() {
    let group = Group(5)
    group.start()
    _ = group.wait("one owns all") { group.isSettled }
    let claims = group.store.now.claims.count
    for _ in 0..<10 {
      let process = group.start()
      group.run(ms: 700)
      group.kill(process)
      group.run(ms: 1500)
    }
    #expect(group.store.now.claims.count == claims)
  }

  @Test(
    "random joins, leaves, deaths, pauses and outages end with equal shares, and then nothing moves",
    arguments: 0..<100 as Range<UInt64>)
  func random(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let group = Group(Int.random(in: 1...12, using: &random))
    let hosts = ["x", "y", ""]
    group.start()
    for _ in 0..<40 {
      group.run(ms: Int64.random(in: 0...1500, using: &random))
      let process = group.processes.randomElement(using: &random)
      switch Int.random(in: 0..<9, using: &random) {
      case 0...2:
        guard group.processes.count < 6 else { continue }
        group.start(
          host: hosts.randomElement(using: &random) ?? "",
          afterMs: .random(in: 0...250, using: &random),
          claimMs: .random(in: 0...400, using: &random),
          stopMs: .random(in: 0...2000, using: &random))
      case 3: process?.leave()
      case 4: if let process { group.kill(process) }
      case 5: process?.pause()
      case 6: process?.resume()
      case 7: group.store.change { $0.isAway = true }
      default:
        let restarts = Bool.random(using: &random)
        group.store.change {
          $0.isAway = false
          if restarts { $0.startedAt = $0.nowMs }
        }
      }
    }
    group.store.change { $0.isAway = false }
    for process in group.processes { process.resume() }
    if group.processes.allSatisfy(\.isLeaving) { group.start() }
    let time = group.wait("seed \(seed)", maxMs: 30_000) {
      !group.processes.contains(where: \.isLeaving) && group.isSettled
    }
    #expect(time <= 15_000, "seed \(seed) took \(time) ms")
    let claims = group.store.now.claims.count
    group.run(ms: 5000)
    #expect(group.store.now.claims.count == claims, "seed \(seed)")
  }
}
