import Dataflow
public import Metrics
import Operators
import Views

/// Every metric of the processor: the catalog that dashboards and alerts are checked against.
public struct RuntimeMetrics: Sendable {
  private static let labels = ["pipeline", "stream"]
  private static let quick: MetricDeclaration.Kind = .histogram(bounds: [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
  ])

  public static let events = MetricDeclaration(
    "smartcontent_processor_events_total", "Events read from the log, copies included.", .counter,
    labels: labels)
  public static let frames = MetricDeclaration(
    "smartcontent_processor_frames_total", "Frames read from the log.", .counter, labels: labels)
  public static let frameBytes = MetricDeclaration(
    "smartcontent_processor_read_bytes_total", "Bytes of frames read from the log.", .counter,
    labels: labels)
  public static let poisonFrames = MetricDeclaration(
    "smartcontent_processor_poison_frames_total",
    "Stored frames that cannot be decoded and were passed over.", .counter, labels: labels)
  public static let accounted = MetricDeclaration(
    "smartcontent_events_accounted_total",
    "Committed events since the beginning of the log by what became of them:"
      + " on_time, late, too_late, duplicate, rejected.", .counter, labels: labels + ["class"],
    maxSeries: 1000)
  public static let received = MetricDeclaration(
    "smartcontent_events_received_total",
    "Committed events since the beginning of the log: the sum of their classes.", .counter,
    labels: labels)
  public static let commit = MetricDeclaration(
    "smartcontent_commit_duration_seconds", "Time of one transaction into Postgres.", quick,
    labels: labels)
  public static let commitFailures = MetricDeclaration(
    "smartcontent_commit_failures_total", "Transactions that failed and were tried again.",
    .counter, labels: labels)
  public static let rows = MetricDeclaration(
    "smartcontent_commit_rows_total", "Rows written to Postgres: absolute ones and corrections.",
    .counter, labels: labels)
  public static let hot = MetricDeclaration(
    "smartcontent_hot_update_duration_seconds", "Time of one update of the hot copy in Redis.",
    quick, labels: labels)
  public static let hotFailures = MetricDeclaration(
    "smartcontent_hot_update_failures_total", "Updates of the hot copy that failed.", .counter,
    labels: labels)
  public static let hotRebuilds = MetricDeclaration(
    "smartcontent_hot_rebuilds_total", "Complete rebuilds of the hot copy.", .counter,
    labels: labels)
  public static let freshness = MetricDeclaration(
    "smartcontent_freshness_seconds",
    "From a frame's storing in the log to its effect in the hot copy.", quick, labels: labels)
  public static let snapshot = MetricDeclaration(
    "smartcontent_snapshot_pause_seconds", "Time processing paused to take a snapshot.", quick,
    labels: labels)
  public static let snapshotsLeftOut = MetricDeclaration(
    "smartcontent_snapshot_left_out_total",
    "Times when changes were not saved one by one, because they were too many or could not be written,"
      + " and a snapshot of everything was made of the log instead.", .counter, labels: labels)
  public static let replay = MetricDeclaration(
    "smartcontent_replay_seconds",
    "From opening the stream at a start to being live: silent replay of what the snapshots do not have.",
    quick, labels: labels)
  public static let snapshotBytes = MetricDeclaration(
    "smartcontent_snapshot_written_bytes_total", "Bytes of state written as snapshots.", .counter,
    labels: labels)
  public static let snapshotSize = MetricDeclaration(
    "smartcontent_snapshot_size_bytes", "Size of one snapshot that processing paused for.",
    .histogram(bounds: [1e3, 1e4, 1e5, 1e6, 4e6, 8e6, 16e6, 64e6, 256e6]),
    labels: labels)
  public static let snapshotCompactions = MetricDeclaration(
    "smartcontent_snapshot_compactions_total", "Bases made of a chain of snapshots.", .counter,
    labels: labels)
  public static let snapshotRejections = MetricDeclaration(
    "smartcontent_snapshot_rejections_total",
    "Snapshots that were torn, corrupt, missing or of another past, and were not used.", .counter,
    labels: labels)
  public static let snapshotCopiedBytes = MetricDeclaration(
    "smartcontent_snapshot_copied_bytes_total",
    "Bytes of snapshots copied to other machines' reach.",
    .counter, labels: labels)
  public static let snapshotCopyFailures = MetricDeclaration(
    "smartcontent_snapshot_copy_failures_total",
    "Attempts to list or copy snapshots where all machines reach them that failed.", .counter,
    labels: labels)
  public static let snapshotAge = MetricDeclaration(
    "smartcontent_snapshot_age_seconds",
    "Since the newest written snapshot was taken; 0 where it has everything processed.", .gauge,
    labels: labels)
  public static let snapshotFiles = MetricDeclaration(
    "smartcontent_snapshot_chain_files", "Snapshots that a restart would read.", .gauge,
    labels: labels)
  public static let snapshotChainBytes = MetricDeclaration(
    "smartcontent_snapshot_chain_bytes", "Bytes of snapshots that a restart would read.", .gauge,
    labels: labels)
  public static let stateKeys = MetricDeclaration(
    "smartcontent_state_keys", "What an operator remembers: ids, tuples, persons.", .gauge,
    labels: labels + ["operator"])
  public static let stateKeysMax = MetricDeclaration(
    "smartcontent_state_keys_max", "The most that an operator may remember.", .gauge,
    labels: labels + ["operator"])
  public static let stateBytes = MetricDeclaration(
    "smartcontent_state_bytes", "Memory of an operator's state, about.", .gauge,
    labels: labels + ["operator"])
  public static let snapshotFailures = MetricDeclaration(
    "smartcontent_snapshot_failures_total", "Snapshots that could not be written.", .counter,
    labels: labels)
  public static let partials = MetricDeclaration(
    "smartcontent_partial_frames_total",
    "Frames that the first stage has handed to the second.", .counter, labels: labels)
  public static let partialFailures = MetricDeclaration(
    "smartcontent_partial_failures_total",
    "Frames of partials that the log did not take and that were sent again.", .counter,
    labels: labels)
  public static let waits = MetricDeclaration(
    "smartcontent_processor_waits_total",
    "Quarter seconds spent waiting for NATS or Postgres to come back.", .counter, labels: labels)
  public static let halts = MetricDeclaration(
    "smartcontent_processor_halts_total", "Times a partition stopped for good.", .counter,
    labels: labels)
  public static let lagFrames = MetricDeclaration(
    "smartcontent_lag_frames", "Frames in the stream that are not processed yet.", .gauge,
    labels: labels)
  public static let lagEvents = MetricDeclaration(
    "smartcontent_lag_events",
    "Events in the stream that are not processed yet: frames times the mean events of a frame.",
    .gauge, labels: labels)
  public static let lagSeconds = MetricDeclaration(
    "smartcontent_lag_seconds",
    "How far log time trails the clock where frames are waiting, else 0.", .gauge, labels: labels)
  public static let watermarkDelay = MetricDeclaration(
    "smartcontent_watermark_delay_seconds", "How far the watermark trails the clock.", .gauge,
    labels: labels)
  public static let running = MetricDeclaration(
    "smartcontent_partition_running",
    "1 where the partition is live or replaying, 0 where it starts, waits or has stopped.",
    .gauge, labels: labels)

