import Events
import HTTPClient

/// Sends the demo's traffic through the collector's HTTP door.
///
///     generator --(pacing thread, by the clock)--> queue --> connections --> collector
///                                                                 \--> tally: truth, position
///
/// The traffic itself is a pure function of the seed (``DemoGenerator``); only its pace, its times
/// and what is acknowledged come from here.
public final class DemoRunner: Sendable {
  /// Requests that wait for a connection.
  private static let queueCountMax = 256
  /// How long requests without an acknowledgement are sent again after the last event, microseconds.
  private static let grace: Int64 = 60_000_000
  private static let slice: Int64 = 50_000

  private let options: DemoOptions
  private let stopping = StopSignal()

  public init(_ options: DemoOptions) {
    self.options = options
  }

  /// Ends a run from any thread: no new events, and requests under way are finished.
  ///
  /// - Parameter graceSeconds: how long requests without an acknowledgement are still sent again;
  ///   0 where nobody wants the numbers.
  public func stop(graceSeconds: Double = 60) {
    stopping.stop(graceMicros: Int64(graceSeconds * 1_000_000))
  }

  /// From now on Ctrl-C and SIGTERM end the run as ``stop(graceSeconds:)`` does; a second one ends
  /// the process. For commands that have the process to themselves.
  public func stopOnInterrupt() {
    InterruptSignals.forward(to: stopping, graceMicros: Self.grace)
  }

  /// Runs on the calling thread until the duration or the number of events is reached, or until
  /// ``stop(graceSeconds:)``; then once: a runner is for one run.
  public func run() throws(DemoError) -> DemoOutcome {
    let tally = DemoTally()
    let queue = RequestQueue(countMax: Self.queueCountMax)
    var clients: [HTTPClient] = []
    for _ in 0..<options.connectionCount { clients.append(try Self.client()) }
    if options.hasExperiment {
      try DemoExperiment(label: options.label).declare(options, client: try Self.client())
    }
    let threads = clients.map { client in
      let connection = DemoConnection(
        url: options.url, client: client, tally: tally, stopping: stopping)
      // The client is used by this one thread from here on.
      let owned = Owned(connection)
      return WorkerThread {
        while let request = queue.next() {
          if tally.failure == nil { owned.value.send(request) }
        }
      }
    }

    let start = DemoClock.monotonic()
    var generator = DemoGenerator(
      seed: options.seed, run: String(DemoClock.now(), radix: 36), label: options.label,
      writeKey: options.writeKey)
    let eventCount = pace(&generator, from: start, into: queue, tally: tally)
    stopping.stop(graceMicros: Self.grace)
    for request in generator.finish(now: DemoClock.now()) { queue.append(request) }
    queue.end()
    for thread in threads { thread.join() }

    if let failure = tally.failure { throw failure }
    var outcome = tally.outcome
    outcome.facets = generator.facets
    outcome.eventCount = eventCount
    outcome.seconds = Double(DemoClock.monotonic() - start) / 1_000_000
    return outcome
  }

  /// - Returns: the number of events made.
  private func pace(
    _ generator: inout DemoGenerator, from start: Int64, into queue: RequestQueue,
    tally: DemoTally
  ) -> Int {
    let end = options.durationSeconds.map { start + Int64($0 * 1_000_000) } ?? .max
    let eventCountMax = options.eventCountMax ?? .max
    let interval = options.rate > 0 ? 1_000_000 / options.rate : 0
    var eventCount = 0
    while eventCount < eventCountMax, !stopping.isStopped, tally.failure == nil {
      let due = start + Int64(Double(eventCount) * interval)
      let now = DemoClock.monotonic()
      guard max(now, due) < end else {
        // The last moments of a slow run have no event any more.
        if now < end { DemoClock.sleep(micros: min(end - now, Self.slice)) } else { break }
        continue
      }
      guard now >= due else {
        DemoClock.sleep(micros: min(due - now, Self.slice))
        continue
      }
      for request in generator.step(now: DemoClock.now()) { queue.append(request) }
      eventCount += 1
    }
    return eventCount
  }

  private static func client() throws(DemoError) -> HTTPClient {
    do throws(HTTPClientError) { return try HTTPClient() } catch { throw .unreachable(error) }
  }

  /// `@unchecked Sendable`: made by one thread and handed to exactly one other.
  private struct Owned<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
  }
}
