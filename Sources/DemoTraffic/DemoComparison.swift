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
  /// Enough different people that every one of 16 partitions has some.
  private static let fenceEventCount = 256
  /// Counters follow with the next commit; they are asked for this long, microseconds.
  private static let accountingPatience: Int64 = 5_000_000
  private static let accountingInterval: Int64 = 100_000

  /// A collector's spool is drained once its log is back; it is waited for this long, microseconds.
  private static let spoolPatience: Int64 = 60_000_000

  private let options: DemoOptions
  private let query: DemoQuery
  private let client: HTTPClient
  private let before: DemoTruth
  private let accountingBefore: DemoAccounting

  /// Asks for the counts of the campaigns that a run with these options has, everything that was
  /// accepted until now included.
  public init(_ options: DemoOptions) throws(DemoError) {
    self.options = options
    let now = DemoClock.now()
    let today = now / Self.day * Self.day
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
    let accounting = Self.accounting(query.url, client)
    let position = try Self.fence(options, now: now, client: client)
    before = try query.run(after: position, client: client)
    accountingBefore = Self.accounting(
      query.url, client, since: accounting, count: Self.fenceEventCount)
  }

  /// Waits until the read models cover the run, and compares.
  public func compare(_ outcome: DemoOutcome) throws(DemoError) -> DemoComparison {
    let facets = outcome.facets
    let accounting = Self.accounting(
      query.url, client, since: accountingBefore,
      count: outcome.acknowledgedEventCount + facets.resentEvents + facets.malformedEvents
        + facets.malformedBodies)
    var position = outcome.position
    if outcome.spooledRequestCount > 0 {
      position = try Self.fence(options, now: DemoClock.now(), client: client) ?? position
    }
    let after = try query.run(after: position, client: client)
    return DemoComparison(
      truth: outcome.truth, answer: after.since(before),
      accounting: accounting.pipelines.isEmpty ? nil : accounting.since(accountingBefore))
  }

  /// Sends events that no metric counts to every partition, until they pass by the collector's spool, in
  /// which they would stand behind whatever waits there.
  ///
  /// - Returns: a position that covers whatever was accepted before; nil where the spool is not drained.
  private static func fence(
    _ options: DemoOptions, now: Int64, client: HTTPClient
  ) throws(DemoError) -> Position? {
    let place = DemoPlace(campaign: "", content: "", variant: "", channel: "")
    let events = (0..<fenceEventCount).map { number in
      DemoEvent(
        id: "fence-\(String(now, radix: 36))-\(number)", action: .identify, place: place,
        person: DemoPerson(anonymousID: "fence-\(number)"), time: now - now % 1_000, timing: .live)
    }
    let request = DemoWire(writeKey: options.writeKey).batch(events, sentAt: now)
    let deadline = DemoClock.monotonic() + spoolPatience
    while true {
      let answer: HTTPAnswer
      do throws(HTTPClientError) {
        answer = try client.post(
          options.url + request.target, headers: request.headers, body: request.body)
      } catch {
        throw .unreachable(error)
      }
      switch answer.status {
      case 200:
        if let position = DemoConnection.position(in: answer) { return position }
        if DemoClock.monotonic() > deadline { return nil }
        DemoClock.sleep(micros: accountingInterval)
      case 401, 403: throw .keyRefused(status: answer.status, body: answer.text)
      default: throw .ingestRefused(status: answer.status, body: answer.text)
      }
    }
  }

  /// The processor's figures once `count` events have been added to `earlier`, or after a while.
  private static func accounting(
    _ url: String, _ client: HTTPClient, since earlier: DemoAccounting, count: Int
  ) -> DemoAccounting {
    let deadline = DemoClock.monotonic() + accountingPatience
    while true {
      let accounting = accounting(url, client)
      if accounting.pipelines.isEmpty || accounting.since(earlier).received >= count
        || DemoClock.monotonic() > deadline
      {
        return accounting
      }
      DemoClock.sleep(micros: accountingInterval)
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