  public static let dedupeIDs = MetricDeclaration(
    "smartcontent_dedupe_ids", "Event ids remembered for deduplication.", .gauge, labels: labels)
  public static let dedupeFill = MetricDeclaration(
    "smartcontent_dedupe_fill_ratio",
    "Remembered event ids by `dedupe_count_max`; at 1 the partition stops and says so.", .gauge,
    labels: labels)
  public static let stateRows = MetricDeclaration(
    "smartcontent_state_rows", "Window rows in state.", .gauge, labels: labels)
  public static let overflowed = MetricDeclaration(
    "smartcontent_events_overflowed_total",
    "Events that counted for `(other)` because of `tuple_count_max`.", .counter, labels: labels)

  public static let limits = MetricDeclaration(
    "smartcontent_operator_limits_total",
    "What limits of operators have cost since the beginning of the log: touches of persons that were"
      + " untracked, unions and links that were refused, events that overflowed into `(other)`, and"
      + " those that were too_late for trends or incidents; feedback about an incident that is unknown.",
    .counter,
    labels: labels + ["operator", "consequence"],
    maxSeries: 2000)
  public static let storeFull = MetricDeclaration(
    "smartcontent_store_full",
    "1 while postgres, redis or the disk of snapshots has no room for what a loop writes, until it takes"
      + " something again.", .gauge, labels: labels + ["store"], maxSeries: 1000)
  public static let waitingPartials = MetricDeclaration(
    "smartcontent_partials_waiting",
    "Frames of partials that came and wait for one before them; where that lasts one is lost.",
    .gauge,
    labels: labels)
  public static let partialsRemade = MetricDeclaration(
    "smartcontent_partials_remade_total",
    "Frames of partials that were lost or could not be read and were made again from the events.",
    .counter, labels: labels)
  public static let copies = MetricDeclaration(
    "smartcontent_event_copies_total",
    "Copies of events by what they are: natural (the same id and payload, sent or stored again), synthetic"
      + " (the same id with another payload), untold (the first is remembered without its payload).",
    .counter, labels: labels + ["copy"], maxSeries: 1000)

