import Events
import HTTPClient

/// The truth of a run against what the query API answers for it.
public struct DemoComparison: Sendable {
  public var truth: DemoTruth
  public var answer: DemoTruth
  /// nil where the processor's metrics are not to be had.
  var accounting: DemoAccounting?

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
  private let accountingBefore: DemoAccounting
  /// Counters follow with the next commit; they are asked for this long, microseconds.
  private static let accountingPatience: Int64 = 5_000_000
  private static let accountingInterval: Int64 = 100_000

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
    accountingBefore = Self.accounting(query.url, client)
  }

  /// Waits until the read models cover the run, and compares.
  public func compare(_ outcome: DemoOutcome) throws(DemoError) -> DemoComparison {
    let after = try query.run(after: outcome.position, client: client)
    return DemoComparison(
      truth: outcome.truth, answer: after.since(before), accounting: accounting(of: outcome))
  }

  private func accounting(of outcome: DemoOutcome) -> DemoAccounting? {
    let facets = outcome.facets
    let sent =
      outcome.acknowledgedEventCount + facets.resentEvents + facets.malformedEvents
      + facets.malformedBodies
    let deadline = DemoClock.monotonic() + Self.accountingPatience
    while true {
      let accounting = Self.accounting(query.url, client)
      if accounting.pipelines.isEmpty { return nil }
      let difference = accounting.since(accountingBefore)
      if difference.received >= sent || DemoClock.monotonic() > deadline { return difference }
      DemoClock.sleep(micros: Self.accountingInterval)
    }
  }

  /// Empty where there are no such metrics.
  private static func accounting(_ url: String, _ client: HTTPClient) -> DemoAccounting {
    do throws(HTTPClientError) {
      let answer = try client.get("\(url)/metrics")
      return answer.status == 200 ? DemoAccounting(metrics: answer.text) : DemoAccounting()
    } catch {
      // Only shown; the comparison has its own request, which says what is wrong.
      return DemoAccounting()
    }
  }
}
