import Events
import HTTPClient

/// The truth of a run against what the query API answers for it.
public struct DemoComparison: Sendable {
  public var truth: DemoTruth
  public var answer: DemoTruth

  /// Places where the two differ, in order.
  public var differences: [DemoPlace] {
    Set(truth.places.keys).union(answer.places.keys).sorted().filter { place in
      truth.places[place] ?? DemoTruth.Counts() != answer.places[place] ?? DemoTruth.Counts()
    }
  }

  public var isEqual: Bool { differences.isEmpty }
}

/// Looks at the query API before and after a run, so that earlier runs don't matter.
public struct DemoObserver {
  /// Longer than the latest event of the demo is late, and in whole days so that every level of
  /// windows can serve it; microseconds.
  private static let day: Int64 = 86_400_000_000
  private static let daysBack: Int64 = 3
  private static let daysAhead: Int64 = 2

  private let query: DemoQuery
  private let client: HTTPClient
  private let before: DemoTruth

  /// Asks for the present counts of the campaigns that a run with these options has.
  public init(_ options: DemoOptions) throws(DemoError) {
    let today = DemoClock.now() / Self.day * Self.day
    let generator = DemoGenerator(
      seed: options.seed, run: "", label: options.label, writeKey: options.writeKey)
    query = DemoQuery(
      url: options.queryURL, token: options.queryToken, campaigns: generator.campaigns,
      from: today - Self.daysBack * Self.day, to: today + Self.daysAhead * Self.day)
    do throws(HTTPClientError) {
      client = try HTTPClient(HTTPClientSettings(timeoutMs: 60_000))
    } catch {
      throw .unreachable(error)
    }
    before = try query.run(after: nil, client: client)
  }

  /// Waits until the read models cover the run, and compares.
  public func compare(_ outcome: DemoOutcome) throws(DemoError) -> DemoComparison {
    let after = try query.run(after: outcome.position, client: client)
    return DemoComparison(truth: outcome.truth, answer: after.since(before))
  }
}