  public static let seconds = MetricDeclaration(
    "smartcontent_loop_seconds_total",
    "Where a loop's time goes: busy processing, idle for lack of frames, held up by the stores that it"
      + " writes, or waiting for something that is away.", .counter, labels: labels + ["state"],
    maxSeries: 1000)

  /// Everything above, for checks of dashboards and alerts.
  public static let catalog = [
    events, frames, frameBytes, poisonFrames, accounted, received, commit, commitFailures, rows,
    hot, hotFailures, hotRebuilds, freshness, replay, snapshot, snapshotsLeftOut, snapshotBytes,
    snapshotFailures,
    snapshotSize, snapshotCompactions, snapshotRejections, snapshotCopiedBytes,
    snapshotCopyFailures, snapshotAge, snapshotFiles,
    snapshotChainBytes, stateKeys, stateKeysMax, stateBytes, partials, partialFailures, waits,
    halts, lagFrames, lagEvents, lagSeconds, watermarkDelay, running,
    copies, dedupeIDs, dedupeFill, stateRows, overflowed, limits, storeFull, waitingPartials,
    partialsRemade, seconds,
  ]

  private let registry: MetricRegistry

  public init(_ registry: MetricRegistry) { self.registry = registry }

  /// Of sharing the streams with other processes.
  var group: GroupMetrics { GroupMetrics(registry) }

  func loop(pipeline: String, stream: String) -> LoopMetrics {
    LoopMetrics(registry, [pipeline, stream])
  }

