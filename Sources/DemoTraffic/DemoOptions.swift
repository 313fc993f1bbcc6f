/// What a demo run does.
public struct DemoOptions: Sendable {
  /// Of the collector, without a slash at the end.
  public var url: String
  /// Of the query API; the same as ``url`` where one process has both.
  public var queryURL: String
  public var writeKey: String
  /// A bearer token for the query API, where it wants one.
  public var queryToken: String?
  /// Events per second; 0 for as fast as possible.
  public var rate: Double
  public var seed: UInt64
  /// Seconds; nil until it is stopped.
  public var durationSeconds: Double?
  /// Events; nil for no limit.
  public var eventCountMax: Int?
  /// Part of the campaigns' names; runs at the same time need different ones to compare.
  public var label: String
  /// HTTP connections, each with a thread of its own; 1 to 64.
  public var connectionCount: Int
  /// Whether an experiment with two of the campaigns' variants is declared and started.
  public var hasExperiment: Bool

  public init(
    url: String, writeKey: String, queryURL: String? = nil, queryToken: String? = nil,
    rate: Double = 200, seed: UInt64 = 1, durationSeconds: Double? = nil,
    eventCountMax: Int? = nil, label: String = "", connectionCount: Int = 4,
    hasExperiment: Bool = false
  ) {
    precondition((1...64).contains(connectionCount) && rate >= 0)
    self.url = url
    self.writeKey = writeKey
    self.queryURL = queryURL ?? url
    self.queryToken = queryToken
    self.rate = rate
    self.seed = seed
    self.durationSeconds = durationSeconds
    self.eventCountMax = eventCountMax
    self.label = label
    self.connectionCount = connectionCount
    self.hasExperiment = hasExperiment
  }
}
