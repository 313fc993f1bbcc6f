import Metrics

/// The counters of one protocol, looked up once.
final class IngestMeters: Sendable {
  let name: String
  let stored: Counter
  let rejectedRequests: Counter
  let unknownKey: Counter
  let limited: Counter
  let refused: Counter
  let unavailable: Counter
  let events: Counter
  let unnamed: Counter
  private let rejected: MetricFamily<Counter>
  private let reasons: MetricFamily<Counter>
  let debugger: EventDebugger?

  init(
    name: String, requests: MetricFamily<Counter>, events: MetricFamily<Counter>,
    unnamed: MetricFamily<Counter>,
    rejected: MetricFamily<Counter>, reasons: MetricFamily<Counter>, debugger: EventDebugger?
  ) {
    self.name = name
    self.debugger = debugger
    stored = requests.with(name, "stored")
    rejectedRequests = requests.with(name, "rejected")
    unknownKey = requests.with(name, "unknown_key")
    limited = requests.with(name, "limited")
    refused = requests.with(name, "refused")
    unavailable = requests.with(name, "unavailable")
    self.events = events.with(name)
    self.unnamed = unnamed.with(name)
    self.rejected = rejected
    self.reasons = reasons
  }

  /// An event went to the dead letters.
  func countRejection(_ reason: String, _ key: KeyMeter) {
    rejected.with(name, key.label, reason).add()
  }

  /// Nothing of a request was stored.
  func countRejection(_ reason: String, key: String = KeyMeters.unknown, detail: String = "") {
    reasons.with(name, key, reason).add()
    debugger?.refused(name, reason, key: key, detail: detail)
  }
}
