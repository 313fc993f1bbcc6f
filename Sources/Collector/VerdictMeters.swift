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
  func tally(_ events: EventBatch) -> [(verdict: UInt32, count: Int)] {
    var tally: [(verdict: UInt32, count: Int)] = []
    // The events of a request are mostly alike.
    for index in events.indices {
      let verdict = events.verdict(index)
      if let last = tally.last, last.verdict == verdict {
        tally[tally.count - 1].count += 1
      } else {
        tally.append((verdict, 1))
      }
    }
    return tally
  }

  func add(_ tally: [(verdict: UInt32, count: Int)]) {
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