  /// Gauges that follow from the loops' states, computed at each scrape.
  ///
  /// - Parameter now: microseconds since the epoch.
  func observe(
    _ statuses: @escaping @Sendable () -> [PartitionStatus],
    now: @escaping @Sendable () -> Int64
  ) {
    let registry = registry
    func computed(
      _ declaration: MetricDeclaration, _ value: @escaping @Sendable (PartitionStatus) -> Double?
    ) {
      registry.computed(declaration) {
        statuses().compactMap { status in
          value(status).map { MetricSample([status.pipeline, status.stream.stream], $0) }
        }
      }
    }
    computed(Self.lagFrames) { Double($0.lag) }
    computed(Self.lagEvents) { status in
      let labels = [status.pipeline, status.stream.stream]
      let frames = registry.counter(Self.frames).with(labels: labels).value
      let events = registry.counter(Self.events).with(labels: labels).value
      return frames == 0 ? Double(status.lag) : Double(status.lag) * Double(events) / Double(frames)
    }
    computed(Self.lagSeconds) { status in
      status.lag == 0 || status.logTime == .min
        ? 0 : max(0, Double(now() - status.logTime) / 1_000_000)
    }
    computed(Self.watermarkDelay) { status in
      status.watermark == .min || status.stream.role != .events
        ? nil : Double(now() - status.watermark) / 1_000_000
    }
    computed(Self.dedupeIDs) { Double($0.idCount) }
    computed(Self.dedupeFill) { Double($0.idCount) / Double(max(1, $0.idCountMax)) }
    computed(Self.stateRows) { Double($0.rowCount) }
    computed(Self.overflowed) { Double($0.overflowedCount) }
    computed(Self.snapshotAge) { status in
      status.snapshotTakenAt == 0 || status.snapshotSequence >= status.sequence
        ? 0 : max(0, Double(now() - status.snapshotTakenAt) / 1_000_000)
    }
    computed(Self.snapshotFiles) { Double($0.snapshots.fileCount) }
    computed(Self.snapshotChainBytes) { Double($0.snapshots.byteCount) }
    func perOperator(
      _ declaration: MetricDeclaration, _ value: @escaping @Sendable (StateSize) -> Int
    ) {
      registry.computed(declaration) {
        statuses().flatMap { status in
          status.stateSizes.map { state in
            MetricSample(
              [status.pipeline, status.stream.stream, state.operator], Double(value(state.size)))
          }
        }
      }
    }
    perOperator(Self.stateKeys, \.keyCount)
    perOperator(Self.stateKeysMax, \.keyCountMax)
    perOperator(Self.stateBytes, \.byteCount)
    computed(Self.waitingPartials) {
      $0.stream.role == .partials ? Double($0.waitingPartialCount) : nil
    }
    registry.computed(Self.storeFull) {
      statuses().flatMap { status in
        WrittenStore.allCases.map {
          MetricSample(
            [status.pipeline, status.stream.stream, $0.rawValue],
            status.fullStores.contains($0) ? 1 : 0)
        }
      }
    }
    registry.computed(Self.limits) {
      statuses().flatMap { status in
        status.limitCounts.map {
          MetricSample(
            [status.pipeline, status.stream.stream, $0.operator, $0.consequence], Double($0.count))
        }
      }
    }
    registry.computed(Self.seconds) {
      statuses().flatMap { status in
        [
          ("busy", status.times.busy), ("idle", status.times.idle),
          ("stores", status.times.stores), ("away", status.times.away),
        ].map { state, micros in
          MetricSample(
            [status.pipeline, status.stream.stream, state], Double(micros) / 1_000_000)
        }
      }
    }
    computed(Self.running) { $0.phase == .live || $0.phase == .replaying ? 1 : 0 }
  }
}

/// The metrics of one loop, looked up once.
final class LoopMetrics: Sendable {
  private let events: Counter
  private let frames: Counter
  private let frameBytes: Counter
  private let poisonFrames: Counter
  private let commits: Histogram
  private let commitFailures: Counter
  private let rows: Counter
  private let hot: Histogram
  private let hotFailures: Counter
  private let hotRebuilds: Counter
  private let freshness: Histogram
  private let snapshots: Histogram
  private let snapshotSizes: Histogram
  private let snapshotsLeftOut: Counter
  private let replays: Histogram
  private let snapshotBytes: Counter
  private let snapshotCompactions: Counter
  private let snapshotRejections: Counter
  private let snapshotCopiedBytes: Counter
  private let snapshotCopyFailures: Counter
  private let snapshotFailures: Counter
  private let partials: Counter
  private let partialFailures: Counter
  private let partialsRemade: Counter
  private let waits: Counter
  private let halts: Counter
  private let accounting: Shared<Accounting>
  /// Natural, synthetic, untold.
  private let copies: [Counter]

