import Events
import Metrics

/// Counts stored events by what was said of their senders.
struct VerdictMeters: Sendable {
  private let person: Counter
  private let unjudged: Counter
  private let reasons: [(reason: BotReasons, counter: Counter)]

  init(_ metrics: MetricRegistry) {
    let family = metrics.counter(CollectorMetrics.verdicts)
    person = family.with("person")
    unjudged = family.with("not_judged")
    reasons = BotReasons.allNames.compactMap { name in
      BotReasons(name: name).map { ($0, family.with(name)) }
    }
  }

  /// What ``add(_:)`` is to count, gathered while the events are there.
  func tally(_ events: [IncomingEvent]) -> [UInt32: Int] {
    var tally: [UInt32: Int] = [:]
    for event in events { tally[event.bot, default: 0] += 1 }
    return tally
  }

  func add(_ tally: [UInt32: Int]) {
    for (encoded, count) in tally {
      let verdict = BotVerdict(encoded: encoded)
      if verdict.version == 0 {
        unjudged.add(count)
      } else if verdict.reasons.isEmpty {
        person.add(count)
      }
      for (reason, counter) in reasons where verdict.reasons.contains(reason) { counter.add(count) }
    }
  }
}
