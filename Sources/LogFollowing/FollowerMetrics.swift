public import Metrics

/// Every metric of following the log.
public struct FollowerMetrics: Sendable {
  public static let frames = MetricDeclaration(
    "smartcontent_learning_frames_total", "Frames of the log that learners have been led past.",
    .counter)
  public static let events = MetricDeclaration(
    "smartcontent_learning_events_total",
    "Events of these frames, those that do not count included.", .counter)
  public static let position = MetricDeclaration(
    "smartcontent_learning_position", "The last frame of each stream that learners know.", .gauge,
    labels: ["stream"])
  public static let lag = MetricDeclaration(
    "smartcontent_learning_lag_seconds",
    "Age of the newest frame that learners know, while the log holds newer ones; 0 where it holds"
      + " none.", .gauge)
  public static let behind = MetricDeclaration(
    "smartcontent_learning_frames_behind", "Frames that learners have not been led to yet.", .gauge)
  public static let caughtUp = MetricDeclaration(
    "smartcontent_learning_caught_up",
    "1 once everything that was in the log at the start is learned, else 0.", .gauge)
  public static let away = MetricDeclaration(
    "smartcontent_learning_log_away", "1 while the log cannot be read by those who learn, else 0.",
    .gauge)
  public static let halted = MetricDeclaration(
    "smartcontent_learning_halted", "1 where learning cannot go on and readiness says why, else 0.",
    .gauge)
  public static let publish = MetricDeclaration(
    "smartcontent_learning_publish_seconds",
    "Time that all learners took to make what they know visible, in seconds.",
    .histogram(bounds: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1]))

  public static let relearnings = MetricDeclaration(
    "smartcontent_learning_relearnings_total",
    "How often the log was read again, without what was taken back too late: done, failed.",
    .counter, labels: ["outcome"])

  public static let snapshots = MetricDeclaration(
    "smartcontent_learning_snapshots_total",
    "Snapshots of what was learned: written, failed to be written, restored at a start, refused there.",
    .counter, labels: ["outcome"])
  public static let snapshotBytes = MetricDeclaration(
    "smartcontent_learning_snapshot_bytes", "Of the snapshot that was written last.", .gauge)
  public static let freeze = MetricDeclaration(
    "smartcontent_learning_freeze_seconds",
    "Time for which learning stood still for a snapshot, in seconds.",
    .histogram(bounds: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1]))

  public static let unsure = MetricDeclaration(
    "smartcontent_learning_unsure_frames_total",
    "Frames that were learned though an older one of another stream may have been on its way: models"
      + " that depend on the order may differ from those of other processes.", .counter)

  static let all = [
    frames, events, position, lag, behind, caughtUp, away, halted, publish, relearnings, unsure,
    snapshots, snapshotBytes, freeze,
  ]

  /// What became of a snapshot.
  enum Snapshot: String, CaseIterable { case written, failed, restored, refused }

  /// What became of an attempt to read the log again.
  enum Relearned: String, CaseIterable { case done, failed }

  private let frameCount: Counter
  private let eventCount: Counter
  private let unsureCount: Counter
  private let publishing: Histogram
  private let relearningCount: MetricFamily<Counter>
  private let snapshotCount: MetricFamily<Counter>
  private let snapshotSize: Gauge
  private let freezing: Histogram

  /// - Parameters:
  ///   - state: how the follower stands now.
  ///   - positions: the last frame known of each stream.
  ///   - clock: microseconds since the epoch.
  init(
    _ registry: MetricRegistry, state: @escaping @Sendable () -> FollowerState,
    positions: @escaping @Sendable () -> [(stream: String, sequence: UInt64)],
    clock: @escaping @Sendable () -> Int64
  ) {
    frameCount = registry.counter(Self.frames).with()
    eventCount = registry.counter(Self.events).with()
    unsureCount = registry.counter(Self.unsure).with()
    publishing = registry.histogram(Self.publish).with()
    relearningCount = registry.counter(Self.relearnings)
    for outcome in Relearned.allCases { _ = relearningCount.with(outcome.rawValue) }
    snapshotCount = registry.counter(Self.snapshots)
    for outcome in Snapshot.allCases { _ = snapshotCount.with(outcome.rawValue) }
    snapshotSize = registry.gauge(Self.snapshotBytes).with()
    freezing = registry.histogram(Self.freeze).with()
    registry.computed(Self.position) {
      positions().map { MetricSample([$0.stream], Double($0.sequence)) }
    }
    func gauge(
      _ declaration: MetricDeclaration, _ value: @escaping @Sendable (FollowerState) -> Double
    ) {
      registry.computed(declaration) { [MetricSample([], value(state()))] }
    }
    gauge(Self.lag) { state in
      state.framesBehind == 0 || state.logTime == .min
        ? 0 : Double(max(0, clock() - state.logTime)) / 1_000_000
    }
    gauge(Self.behind) { Double($0.framesBehind) }
    gauge(Self.caughtUp) { $0.isCaughtUp ? 1 : 0 }
    gauge(Self.away) { $0.away == nil ? 0 : 1 }
    gauge(Self.halted) { state in if case .halted = state.phase { 1 } else { 0 } }
  }

  func read(frames: Int, events: Int) {
    frameCount.add(frames)
    eventCount.add(events)
  }

  func tookUnsure(_ frames: Int) { unsureCount.add(frames) }

  func relearned(_ outcome: Relearned) {
    relearningCount.with(outcome.rawValue).add()
  }

  func published(in duration: Duration) { publishing.observe(duration / .seconds(1)) }

  func froze(in duration: Duration) { freezing.observe(duration / .seconds(1)) }

  /// - Parameter bytes: of one that was written.
  func snapshot(_ outcome: Snapshot, bytes: Int? = nil) {
    snapshotCount.with(outcome.rawValue).add()
    if let bytes { snapshotSize.set(Double(bytes)) }
  }
}
