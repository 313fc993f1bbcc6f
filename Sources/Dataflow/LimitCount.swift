/// How often a limit of an operator had a consequence.
public struct LimitCount: Hashable, Sendable {
  public var `operator`: String
  /// `untracked`, `refused`, `refused_unions`, `forgotten_exposures`, `overflowed`, `too_late` or `unknown`.
  public var consequence: String
  /// Since the beginning of the log.
  public var count: Int64

  public init(_ operator: String, _ consequence: String, _ count: Int64) {
    self.operator = `operator`
    self.consequence = consequence
    self.count = count
  }
}
