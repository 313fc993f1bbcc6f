import Dataflow
import Logging
import Metrics
import Ports
import Synchronization

@testable import Runtime

/// Loops that do nothing but claim, own and end, each some time after it was asked to.
final class SimulatedLoops: LoopHost {
  private struct Loop {
    var epoch: Int64 = 0
    var isStopping = false
    /// When it claims, or when it has ended after it was asked to.
    var dueMs: Int64
  }

  private let loops = Mutex<[PipelineStream: Loop]>([:])
  private let ended = Mutex<[(item: PipelineStream, end: PartitionLoop.End)]>([])
  private let group: MemoryGroup
  private let owner: String
  private let claimMs: Int64
  private let stopMs: Int64

  init(_ group: MemoryGroup, owner: String, claimMs: Int64, stopMs: Int64) {
    self.group = group
    self.owner = owner
    self.claimMs = claimMs
    self.stopMs = stopMs
  }

  var epochs: [PipelineStream: Int64] {
    var epochs = loops.withLock { $0.mapValues(\.epoch) }
    for (item, _) in ended.withLock({ $0 }) { epochs[item] = epochs[item] ?? 1 }
    return epochs
  }

  /// Whether every loop owns and none is about to end.
  var isQuiet: Bool {
    loops.withLock { $0.values.allSatisfy { $0.epoch > 0 && !$0.isStopping } }
      && ended.withLock(\.isEmpty)
  }

  func start(_ item: PipelineStream) {
    let due = group.now.nowMs + claimMs
    loops.withLock { $0[item] = $0[item] ?? Loop(dueMs: due) }
  }

  func stop(_ item: PipelineStream) {
    let due = group.now.nowMs + stopMs
    loops.withLock { loops in
      guard let loop = loops[item], !loop.isStopping else { return }
      loops[item]?.isStopping = true
      loops[item]?.dueMs = due
    }
  }

  func takeEnded() -> [(item: PipelineStream, end: PartitionLoop.End)] {
    ended.withLock { ended in
      defer { ended = [] }
      return ended
    }
  }

  func note(logTime: Int64, of item: PipelineStream) {}

  /// Lets time pass for the loops.
  func run() {
    let now = group.now.nowMs
    for (item, loop) in loops.withLock({ $0 }) where now >= loop.dueMs {
      if loop.isStopping {
        end(item, .stopped)
      } else if loop.epoch == 0 {
        do throws(ViewStoreError) {
          let epoch = try group.claim(item, owner: owner)
          loops.withLock { $0[item]?.epoch = epoch }
        } catch .held {
          end(item, .fenced)
        } catch {
          // The store is away: tried again.
        }
      }
    }
  }

  private func end(_ item: PipelineStream, _ end: PartitionLoop.End) {
    loops.withLock { $0[item] = nil }
    ended.withLock { $0.append((item, end)) }
  }
}

/// A process of a simulated group: its coordinator and its loops, stepped by a test.
final class SimulatedProcess {
  let member: Member
  let loops: SimulatedLoops
  let status = Shared(GroupStatus())
  private(set) var isPaused = false
  private(set) var isLeaving = false
  private(set) var hasLeft = false
  private let coordinator: Coordinator
  private let group: MemoryGroup
  private var nextStepMs: Int64

  init(
    _ name: String, host: String, pid: Int32, pipelines: [PipelineSpec], items: [PipelineStream],
    group: MemoryGroup, firstStepAfterMs: Int64, claimMs: Int64, stopMs: Int64,
    hasEnded: @escaping @Sendable (Member) -> Bool
  ) {
    member = Member(
      id: name, host: host, pid: pid, startTicks: 1,
      pipelines: Set(pipelines.map { .init(name: $0.name, version: $0.version) }))
    self.group = group
    loops = SimulatedLoops(group, owner: name, claimMs: claimMs, stopMs: stopMs)
    coordinator = Coordinator(
      me: member, items: items,
      environment: Coordinator.Environment(
        membership: MemoryMembership(group), loops: loops, hasEnded: hasEnded,
        parameters: RuntimeParameters(), clock: group.clock,
        metrics: RuntimeMetrics(MetricRegistry()).group, logger: World.quiet),
      status: status)
    nextStepMs = group.now.nowMs + firstStepAfterMs
  }

  /// SIGSTOP.
  func pause() { isPaused = true }

  /// SIGCONT.
  func resume() { isPaused = false }

  /// SIGTERM.
  func leave() {
    guard !isLeaving else { return }
    isLeaving = true
    coordinator.leave()
    nextStepMs = 0
  }

  func run() {
    guard !isPaused, !hasLeft else { return }
    loops.run()
    let now = group.now.nowMs
    guard now >= nextStepMs || coordinator.hasLostNeighbour else { return }
    nextStepMs = now + Int64(coordinator.step())
    if isLeaving && coordinator.isIdle {
      coordinator.quit()
      hasLeft = true
    }
  }
}
