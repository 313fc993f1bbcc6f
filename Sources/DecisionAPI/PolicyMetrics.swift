public import Learning
public import Metrics

/// Metrics of how the policies of plans do: estimated all the time from the decisions that are made.
public enum PolicyMetrics {
  public static let value = MetricDeclaration(
    "smartcontent_decision_policy_value",
    "What a shadow policy would earn per decision, and what is earned (policy served): the estimate from all decisions"
      + " until now (estimate by self-normalised inverse propensities, dr doubly robust, switch_dr), and, from those whose reward"
      + " window is over, the lower and upper ends of intervals of 95 % that may be looked at any time, by inverse propensities and dr.",
    .gauge,
    labels: ["plan", "policy", "bound"])
  public static let advantage = MetricDeclaration(
    "smartcontent_decision_policy_advantage",
    "What a shadow policy would earn more per decision than is earned: the ends of an interval of 95 % that holds for"
      + " all shadows of the plan at any time. One whose lower end is above 0 may take over.",
    .gauge, labels: ["plan", "policy", "bound"])
  public static let scored = MetricDeclaration(
    "smartcontent_decision_policy_scored",
    "Decisions of the present policy whose reward window is over, from which shadows are judged.",
    .gauge, labels: ["plan"])
  public static let deciding = MetricDeclaration(
    "smartcontent_decision_policy_deciding",
    "1 for the policy of a plan that decides: declared, or the shadow that was promoted.", .gauge,
    labels: ["plan", "policy"])

  public static let retractions = MetricDeclaration(
    "smartcontent_decision_retractions_total",
    "Retractions of decisions: taken_back, and too_late where a decision, or some of a person, were settled so long ago that the"
      + " log is read again without them.", .counter, labels: ["plan", "outcome"])
  public static let pending = MetricDeclaration(
    "smartcontent_decision_retractions_pending",
    "Retractions that the newest model, or the newest intervals of shadows, do not know of yet.",
    .gauge, labels: ["plan"])
  public static let reruns = MetricDeclaration(
    "smartcontent_decision_reruns_total",
    "How often those that depend on the order of decisions have learned again after retractions.",
    .counter, labels: ["plan"])
  public static let rerunSeconds = MetricDeclaration(
    "smartcontent_decision_rerun_seconds",
    "Time from a retraction of a settled decision until those that depend on the order have learned without it.",
    .histogram(bounds: [1, 5, 10, 15, 20, 30, 60, 120]))

  static let all = [
    value, advantage, scored, deciding, retractions, pending, reruns, rerunSeconds,
  ]

  /// - Parameter models: the newest; nil before anything is learned.
  public static func register(
    _ registry: MetricRegistry, models: @escaping @Sendable () -> DecisionModels?
  ) {
    func gauge(
      _ declaration: MetricDeclaration,
      _ samples: @escaping @Sendable (DecisionPlan, PlanLearning) -> [MetricSample]
    ) {
      registry.computed(declaration) {
        guard let models = models() else { return [] }
        return models.learning.sorted { $0.key < $1.key }.flatMap { id, learning in
          models.plans[id].map { samples($0.plan, learning) } ?? []
        }
      }
    }
    gauge(value) { plan, learning in
      let served = [
        ("estimate", learning.earnedSoFar), ("lower", learning.servedLower),
        ("upper", learning.servedUpper),
      ].map {
        MetricSample([plan.id, "served", $0.0], $0.1)
      }
      let estimates = zip(plan.shadows, learning.soFar).flatMap { shadow, estimate in
        let plain = [("estimate", estimate.selfNormalized)]
        let robust = [("dr", estimate.doublyRobust), ("switch_dr", estimate.switchDoublyRobust)]
        return (estimate.modelled > 0 ? plain + robust : plain).map {
          MetricSample([plan.id, shadow.name, $0.0], $0.1)
        }
      }
      return served + estimates
        + shadows(plan, learning) {
          [
            ("lower", $0.lower), ("upper", $0.upper), ("dr_lower", $0.robustLower),
            ("dr_upper", $0.robustUpper),
          ]
        }
    }
    gauge(advantage) { plan, learning in
      shadows(plan, learning) {
        [("lower", $0.advantageLower), ("upper", $0.advantageUpper)]
      }
    }
    gauge(scored) { plan, learning in
      learning.shadows.first.map { [MetricSample([plan.id], Double($0.decisions))] } ?? []
    }
    gauge(retractions) { plan, learning in
      [
        MetricSample([plan.id, "taken_back"], Double(learning.counts.retracted)),
        MetricSample([plan.id, "too_late"], Double(learning.counts.retractedTooLate)),
      ]
    }
    gauge(pending) { [MetricSample([$0.id], Double($1.pendingRetractions))] }
    gauge(reruns) { [MetricSample([$0.id], Double($1.reruns))] }
    gauge(deciding) { plan, learning in
      let policy = learning.promotion?.policy ?? DecisionPlan.declaredName
      return [MetricSample([plan.id, policy], 1)]
    }
  }

  private static func shadows(
    _ plan: DecisionPlan, _ learning: PlanLearning,
    _ bounds: (ShadowReport) -> [(String, Double)]
  ) -> [MetricSample] {
    zip(plan.shadows, learning.shadows).flatMap { shadow, report in
      bounds(report).map { MetricSample([plan.id, shadow.name, $0.0], $0.1) }
    }
  }
}
