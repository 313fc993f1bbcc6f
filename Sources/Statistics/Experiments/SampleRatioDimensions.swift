/// Where visitors do not reach the arms as allocated: which channel or content, or whether it is bots.
///
/// A ``SampleRatioMonitor`` for each value of each dimension. The n-th value that is seen gets the share
/// 1/(n (n + 1)) of α, and all shares together are at most α, so that the chance of ever naming a value
/// wrongly is at most α however many there are. What is seen first has the larger shares: feed coarse
/// dimensions before fine ones. Values beyond the most that are kept are not watched, and counted.
///
/// Cost: that of a monitor a value and step; some 100 bytes a value and arm.
public struct SampleRatioDimensions: Sendable, Equatable {
  public struct Failure: Sendable, Equatable {
    public let name: String
    public let pValue: Double
    /// The arm that is furthest off, and by how many standard deviations.
    public let arm: Int
    public let score: Double
  }

  public let alpha: Double
  public let arms: Int
  public let valuesMax: Int
  private var monitors: [String: SampleRatioMonitor] = [:]
  /// Steps of values that there was no room for.
  public private(set) var unwatched = 0

  public init(arms: Int, alpha: Double = 0.01, valuesMax: Int = 1_000) throws(ExperimentError) {
    try ExperimentError.check(
      "valuesMax", Double(valuesMax), valuesMax >= 1 && valuesMax <= 100_000, "1 to 100,000")
    _ = try SampleRatioMonitor(arms: arms, alpha: alpha)
    self.arms = arms
    self.alpha = alpha
    self.valuesMax = valuesMax
  }

  /// Visitors of each arm with this value of a dimension, such as `device=phone`, since the last call.
  public mutating func add(
    _ name: String, visitors: [Int], probabilities: [Double]
  ) throws(ExperimentError) {
    if monitors[name] == nil {
      guard monitors.count < valuesMax else {
        unwatched += 1
        return
      }
      let place = Double(monitors.count + 1)
      monitors[name] = try SampleRatioMonitor(arms: arms, alpha: alpha / (place * (place + 1)))
    }
    guard var monitor = monitors.removeValue(forKey: name) else { return }
    defer { monitors[name] = monitor }
    try monitor.add(visitors: visitors, probabilities: probabilities)
  }

  /// Values at which arms differ from their due, the surest first.
  public var failures: [Failure] {
    monitors.filter(\.value.isMismatch).map { name, monitor in
      let worst = monitor.worstArm
      return Failure(name: name, pValue: monitor.pValue, arm: worst.arm, score: worst.score)
    }
    .sorted { ($0.pValue, $0.name) < ($1.pValue, $1.name) }
  }
}
