public import Dataflow
public import Ports

/// A log that grows, and the pipeline by whose rules its events count.
public struct FollowedLog: Sendable {
  public var spec: PipelineSpec
  /// The generations of the events, rising; nil where the log cannot be asked now.
  public var generations: @Sendable () -> [LogGeneration]?
  /// Archive and streams as one.
  public var log: any EventLog
  /// The streams alone, which are asked often where they end.
  public var streams: any EventLog

  /// - Parameter streams: nil where the log has no archive, and is asked itself.
  public init(
    spec: PipelineSpec, generations: @escaping @Sendable () -> [LogGeneration]?,
    log: any EventLog, streams: (any EventLog)? = nil
  ) {
    self.spec = spec
    self.generations = generations
    self.log = log
    self.streams = streams ?? log
  }
}
