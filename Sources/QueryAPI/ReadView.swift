public import Dataflow
public import Ports
public import Views

/// One pipeline's read models: durable rows, their hot copy, and which partitions feed them.
public struct ReadView: Sendable {
  /// The pipeline's name, as requests give it.
  public var name: String
  /// The version of the pipeline that computed it.
  public var version: Int
  public var durable: any DurableViewReader
  public var hot: any HotViewReader
  /// The generation of streams that is read before anything says otherwise: the newest one that was
  /// known at the start. Committed checkpoints say which one is processed now.
  public var generation: UInt32
  /// The partitions of ``generation``, from 0; the dead letters are none of them.
  public var partitions: [Int]
  /// Nil where the pipeline has none.
  public var secondStage: SecondStage?
  /// Nil where the pipeline watches for no anomalies.
  public var incidents: (any IncidentReader)?

  /// What the second stage of a pipeline computes.
  public struct SecondStage: Sendable {
    public var hot: any HotViewReader
    public var stream: StreamPartition
    public var hasOutcomes: Bool
    /// Nil where it counts no exposures.
    public var experiments: ExperimentPolicy?
    public var hasTrends: Bool

    /// - Parameter hot: reads copies of the generation of the pipeline's partials.
    /// - Returns: nil where the pipeline has no second stage.
    public init?(of pipeline: PipelineSpec, hot: any HotViewReader) {
      guard pipeline.hasSecondStage else { return nil }
      self.hot = hot
      stream = .partials(of: pipeline)
      hasOutcomes = pipeline.persons != nil
      experiments = pipeline.persons?.experiments
      hasTrends = pipeline.trends != nil
    }
  }

  /// - Parameter partitionCount: partitions of the generation, at least 1.
  public init(
    name: String, version: Int = 1, durable: any DurableViewReader, hot: any HotViewReader,
    generation: UInt32, partitionCount: Int, secondStage: SecondStage? = nil,
    incidents: (any IncidentReader)? = nil
  ) {
    self.name = name
    self.version = version
    self.durable = durable
    self.hot = hot
    self.generation = generation
    partitions = Array(0..<partitionCount)
    self.secondStage = secondStage
    self.incidents = incidents
  }
}

/// The rows of one measure: which streams' loops write them, and where their hot copy is.
struct Layer: Sendable {
  var measure: Measure
  /// The generation of events that is processed now, and its partitions as far as they are known.
  var events: (generation: UInt32, partitions: [Int])
  /// Nil where durable rows are all that there is.
  var hot: (any HotViewReader)?
  /// Of the streams.
  var generation: UInt32
  var partitions: [Int]
}

extension ReadView {
  /// Generations are processed one after the other: what has committed something in one has all before
  /// it in durable rows, which need no hot copy.
  private func events(
    _ checkpoints: [StreamPartition: Checkpoint]
  ) -> (generation: UInt32, partitions: [Int]) {
    let streams = checkpoints.keys.filter { $0.role == .events }
    let committed = streams.filter { checkpoints[$0]?.sequence ?? 0 > 0 }
    guard let current = committed.map(\.generation).max(), current != generation else {
      return (generation, partitions)
    }
    return (current, streams.filter { $0.generation == current }.map(\.partition).sorted())
  }

  /// - Parameter checkpoints: what is committed, at the moment that is read.
  /// - Returns: nil where the pipeline does not compute the measure.
  func layer(
    _ measure: Measure, at checkpoints: [StreamPartition: Checkpoint] = [:]
  ) -> Layer? {
    let events = events(checkpoints)
    switch measure {
    case .activity:
      return Layer(
        measure: measure, events: events, hot: hot.of(generation: events.generation),
        generation: events.generation, partitions: events.partitions)
    case .outcomes:
      guard let secondStage, secondStage.hasOutcomes else { return nil }
      return Layer(
        measure: measure, events: events, hot: secondStage.hot,
        generation: secondStage.stream.generation,
        partitions: [secondStage.stream.partition])
    case .exposures, .baselines:
      // A cohort is looked at once it is old enough; nobody waits for its last seconds.
      guard let secondStage, secondStage.experiments != nil else { return nil }
      return Layer(
        measure: measure, events: events, hot: nil,
        generation: secondStage.stream.generation,
        partitions: [secondStage.stream.partition])
    }
  }

  /// The metrics that the pipeline computes.
  var metrics: [Metric] { Metric.allCases.filter { layer($0.measure) != nil } }

  /// Of these, those that a hot copy has: within a fraction of a second.
  var liveMetrics: [Metric] { metrics.filter { layer($0.measure)?.hot != nil } }

  /// The streams that have committed something and whose hot copy is not there, in order of name:
  /// their processor is about to write it anew. Queries take longer to see what it had.
  public func missingCopies() async throws(ViewReadError) -> [String] {
    let checkpoints = try await durable.checkpoints()
    var missing: [String] = []
    for measure in Measure.allCases {
      guard let layer = layer(measure, at: checkpoints), let hot = layer.hot else { continue }
      let headers = try await hot.headers(partitions: layer.partitions)
      for (stream, checkpoint) in checkpoints
      where stream.generation == layer.generation && layer.partitions.contains(stream.partition)
        && checkpoint.sequence > 0 && !checkpoint.isFinished
        && headers[stream.partition]?.isComplete != true
      {
        missing.append(stream.stream)
      }
    }
    return missing.sorted()
  }

  /// - Throws: ``QueryError`` of code `metric_not_computed`.
  func check(_ metrics: [Metric]) throws(QueryError) {
    for (index, metric) in metrics.enumerated() where layer(metric.measure) == nil {
      throw QueryError(
        .metricNotComputed, path: "$.metrics[\(index)]",
        detail:
          "\(metric.rawValue) is not computed by pipeline \(name), which declares no "
          + "\(metric.measure == .exposures ? "experiments" : "persons"); ask another pipeline, or add "
          + "`\(metric.measure == .exposures ? "experiments" : "persons")` to it in "
          + "Streams/pipelines.yaml with a higher version", allowed: self.metrics.map(\.rawValue))
    }
  }
}
