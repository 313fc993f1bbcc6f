import Glibc
public import Logging
public import Metrics
public import Ports
import Threads
import Views

/// Tells the log of facts and the webhooks what becomes of incidents.
///
/// Each receiver has a thread and a ledger of its own, so that one that is slow holds up no other. Any number
/// of processes may run followers: of each receiver one of them holds the ledger's lock.
public final class IncidentFollower: Sendable {
  /// The log of facts among the receivers; no webhook is called so.
  public static let factsName = "facts"

  /// Opens what was told to a receiver, for the thread that calls it.
  public typealias LedgerMaker =
    @Sendable (_ terms: ReceiverTerms, _ isStopping: @escaping @Sendable () -> Bool)
    throws(ViewStoreError) -> any IncidentLedger

  private let loops: [ReceiverLoop]
  private let stopFlag = StopFlag()
  private let ends: [Bell]

  public init(
    facts: any FactLog, webhooks: [WebhookTarget], ledger: @escaping LedgerMaker,
    registry: MetricRegistry, log: Logger,
    clock: @escaping @Sendable () -> Int64 = IncidentFollower.systemClock
  ) {
    let metrics = NotificationMetrics(registry)
    let stop = stopFlag
    var receivers: [(terms: ReceiverTerms, make: @Sendable () -> any IncidentReceiver)] = [
      (ReceiverTerms.everything(name: Self.factsName), { FactReceiver(facts) })
    ]
    for webhook in webhooks {
      precondition(webhook.name != Self.factsName, "the log of facts has this name")
      receivers.append(
        (
          ReceiverTerms(
            name: webhook.name, target: webhook.url, severity: webhook.severity,
            sites: webhook.sites),
          { WebhookReceiver(webhook, clock: clock) }
        ))
    }
    loops = receivers.map { receiver in
      metrics.declare(receiver.terms.name)
      return ReceiverLoop(
        receiver.terms,
        ledger: { () throws(ViewStoreError) in try ledger(receiver.terms) { stop.isSet } },
        receiver: receiver.make, metrics: metrics, log: log, clockMs: Self.monotonicMs, stop: stop)
    }
    ends = receivers.map { _ in Bell() }
  }

  public func start() {
    for (loop, end) in zip(loops, ends) {
      LoopThread(name: "incidents") {
        loop.run()
        end.ring()
      }.detach()
    }
  }

  /// Lets each receiver end what it is about, as far as there is time.
  public func stop(withinMs deadlineMs: Int) {
    stopFlag.set()
    let deadline = Self.monotonicMs() + Int64(deadlineMs)
    for end in ends { end.wait(milliseconds: max(0, Int(deadline - Self.monotonicMs()))) }
  }

  /// The machine's clock, microseconds since the epoch.
  public static let systemClock: @Sendable () -> Int64 = {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
  }

  private static let monotonicMs: @Sendable () -> Int64 = {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
  }
}
