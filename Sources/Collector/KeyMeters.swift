import Metrics
import Synchronization

/// The counters of one write key.
final class KeyMeter: Sendable {
  /// The key's id, or a word for many keys.
  let label: String
  /// 1 to ``KeyMeters/keysMax`` + 1; tells it apart from the others, see ``LaneShares``.
  let number: Int
  let events: Counter
  /// Steady time until which the key's requests are refused unread: its share was exceeded a moment ago.
  fileprivate let pausedUntil = Atomic<Int64>(.min)

  fileprivate init(_ label: String, number: Int, _ events: MetricFamily<Counter>) {
    self.label = label
    self.number = number
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
  /// The last of all keys, so that nothing is looked up while none is paused.
  private let anyPausedUntil = Atomic<Int64>(.min)

  init(_ metrics: MetricRegistry) {
    events = metrics.counter(CollectorMetrics.keyEvents)
    others = KeyMeter(Self.other, number: 1, events)
  }

  /// About 60 ns; once per request.
  func meter(of key: WriteKey) -> KeyMeter {
    known.withLock { known in
      if let meter = known[key.id] { return meter }
      guard known.count < Self.keysMax else { return others }
      let meter = KeyMeter(key.id, number: known.count + 2, events)
      known[key.id] = meter
      return meter
    }
  }

  /// Requests of the key are refused before they are read until then: what is parsed to be refused takes
  /// processor time from the others.
  func pause(_ meter: KeyMeter, untilMicros: Int64) {
    meter.pausedUntil.store(untilMicros, ordering: .relaxed)
    anyPausedUntil.max(untilMicros, ordering: .relaxed)
  }

  /// - Parameter nowMicros: steady time; asked for only if a key was ever paused.
  func isAnyPaused(nowMicros: () -> Int64) -> Bool {
    let until = anyPausedUntil.load(ordering: .relaxed)
    return until != .min && until > nowMicros()
  }

  func isPaused(_ key: WriteKey, nowMicros: Int64) -> Bool {
    known.withLock { $0[key.id] }.map {
      $0.pausedUntil.load(ordering: .relaxed) > nowMicros
    } ?? false
  }
}
