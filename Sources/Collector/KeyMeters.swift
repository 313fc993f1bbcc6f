import Metrics
import Synchronization

/// The counters of one write key.
final class KeyMeter: Sendable {
  /// The key's id, or a word for many keys.
  let label: String
  let events: Counter

  fileprivate init(_ label: String, _ events: MetricFamily<Counter>) {
    self.label = label
    self.events = events.with(label)
  }
}

/// Counts by write key, by their ids and never by the keys themselves.
///
/// The first ``keysMax`` keys that send anything have series of their own; all others share one, so
/// that the number of series is bounded however many keys there are.
final class KeyMeters: Sendable {
  static let keysMax = 50
  /// The label of requests whose key is not known.
  static let unknown = "none"
  static let other = "other"

  private let events: MetricFamily<Counter>
  private let others: KeyMeter
  private let known = Mutex<[String: KeyMeter]>([:])

  init(_ metrics: MetricRegistry) {
    events = metrics.counter(CollectorMetrics.keyEvents)
    others = KeyMeter(Self.other, events)
  }

  /// About 60 ns; once per request.
  func meter(of key: WriteKey) -> KeyMeter {
    known.withLock { known in
      if let meter = known[key.id] { return meter }
      guard known.count < Self.keysMax else { return others }
      let meter = KeyMeter(key.id, events)
      known[key.id] = meter
      return meter
    }
  }
}
