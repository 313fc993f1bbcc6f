/// Visitors of each arm who came by the same probabilities, as a ``SampleRatioMonitor`` takes them.
public struct SampleRatioStep: Sendable, Equatable {
  /// Of the window in which they came, microseconds since the epoch.
  public var start: Int64
  /// By which they came, such as a mail's; empty where there is none.
  public var channel: String
  public var visitors: [Int]
  /// As logged at the assignment.
  public var probabilities: [Double]

  public init(start: Int64, channel: String, visitors: [Int], probabilities: [Double]) {
    self.start = start
    self.channel = channel
    self.visitors = visitors
    self.probabilities = probabilities
  }
}
