public import Learning
public import Logging
public import Metrics
import Synchronization

/// Sees in models how retractions are carried out: how long those that depend on the order took to learn again, and
/// which retractions came too late. On the thread that learns.
public final class RetractionWatch: Sendable {
  private struct Seen: Sendable {
    /// Since when something is learned again.
    var begins: [String: ContinuousClock.Instant] = [:]
    var tooLate: [String: UInt64] = [:]
  }

  private let seconds: Histogram
  private let logger: Logger
  private let seen = Mutex(Seen())

  public init(registry: MetricRegistry, logger: Logger) {
    seconds = registry.histogram(PolicyMetrics.rerunSeconds).with()
    self.logger = logger
  }

  public func take(_ models: DecisionModels) {
    for (plan, learning) in models.learning {
      let (begun, tooLate) = seen.withLock { seen in
        let begun = seen.begins[plan]
        if learning.isRerunning {
          seen.begins[plan] = begun ?? .now
        } else {
          seen.begins[plan] = nil
        }
        let before = seen.tooLate.updateValue(learning.counts.retractedTooLate, forKey: plan) ?? 0
        return (begun, learning.counts.retractedTooLate &- before)
      }
      if let begun, !learning.isRerunning {
        seconds.observe(begun.duration(to: .now) / .seconds(1))
      }
      // A process that begins anew counts anew.
      if tooLate > 0, tooLate < .max / 2 {
        logger.notice(
          "retractions of decisions that were settled long ago: they stay learned until the log was read again",
          metadata: [
            "plan": "\(plan)", "retractions": "\(tooLate)",
            "kept": "\(PlanLearning.retractableCount)",
          ])
      }
    }
  }
}
