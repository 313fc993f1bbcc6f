public import Dataflow
public import Ports

/// A log that grows, and the pipeline by whose rules its events count.
public struct FollowedLog: Sendable {
  public var spec: PipelineSpec
  /// The generations of the events, rising; nil where the log cannot be asked now.
  public var generations: @Sendable () -> [LogGeneration]?
  /// Archive and streams as one.
  public var log: any EventLog

  public init(
    spec: PipelineSpec, generations: @escaping @Sendable () -> [LogGeneration]?, log: any EventLog
  ) {
    self.spec = spec
    self.generations = generations
    self.log = log
  }
}