  init(_ registry: MetricRegistry, _ labels: [String]) {
    func counter(_ declaration: MetricDeclaration) -> Counter {
      registry.counter(declaration).with(labels: labels)
    }
    func histogram(_ declaration: MetricDeclaration) -> Histogram {
      registry.histogram(declaration).with(labels: labels)
    }
    events = counter(RuntimeMetrics.events)
    frames = counter(RuntimeMetrics.frames)
    frameBytes = counter(RuntimeMetrics.frameBytes)
    poisonFrames = counter(RuntimeMetrics.poisonFrames)
    commits = histogram(RuntimeMetrics.commit)
    commitFailures = counter(RuntimeMetrics.commitFailures)
    rows = counter(RuntimeMetrics.rows)
    hot = histogram(RuntimeMetrics.hot)
    hotFailures = counter(RuntimeMetrics.hotFailures)
    hotRebuilds = counter(RuntimeMetrics.hotRebuilds)
    freshness = histogram(RuntimeMetrics.freshness)
    snapshots = histogram(RuntimeMetrics.snapshot)
    snapshotSizes = histogram(RuntimeMetrics.snapshotSize)
    snapshotsLeftOut = counter(RuntimeMetrics.snapshotsLeftOut)
    replays = histogram(RuntimeMetrics.replay)
    snapshotCompactions = counter(RuntimeMetrics.snapshotCompactions)
    snapshotRejections = counter(RuntimeMetrics.snapshotRejections)
    snapshotCopiedBytes = counter(RuntimeMetrics.snapshotCopiedBytes)
    snapshotCopyFailures = counter(RuntimeMetrics.snapshotCopyFailures)
    snapshotBytes = counter(RuntimeMetrics.snapshotBytes)
    snapshotFailures = counter(RuntimeMetrics.snapshotFailures)
    partials = counter(RuntimeMetrics.partials)
    partialFailures = counter(RuntimeMetrics.partialFailures)
    partialsRemade = counter(RuntimeMetrics.partialsRemade)
    waits = counter(RuntimeMetrics.waits)
    halts = counter(RuntimeMetrics.halts)
    accounting = Shared(Accounting())
    copies = ["natural", "synthetic", "untold"].map {
      registry.counter(RuntimeMetrics.copies).with(labels: labels + [$0])
    }
    accountingCounters = (
      registry.counter(RuntimeMetrics.received).with(labels: labels),
      ["on_time", "late", "too_late", "duplicate", "rejected"].map {
        registry.counter(RuntimeMetrics.accounted).with(labels: labels + [$0])
      }
    )
  }

  private let accountingCounters: (received: Counter, classes: [Counter])

  func fetched(bytes: Int) {
    frames.add()
    frameBytes.add(bytes)
  }

  func processed(events count: Int) { events.add(count) }

  func found(_ counts: CopyCounts) {
    for (counter, count) in zip(copies, [counts.natural, counts.synthetic, counts.untold])
    where count > 0 {
      counter.add(count)
    }
  }

  func poisoned() { poisonFrames.add() }

  /// What was committed before this process is not counted again by its counters.
  func claimed(_ stored: Accounting) { accounting.update { $0 = stored } }

  func committed(_ batch: CommitBatch, durationMicros: Int64) {
    commits.observe(Double(durationMicros) / 1_000_000)
    rows.add(batch.windows.reduce(0) { $0 + $1.rows.count + $1.deltas.count })
    let now = batch.accounting
    accounting.update { before in
      accountingCounters.received.add(Int(max(0, now.received - before.received)))
      let changes = [
        now.onTime - before.onTime, now.late - before.late, now.tooLate - before.tooLate,
        now.duplicate - before.duplicate, now.rejected - before.rejected,
      ]
      for (counter, change) in zip(accountingCounters.classes, changes) {
        counter.add(Int(max(0, change)))
      }
      before = now
    }
  }

  func commitFailed() { commitFailures.add() }

  func hotUpdated(durationMicros: Int64) { hot.observe(Double(durationMicros) / 1_000_000) }

  func hotFailed() { hotFailures.add() }

  func hotRebuilt() { hotRebuilds.add() }

  func fresh(micros: Int64) { freshness.observe(Double(max(0, micros)) / 1_000_000) }

  func snapshotTaken(bytes: Int, durationMicros: Int64) {
    snapshots.observe(Double(durationMicros) / 1_000_000)
    snapshotSizes.observe(Double(bytes))
  }

  func snapshotLeftOut(durationMicros: Int64) {
    snapshots.observe(Double(durationMicros) / 1_000_000)
    snapshotsLeftOut.add()
  }

  func replayed(durationMicros: Int64) { replays.observe(Double(durationMicros) / 1_000_000) }

  func snapshotCompacted(bytes: Int) {
    snapshotCompactions.add()
    snapshotBytes.add(bytes)
  }

  func snapshotCopied(bytes: Int) { snapshotCopiedBytes.add(bytes) }

  func snapshotCopyFailed() { snapshotCopyFailures.add() }

  func snapshotRejected() { snapshotRejections.add() }

  func snapshotWritten(bytes: Int) { snapshotBytes.add(bytes) }

  func snapshotFailed() { snapshotFailures.add() }

  func handedOn(frames: Int) { partials.add(frames) }

  func partialFailed() { partialFailures.add() }

  func partialRemade() { partialsRemade.add() }

  func waited() { waits.add() }

  func halted() { halts.add() }
}
