/// How a pipeline counts exposures to the variants of campaigns. Durations are microseconds of event
/// time.
public struct ExperimentPolicy: Hashable, Sendable {
  /// How long after the exposure clicks and conversions on the campaign count as its result.
  public var outcomeWindow: Int64
  /// How long before the exposure what a person did is its baseline.
  public var lookBack: Int64
  /// How long a person counts as exposed to a campaign: the first touch after that exposes it anew.
  public var memory: Int64

  /// The most campaigns of one person that are remembered after its touches have left state; the longest
  /// ago are forgotten, which is counted.
  public static let anchorCountMax = 64

  public init(
    outcomeWindow: Int64 = 3_600_000_000, lookBack: Int64 = 7 * 86_400_000_000,
    memory: Int64 = 90 * 86_400_000_000
  ) {
    self.outcomeWindow = outcomeWindow
    self.lookBack = lookBack
    self.memory = memory
  }

  /// From the earliest touch that has to do with an exposure to the latest.
  var reach: Int64 { lookBack + outcomeWindow }
}
