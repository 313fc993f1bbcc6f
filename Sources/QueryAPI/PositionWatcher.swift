import Dataflow
import Events
import Ports
import Views

/// Watches how far layers of a view have come, once for everybody who waits for them: queries with
/// `after` and live streams. What all of the layers cover counts.
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
  private let measures: [Measure]
  private static let generationInterval = Duration.seconds(1)
  private let settings: Settings
  private(set) var latest: Observation
  private var waiters: [UInt64: Waiter] = [:]
  private var lastWaiter: UInt64 = 0
  private var poller: Task<Void, Never>?
  private var checkpoints: [StreamPartition: Checkpoint] = [:]
  private var lastPoll: ContinuousClock.Instant?
  private var lastCheckpointRead: ContinuousClock.Instant?

  /// - Parameter measures: of the layers; those that the view does not have are left out.
  init(view: ReadView, measures: [Measure] = [.activity], settings: Settings = Settings()) {
    self.view = view
    self.measures = measures.filter { view.layer($0) != nil }
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
    // That another generation of streams is read shows only in checkpoints.
    if lastCheckpointRead.map({ .now >= $0 + Self.generationInterval }) ?? true {
      await readCheckpoints()
    }
    let layers = measures.compactMap { view.layer($0, at: checkpoints) }
    var headers: [[Int: HotHeader]] = []
    for layer in layers {
      do {
        headers.append(try await layer.hot?.headers(partitions: layer.partitions) ?? [:])
      } catch {
        // Without the hot copy, checkpoints say how far durable rows have come.
        headers.append([:])
      }
    }
    let known = layers.map { Coverage.checkpoints(checkpoints, of: $0) }
    let needsCheckpoints = layers.indices.contains { index in
      layers[index].partitions.contains { partition in
        guard let header = headers[index][partition], header.isComplete else { return true }
        return header.lastDeltaSequence > committed(known[index][partition], header)
      }
    }
    if needsCheckpoints { await readCheckpoints() }
    var covered: CoverageSum?
    var marks: [Int: Mark] = [:]
    for (layer, headers) in zip(layers, headers) {
      let part = coverage(of: layer, headers)
      covered = covered.map { $0.joined(with: part) } ?? part
      // Partitions of the events and the second stage's have different numbers.
      for (partition, header) in headers where header.isComplete {
        marks[partition] = Mark(epoch: header.epoch, copy: header.copy, sequence: header.sequence)
      }
    }
    guard var position = covered?.position else { return }
    // What was covered stays so: the hot copy can be lost and come back, the log cannot.
    if position.generation < latest.covered.generation { position = latest.covered }
    if position.generation == latest.covered.generation {
      for (partition, sequence) in latest.covered.sequences {
        position.advance(partition: partition, to: sequence)
      }
    }
    guard marks != latest.marks || position != latest.covered else { return }
    latest = Observation(version: latest.version + 1, covered: position, marks: marks)
    for id in waiters.filter({ $0.value.version < latest.version }).keys { release(id) }
  }

  private func coverage(of layer: Layer, _ headers: [Int: HotHeader]) -> CoverageSum {
    let checkpoints = Coverage.checkpoints(checkpoints, of: layer)
    var sum = CoverageSum(layer)
    for (partition, checkpoint) in checkpoints {
      guard let header = headers[partition], header.isComplete else {
        sum.add(
          Coverage.durableReach(checkpoint, segments: []), partition: partition, of: layer.measure)
        continue
      }
      var reach = Coverage.reach(checkpoint, header, usesHot: false)
      let committed = committed(checkpoint, header)
      if header.lastDeltaSequence <= committed {
        reach.sequence = max(header.sequence, committed)
        // Of the later of the two only the hot copy's sources may be known.
        if header.sequence > checkpoint.sequence { reach.sources = header.sources }
      } else {
        reach.sequence = committed
      }
      sum.add(reach, partition: partition, of: layer.measure)
    }
    return sum
  }

  private func committed(_ checkpoint: Checkpoint?, _ header: HotHeader) -> UInt64 {
    max(header.committedSequence, checkpoint?.sequence ?? 0)
  }

  private func readCheckpoints() async {
    if let last = lastCheckpointRead, ContinuousClock.now < last + settings.checkpointInterval {
      return
    }
    lastCheckpointRead = .now
    do {
      checkpoints = try await view.durable.checkpoints()
    } catch {
      // What was read before still holds; waiters end by their deadlines.
    }
  }
}
