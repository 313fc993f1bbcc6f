import Logging
import Metrics
import Ports
import Threads

/// Tells one receiver what it is owed, on a thread of its own, in the process that has taken the receiver.
///
///     take ──► owed ──► tell ──► note          another process has it: look again in two seconds
///       ▲       │         └─ refused, away: RetryPlan
///       └───────┴── Postgres is away: again in a second
///
/// At least once: a process that dies between the receiver's 2xx and the note of it sends the message again,
/// with the same id. What is noted is never sent again. Memory: at most ``owedMax`` notices.
final class ReceiverLoop: Sendable {
  static let owedMax = 64
  private static let pauseMs = 1_000
  private static let elsewhereMs = 2_000

  private let terms: ReceiverTerms
  private let makeLedger: @Sendable () throws(ViewStoreError) -> any IncidentLedger
  private let makeReceiver: @Sendable () -> any IncidentReceiver
  private let metrics: NotificationMetrics
  private let log: Logger
  private let clockMs: @Sendable () -> Int64
  private let stop: StopFlag

  init(
    _ terms: ReceiverTerms,
    ledger: @escaping @Sendable () throws(ViewStoreError) -> any IncidentLedger,
    receiver: @escaping @Sendable () -> any IncidentReceiver, metrics: NotificationMetrics,
    log: Logger, clockMs: @escaping @Sendable () -> Int64, stop: StopFlag
  ) {
    self.terms = terms
    makeLedger = ledger
    makeReceiver = receiver
    self.metrics = metrics
    self.log = log
    self.clockMs = clockMs
    self.stop = stop
  }

  func run() {
    do throws(ViewStoreError) {
      let ledger = try makeLedger()
      var state = State(receiver: makeReceiver())
      while !stop.isSet {
        let waitMs = turn(ledger, &state)
        if waitMs > 0, stop.wait(milliseconds: waitMs) { return }
      }
    } catch {
      say(.error, "cannot be told of incidents", "\(error)")
    }
  }

  struct State {
    let receiver: any IncidentReceiver
    var plan = RetryPlan()
    /// What was said last, so that it is said once.
    var problem: String?
  }

  /// - Returns: how long to wait before the next turn, milliseconds.
  func turn(_ ledger: any IncidentLedger, _ state: inout State) -> Int {
    do throws(ViewStoreError) {
      switch try ledger.take() {
      case .elsewhere:
        metrics.owes(0, to: terms.name)
        return Self.elsewhereMs
      case .ended:
        metrics.ended(terms.name)
        return Self.elsewhereMs
      case .taken: break
      }
      let owed = try ledger.owed(limit: Self.owedMax)
      metrics.owes(owed.count, to: terms.name)
      state.plan.keep(only: Set(owed.map(\.messageID)))
      var settled = 0
      for notice in owed {
        if stop.isSet || state.plan.isResting(now: clockMs()) { break }
        guard state.plan.isDue(notice.messageID, now: clockMs()) else { continue }
        switch try tell(notice, ledger, &state) {
        case .isSettled: settled += 1
        case .isOwed: continue
        case .isOver: return Self.elsewhereMs
        }
      }
      metrics.owes(owed.count - settled, to: terms.name)
      // More may be owed than was looked at.
      return settled > 0 && owed.count == Self.owedMax ? 0 : Self.pauseMs
    } catch {
      explain("\(error)", &state)
      return Self.pauseMs
    }
  }

  /// What became of one notice.
  private enum Outcome {
    case isSettled, isOwed
    /// The receiver is told nothing any more.
    case isOver
  }

  private func tell(
    _ notice: IncidentNotice, _ ledger: any IncidentLedger, _ state: inout State
  ) throws(ViewStoreError) -> Outcome {
    switch state.receiver.tell(notice) {
    case .accepted(let sequence):
      try ledger.note(notice, sequence: sequence)
      state.plan.accepted(notice.messageID)
      if state.problem != nil { say(.notice, "takes incidents again", "") }
      state.problem = nil
      metrics.told(terms.name, .accepted)
      return .isSettled
    case .refused(let reason):
      metrics.told(terms.name, .refused)
      explain(reason, &state)
      guard state.plan.refused(notice.messageID, now: clockMs()) else { return .isOwed }
      try ledger.note(notice, sequence: notice.told?.sequence ?? 0)
      metrics.told(terms.name, .givenUp)
      say(.error, "was not told of \(notice.messageID), which it refused each time", reason)
      return .isSettled
    case .away(let reason, let afterMs):
      metrics.told(terms.name, .away)
      explain(reason, &state)
      state.plan.wasAway(notice.messageID, afterMs: afterMs, now: clockMs())
      return .isOwed
    case .gone:
      try ledger.end()
      metrics.ended(terms.name)
      say(
        .error, "wants to be told nothing any more (410)",
        "give it another url or name in Streams/notifications.yaml, or remove it there")
      return .isOver
    }
  }

  private func explain(_ reason: String, _ state: inout State) {
    guard state.problem != reason else { return }
    state.problem = reason
    say(.warning, "does not take incidents now; it is tried again", reason)
  }

  private func say(_ level: Logger.Level, _ what: String, _ why: String) {
    log.log(
      level: level, "receiver \(terms.name) \(what)",
      metadata: why.isEmpty ? nil : ["why": "\(why)"])
  }
}
