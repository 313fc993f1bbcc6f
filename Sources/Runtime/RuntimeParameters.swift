/// What can be set about partition loops, each with its unit and why it is what it is.
public struct RuntimeParameters: Sendable {
  /// Shortest time between commits; short enough that a killed process has little to replay.
  public var commitIntervalMs = 250
  /// The same of a second stage with trends: queries read these from Postgres, so they are as fresh.
  public var trendCommitIntervalMs = 100
  /// Time between commits under backlog: larger transactions write fewer rows per event.
  public var commitIntervalMsMax = 2000
  /// Shortest time between updates of the hot copy: it bounds how fresh a query can be.
  public var hotIntervalMs = 40
  /// Time between updates of the hot copy under backlog.
  public var hotIntervalMsMax = 1000
  /// A commit or hot update may take at most one part in this many of a loop's time.
  public var sinkShare = 5
  /// Time between writes of open hour and day rows.
  public var coarseIntervalMs = 5000
  /// Corrections and late events kept in memory before a commit is made early.
  public var pendingCountMax = 100_000
  /// Longest time between snapshots of a partition that moves, silent replay included.
  public var snapshotIntervalMs = 2000
  /// Changed bytes of state after which a snapshot is taken early: it bounds the pause for one.
  public var snapshotBytesMax = 2 << 20
  /// Changed bytes of state above which none is taken of a partition that is live, because it would
  /// stop for longer than 20 ms; a base is made of the log instead. Above the bound before, so that a
  /// frame that goes far past that is still taken.
  public var snapshotPauseBytesMax = 4 << 20
  /// Bytes of snapshots that wait in memory to be committed or written; past it none are taken.
  public var snapshotWaitingBytesMax = 64 << 20
  /// Increments become a new base when they are larger than the last one, and than this.
  public var snapshotCompactionBytesMin = 8 << 20
  /// The same when there are more than so many.
  public var snapshotChainCountMax = 512
  /// A partition whose log time is this far behind its siblings gets a heartbeat.
  public var heartbeatIdleMs = 10_000
  /// The same where a second stage waits for the partition that is furthest behind.
  public var stageHeartbeatIdleMs = 1000
  /// Time between two heartbeats of a partition.
  public var heartbeatIntervalMs = 1000
  /// Longest wait for frames; bounds how late a loop sees the stop flag.
  public var fetchWaitMsMax = 250
  /// How long a process owns its streams without renewing its lease. A killed one's streams are to
  /// be live elsewhere within 2 s: the lease, a beat, and the restore.
  public var leaseMs = 1200
  /// Time between two renewals: three may fail before the lease runs out.
  public var beatIntervalMs = 250

  public init() {}

  /// For a version that is computed from the log while nobody reads it.
  public static let rebuild: RuntimeParameters = {
    var parameters = RuntimeParameters()
    parameters.hotIntervalMs = parameters.hotIntervalMsMax
    parameters.coarseIntervalMs = 30_000
    return parameters
  }()
}
