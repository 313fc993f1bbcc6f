import Logging
import Ports
import Synchronization

/// What runs the loops that a coordinator starts and stops.
protocol LoopHost: AnyObject, Sendable {
  /// Items with a loop, and the epoch of each one's claim: 0 before it claimed. An ended loop counts
  /// until it is taken out, one that halted until it is stopped.
  var epochs: [PipelineStream: Int64] { get }
  func start(_ item: PipelineStream)
  /// Asks a loop to commit and end; does not wait for it.
  func stop(_ item: PipelineStream)
  /// Takes out loops that have ended, each once.
  func takeEnded() -> [(item: PipelineStream, end: PartitionLoop.End)]
  /// What is committed of a stream elsewhere, so that a quiet partition here learns that others moved
  /// on.
  func note(logTime: Int64, of item: PipelineStream)
}

/// Keeps this process in the group of processes that share the streams, and its loops in step with
/// what it should own.
///
///     beat (join, renew, look) -> bury the dead of this host -> assign -> stop, start, release
///
/// A machine of steps like the loops themselves: ``step()`` makes one attempt and says when the next
/// is due. It only asks and proposes; what keeps two processes from writing one stream is the claim
/// and the epoch in the store. While the store is away nothing moves: loops wait, owners stay.
final class Coordinator {
  struct Environment {
    var membership: any Membership
    var loops: any LoopHost
    /// Whether a member of this host has ended, so that nobody has to wait for its lease.
    var hasEnded: @Sendable (Member) -> Bool
    var parameters: RuntimeParameters
    var clock: LoopClock
    var metrics: GroupMetrics
    var logger: Logger
  }

  /// What the group is to own; more are added when another generation of streams begins.
  var items: [PipelineStream]
  private var me: Member
  private let environment: Environment
  private let status: Shared<GroupStatus>
  /// When the last beat succeeded, and until when lapsed leases say nothing; monotonic microseconds.
  private var lastBeat: Int64?
  private var settledAt: Int64 = .min
  /// Members of this host at the last beat.
  private var neighbours: [Member] = []
  /// Items whose loop was stopped because somebody else has them.
  private var lost: Set<PipelineStream> = []

  init(
    me: Member, items: [PipelineStream], environment: Environment, status: Shared<GroupStatus>
  ) {
    self.me = me
    self.items = items
    self.environment = environment
    self.status = status
  }

  private var leaseMicros: Int64 { Int64(environment.parameters.leaseMs) * 1000 }

  /// Beats once and does what follows from what it sees.
  ///
  /// - Returns: milliseconds until the next step is due, unless a loop ends before.
  func step() -> Int {
    noteEnded()
    do throws(ViewStoreError) {
      var view = try beat()
      try bury(&view)
      overlay(&view)
      try act(on: view)
    } catch {
      // Who cannot be buried now would only make for steps without a pause.
      neighbours = []
      environment.metrics.beatFailed()
      let before = status.current.contact
      status.update { $0.contact = .away("\(error)") }
      if case .away = before { return environment.parameters.beatIntervalMs }
      environment.logger.warning(
        "group of processes cannot be reached: streams stay where they are",
        metadata: ["error": "\(error)"])
    }
    return environment.parameters.beatIntervalMs
  }

  /// Whether a process of this host has ended since the last beat: then a step is due at once.
  var hasLostNeighbour: Bool { neighbours.contains(where: environment.hasEnded) }

  /// From the next step on everything is given away.
  func leave() { me.pipelines = [] }

  /// Whether nothing runs here any more.
  var isIdle: Bool { environment.loops.epochs.isEmpty }

  /// Ends this process's lease, at its very end.
  func quit() {
    noteEnded()
    // What cannot be reached would only hold the end up; the lease runs out by itself.
    if case .away = status.current.contact { return }
    do throws(ViewStoreError) {
      try environment.membership.remove(me.id)
    } catch {
      environment.logger.warning(
        "left without a word: what this process owned is free when its lease has run out",
        metadata: ["error": "\(error)"])
    }
  }

  // MARK: The parts of a step

  private func noteEnded() {
    for (item, end) in environment.loops.takeEnded() {
      let wasLost = lost.remove(item) != nil
      guard wasLost || end == .fenced else { continue }
      environment.metrics.fenced(item)
      environment.logger.notice(
        "stream is another process's now", metadata: ["item": "\(item)"])
    }
  }

  private func beat() throws(ViewStoreError) -> GroupView {
    let view = try environment.membership.beat(me, leaseMs: environment.parameters.leaseMs)
    let now = environment.clock.monotonic()
    // The store was away, or this process stood still: the others' leases may have run out for the
    // same reason, so they get the time to renew them.
    if let lastBeat, now - lastBeat > leaseMicros / 2 { settledAt = now + leaseMicros }
    lastBeat = now
    if case .away = status.current.contact {
      environment.logger.info("group of processes is reached again")
    }
    return view
  }

  /// A process that was killed here leaves nothing to wait for.
  private func bury(_ view: inout GroupView) throws(ViewStoreError) {
    neighbours = []
    for member in view.live + view.lapsed where member.id != me.id && member.host == me.host {
      guard environment.hasEnded(member) else {
        neighbours.append(member)
        continue
      }
      try environment.membership.remove(member.id)
      view.live.removeAll { $0.id == member.id }
      view.lapsed.removeAll { $0.id == member.id }
      environment.logger.notice(
        "process of this host has ended without leaving: its streams are free",
        metadata: ["pid": "\(member.pid)"])
    }
  }

  /// What loops here are about to claim counts as owned; what others claimed since is lost.
  private func overlay(_ view: inout GroupView) {
    for (item, epoch) in environment.loops.epochs {
      let stored = view.owners[item]
      if stored?.owner == me.id { continue }
      if let stored, epoch > 0, stored.epoch > epoch {
        lost.insert(item)
        environment.loops.stop(item)
      } else {
        view.owners[item] = Ownership(
          owner: me.id, epoch: epoch, logTime: stored?.logTime ?? .min)
      }
    }
  }

  private func act(on view: GroupView) throws(ViewStoreError) {
    let running = environment.loops.epochs
    // A sealed stream that is wholly committed needs no owner.
    let items = items.filter { running[$0] != nil || view.owners[$0]?.isFinished != true }
    let assignment = Assignment(
      items: items, view: view, me: me.id, running: Set(running.keys),
      lapsedAreGone: lastBeat.map { $0 >= settledAt } ?? false
        && view.uptimeMs >= 2 * Int64(environment.parameters.leaseMs))
    let actions = assignment.actions
    for item in actions.stop where lost.contains(item) == false {
      environment.loops.stop(item)
    }
    for item in actions.start {
      environment.logger.debug("taking a stream", metadata: ["item": "\(item)"])
      environment.metrics.taken(item)
      environment.loops.start(item)
    }
    for (item, ownership) in view.owners {
      environment.loops.note(logTime: ownership.logTime, of: item)
    }
    let known = Set((view.live + view.lapsed).map(\.id))
    let unowned = items.count { item in
      view.owners[item]?.owner.map { !known.contains($0) } ?? true
    }
    let beat = lastBeat ?? 0
    status.update {
      $0.contact = .reached
      $0.memberCount = view.live.count
      $0.unownedCount = unowned - actions.start.count
      $0.lastBeat = beat
    }
    for item in actions.release {
      environment.metrics.moved(item)
      environment.logger.info("giving a stream away", metadata: ["item": "\(item)"])
      try environment.membership.release(item, owner: me.id)
    }
  }
}
