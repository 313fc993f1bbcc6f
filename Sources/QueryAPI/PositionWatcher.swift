import Dataflow
import Events
import Ports

/// Watches how far a view has come, once for everybody who waits for it: queries with `after` and
/// live streams.
///
/// While somebody waits, the hot copy's headers are read every ``Settings/interval``; the
/// checkpoints only where the headers do not suffice (see ``Coverage``). Nobody waiting costs
/// nothing. Coverage only grows, so what was seen last is never too much.
actor PositionWatcher {
  struct Settings: Sendable {
    var interval: Duration = .milliseconds(10)
    /// Between two reads of checkpoints from the durable store.
    var checkpointInterval: Duration = .milliseconds(50)
    var waiterCountMax = 1024
  }

  /// What was seen; a later one has a higher version, and differs.
  struct Observation: Sendable {
    var version: UInt64
    var covered: Position
    fileprivate var marks: [Int: Mark]
  }

  /// What makes a header's copy differ from another one.
  fileprivate struct Mark: Hashable {
    var epoch: Int64
    var copy: Int64
    var sequence: UInt64
  }

  private struct Waiter {
    var version: UInt64
    var continuation: CheckedContinuation<Void, Never>
    var alarm: Task<Void, Never>
  }

  private let view: ReadView
  private let settings: Settings
  private(set) var latest: Observation
  private var waiters: [UInt64: Waiter] = [:]
  private var lastWaiter: UInt64 = 0
  private var poller: Task<Void, Never>?
  private var checkpoints: [Int: Checkpoint] = [:]
  private var lastPoll: ContinuousClock.Instant?
  private var lastCheckpointRead: ContinuousClock.Instant?

  init(view: ReadView, settings: Settings = Settings()) {
    self.view = view
    self.settings = settings
    latest = Observation(version: 0, covered: Position(generation: view.generation), marks: [:])
  }

  var waiterCount: Int { waiters.count }

  /// Waits for an observation after `version`, at most until `deadline`, or until the task is
  /// cancelled.
  ///
  /// - Returns: the latest observation, which is no later one where the deadline came first.
  /// - Throws: ``QueryError`` of code `too_many_waiters`.
  func next(
    after version: UInt64, until deadline: ContinuousClock.Instant
  ) async throws(QueryError) -> Observation {
    if latest.version > version || ContinuousClock.now >= deadline { return latest }
    guard waiters.count < settings.waiterCountMax else {
      throw QueryError(
        .tooManyWaiters, path: "",
        detail: "\(settings.waiterCountMax) requests wait for a position already; try again")
    }
    lastWaiter += 1
    let id = lastWaiter
    await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
        // Nothing else runs here between the cancellation check and the entry.
        if Task.isCancelled { return continuation.resume() }
        let alarm = Task {
          do {
            try await Task.sleep(until: deadline, clock: .continuous)
            self.release(id)
          } catch {
            // Cancelled because the wait is over.
          }
        }
        waiters[id] = Waiter(version: version, continuation: continuation, alarm: alarm)
        if poller == nil { poller = Task { await self.poll() } }
      }
    } onCancel: {
      Task { await self.release(id) }
    }
    return latest
  }

  /// Waits until `position` is covered.
  ///
  /// - Returns: false where the deadline came first or the task was cancelled.
  func wait(
    for position: Position, until deadline: ContinuousClock.Instant
  ) async throws(QueryError) -> Bool {
    while !latest.covered.covers(position) {
      if ContinuousClock.now >= deadline || Task.isCancelled { return false }
      _ = try await next(after: latest.version, until: deadline)
    }
    return true
  }

  private func release(_ id: UInt64) {
    guard let waiter = waiters.removeValue(forKey: id) else { return }
    waiter.alarm.cancel()
    waiter.continuation.resume()
  }

  private func poll() async {
    while !waiters.isEmpty {
      do {
        // A waiter that comes back at once must not make the polls denser.
        if let lastPoll {
          try await Task.sleep(until: lastPoll + settings.interval, clock: .continuous)
        }
      } catch {
        break
      }
      lastPoll = .now
      await observe()
    }
    poller = nil
  }

  private func observe() async {
    var headers: [Int: HotHeader] = [:]
    do {
      headers = try await view.hot.headers(partitions: view.partitions)
    } catch {
      // Without the hot copy, checkpoints say how far durable rows have come.
    }
    let needsCheckpoints = view.partitions.contains { partition in
      guard let header = headers[partition], header.isComplete else { return true }
      return header.lastDeltaSequence > committed(partition, header)
    }
    if needsCheckpoints { await readCheckpoints() }
    var covered = Position(generation: view.generation)
    var marks: [Int: Mark] = [:]
    for partition in view.partitions {
      guard let header = headers[partition], header.isComplete else {
        covered.advance(
          partition: partition, to: checkpoints[partition]?.coarseSequence ?? 0)
        continue
      }
      marks[partition] = Mark(epoch: header.epoch, copy: header.copy, sequence: header.sequence)
      let committed = committed(partition, header)
      covered.advance(
        partition: partition,
        to: header.lastDeltaSequence <= committed ? max(header.sequence, committed) : committed)
    }
    // What was covered stays so: the hot copy can be lost and come back, the log cannot.
    for (partition, sequence) in latest.covered.sequences {
      covered.advance(partition: partition, to: sequence)
    }
    guard marks != latest.marks || covered != latest.covered else { return }
    latest = Observation(version: latest.version + 1, covered: covered, marks: marks)
    for id in waiters.filter({ $0.value.version < latest.version }).keys { release(id) }
  }

  private func committed(_ partition: Int, _ header: HotHeader) -> UInt64 {
    max(header.committedSequence, checkpoints[partition]?.sequence ?? 0)
  }

  private func readCheckpoints() async {
    if let last = lastCheckpointRead, ContinuousClock.now < last + settings.checkpointInterval {
      return
    }
    lastCheckpointRead = .now
    do {
      checkpoints = Coverage.checkpoints(try await view.durable.checkpoints(), of: view)
    } catch {
      // What was read before still holds; waiters end by their deadlines.
    }
  }
}
