/// Visitors of each arm who came by the same probabilities, as a ``SampleRatioMonitor`` takes them.
public struct SampleRatioStep: Sendable, Equatable {
  /// What is known of all of these visitors in one dimension, such as that they came by mail.
  public struct Value: Sendable, Hashable, Comparable {
    public var dimension: String
    /// Empty where there is none.
    public var value: String

    public init(_ dimension: String, _ value: String) {
      self.dimension = dimension
      self.value = value
    }

    public static func < (left: Self, right: Self) -> Bool {
      (left.dimension, left.value) < (right.dimension, right.value)
    }
  }

  /// Of the window in which they came, microseconds since the epoch.
  public var start: Int64
  /// One of each dimension, coarse ones first.
  public var values: [Value]
  public var visitors: [Int]
  /// As logged at the assignment; none where nothing was logged: those that were declared then.
  public var probabilities: [Double]

  public init(start: Int64, values: [Value], visitors: [Int], probabilities: [Double]) {
    self.start = start
    self.values = values
    self.visitors = visitors
    self.probabilities = probabilities
  }
}
