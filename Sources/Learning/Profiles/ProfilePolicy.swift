/// What `Streams/segments.yaml` says about profiles.
public struct ProfilePolicy: Hashable, Sendable {
  public var decay: Decay
  /// How far back the log is read, microseconds.
  public var memory: Int64
  public var personsMax: Int
  /// Whose money is a profile's value; ISO 4217.
  public var currency: String
  public var segments: [SegmentRule] { didSet { inputs = SegmentInputs(segments) } }
  /// What the segments want to know of persons beside what every profile has.
  public private(set) var inputs: SegmentInputs
  public var clusterCount: Int
  /// How often clusters are worked out anew, microseconds of the log's time.
  public var clustersEvery: Int64

  public init(
    decay: Decay, memory: Int64, personsMax: Int, currency: String, segments: [SegmentRule],
    clusterCount: Int, clustersEvery: Int64
  ) {
    self.decay = decay
    self.memory = memory
    self.personsMax = personsMax
    self.currency = currency
    self.segments = segments
    inputs = SegmentInputs(segments)
    self.clusterCount = clusterCount
    self.clustersEvery = clustersEvery
  }
}
