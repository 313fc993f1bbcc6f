/// What is known of somebody at some moment, prepared so that a content's features take a few look-ups each.
///
/// Kept and filled again: its buffers only grow.
public struct RankingContext: Sendable {
  public internal(set) var time = 0.0
  /// Whether anything is known of whom it is for.
  public internal(set) var isKnown = false
  var trending = Share()
  var popular = Share()
  /// How often each content followed, faded; of all that followed.
  var next = Followers()
  var near = Followers()
  /// By topic, or by format.
  var topics: [Float] = []
  var sessionTopics: [Float] = []
  var nextTopics: [Float] = []
  var formats: [Float] = []
  /// Sum of the last contents' vectors, of length 1; empty where there is none.
  var words: [SIMD16<Float>] = []

  public init() {}

  /// Shares of ``FadingCounts`` at one time, never 0.
  struct Share: Sendable {
    private var factor = 0.0
    private var rest = 0.0
    private var all = 1.0
    /// What a thing has before it has any visit: half of one, or of what things have on average.
    private static let first = 0.5

    init() {}

    init(_ counts: FadingCounts, at time: Double, things: Int) {
      factor = counts.factor(at: time)
      let sum = counts.sum * factor
      rest = Self.first * max(1, sum / Double(max(1, things)))
      all = sum + rest * Double(max(1, things))
    }

    func share(_ number: Int, of counts: FadingCounts) -> Double {
      (counts.value(number) * factor + rest) / all
    }
  }

  struct Followers: Sendable {
    private(set) var sums: [Float] = []
    private(set) var total = 0.0
    private var ofNone: Float = 0
    /// Followers by chance that are mixed in.
    private static let strength = 20.0

    mutating func reset(count: Int) {
      sums.removeAll(keepingCapacity: true)
      sums.append(contentsOf: repeatElement(0, count: count))
      total = 0
      ofNone = 0
    }

    mutating func add(
      _ table: CoVisitation, of item: Int, times weight: Double, at time: Double
    ) {
      total += table.addFollowers(of: item, times: weight, at: time, to: &sums)
    }

    mutating func finish() {
      ofNone = Float(Elementary.log(Self.strength / (total + Self.strength)))
    }

    /// ln of how much more often than by chance it follows.
    @inline(__always)
    func lift(_ item: Int, share: Double) -> Float {
      let sum = sums[item]
      guard sum > 0 else { return ofNone }
      return Float(
        Elementary.log((Double(sum) / share + Self.strength) / (total + Self.strength)))
    }
  }
}
