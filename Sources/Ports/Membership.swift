public import Dataflow

/// What one loop owns and what processes share among themselves: a stream of a pipeline's version.
public struct PipelineStream: Hashable, Sendable {
  public var pipeline: String
  public var version: Int
  public var stream: StreamPartition

  public init(pipeline: String, version: Int, stream: StreamPartition) {
    self.pipeline = pipeline
    self.version = version
    self.stream = stream
  }

  public init(_ spec: PipelineSpec, _ stream: StreamPartition) {
    self.init(pipeline: spec.name, version: spec.version, stream: stream)
  }
}

extension PipelineStream: CustomStringConvertible {
  public var description: String { "\(pipeline)/\(version)/\(stream.stream)" }
}

/// A process among those that share the streams.
public struct Member: Hashable, Sendable {
  /// A new one at each start of a process.
  public var id: String
  /// Where `pid` means this process: names the machine's boot and its space of process ids.
  public var host: String
  public var pid: Int32
  /// When the process began, clock ticks since the boot: tells it from a later one with its pid.
  public var startTicks: Int64
  /// What it runs, as name and version of pipelines: it takes streams of these only.
  public var pipelines: Set<PipelineVersion>
  /// Milliseconds from its joining to its last beat, by the store's clock.
  public var ageMs: Int64

  public struct PipelineVersion: Hashable, Sendable {
    public var name: String
    public var version: Int

    public init(name: String, version: Int) {
      self.name = name
      self.version = version
    }
  }

  public init(
    id: String, host: String, pid: Int32, startTicks: Int64, pipelines: Set<PipelineVersion>,
    ageMs: Int64 = 0
  ) {
    self.id = id
    self.host = host
    self.pid = pid
    self.startTicks = startTicks
    self.pipelines = pipelines
    self.ageMs = ageMs
  }

  public func runs(_ item: PipelineStream) -> Bool {
    pipelines.contains(PipelineVersion(name: item.pipeline, version: item.version))
  }
}

/// Who claimed a stream last.
public struct Ownership: Hashable, Sendable {
  /// Id of a member; nil where it was released.
  public var owner: String?
  /// The fence: rises with each claim.
  public var epoch: Int64
  /// The committed log time, microseconds since the epoch; `.min` for none.
  public var logTime: Int64
  /// Whether the stream is sealed and wholly committed: nobody needs to own it.
  public var isFinished: Bool

  public init(owner: String?, epoch: Int64, logTime: Int64, isFinished: Bool = false) {
    self.isFinished = isFinished
    self.owner = owner
    self.epoch = epoch
    self.logTime = logTime
  }
}

/// The group as the store showed it at one beat.
public struct GroupView: Hashable, Sendable {
  /// Members whose lease runs, the asking one among them.
  public var live: [Member]
  /// Members whose lease ran out and that have not left: killed, paused, cut off, or about to beat
  /// again after the store was away.
  public var lapsed: [Member]
  /// Streams that were ever claimed. An owner that is in neither list has left.
  public var owners: [PipelineStream: Ownership]
  /// Milliseconds since the store itself was started.
  public var uptimeMs: Int64

  public init(
    live: [Member], lapsed: [Member], owners: [PipelineStream: Ownership], uptimeMs: Int64
  ) {
    self.live = live
    self.lapsed = lapsed
    self.owners = owners
    self.uptimeMs = uptimeMs
  }
}

/// The processes that share streams, and which of them owns what. Confined to one thread.
///
/// One lease per process covers all that it owns: it runs while the process beats, on the clock of
/// the store, so the clocks of machines do not matter. The lease only decides who may take a stream
/// over (``ViewStore/claim(_:owner:)``); what keeps an owner that lost it from writing is the epoch.
public protocol Membership: AnyObject {
  /// Joins or stays in the group for `leaseMs` from now, and looks at it.
  func beat(_ me: Member, leaseMs: Int) throws(ViewStoreError) -> GroupView
  /// Frees a stream at once, where `owner` still owns it.
  func release(_ item: PipelineStream, owner: String) throws(ViewStoreError)
  /// Ends a member's lease, and with it frees all that it owns: it leaves, or it is known to be
  /// dead.
  func remove(_ member: String) throws(ViewStoreError)
}
