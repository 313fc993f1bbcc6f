import Foundation
import Statistics

/// Our figures for a golden entry, in the order of the names of its expected ones.
enum GoldenFigures {
  /// Nothing where we have no such thing.
  static func compute(_ entry: GoldenEntry) throws -> [Double]? {
    let parts = entry.kind.split(separator: "/").map(String.init)
    switch parts[0] {
    case "welch_two_sided", "welch_greater", "asymp_cs_two_sided", "asymp_cs_greater",
      "cuped_welch", "cuped_asymp_cs", "ratio_delta_welch", "ratio_delta_asymp_cs":
      return try test(entry, parts)
    case "bayes_gaussian_effect": return try belief(entry, parts)
    case "srm_chi2":
      let visitors = try entry.numbers("users").map { Int($0) }
      let weights = try entry.numbers("weights")
      return [try ChiSquaredTest.pValue(visitors: visitors, weights: weights)]
    case "betting_cs_hedged(breaks=1000)": return try betting(entry)
    case "predmix_empirical_bernstein_cs": return try bernstein(entry)
    default: return try bound(entry)
    }
  }

  private static func arms(_ entry: GoldenEntry, _ parts: [String]) throws -> (
    control: ArmSummary, treatment: ArmSummary
  ) {
    if parts[0].hasPrefix("cuped") {
      let arms = try [joint(entry, "a", "post", "pre"), joint(entry, "b", "post", "pre")]
      return RegressionAdjustment.arms(control: arms[0], treatment: arms[1])
    }
    if parts[0].hasPrefix("ratio") {
      return try (
        ArmSummary(ratio: joint(entry, "a", "m", "d")),
        ArmSummary(ratio: joint(entry, "b", "m", "d"))
      )
    }
    func arm(_ name: String) throws -> ArmSummary {
      let n = try entry.required("n_" + name)
      if parts[1] == "proportion" {
        return ArmSummary(
          ArmCounts(visitors: Int(n), conversions: Int(try entry.required("x_" + name))))
      }
      return ArmSummary(
        Moments(
          count: n, sum: try entry.required("sum_" + name),
          squares: try entry.required("sumsq_" + name)))
    }
    return try (arm("a"), arm("b"))
  }

  private static func joint(
    _ entry: GoldenEntry, _ arm: String, _ first: String, _ second: String
  ) throws -> JointMoments {
    let members = entry.input[arm] as? [String: Any]
    func number(_ name: String) throws -> Double {
      guard let number = members?[name] as? NSNumber else { throw entry.lacks("\(arm).\(name)") }
      return number.doubleValue
    }
    let n = try number("n")
    return JointMoments(
      first: Moments(count: n, sum: try number(first + "_sum"), squares: try number(first + "_ss")),
      second: Moments(
        count: n, sum: try number(second + "_sum"), squares: try number(second + "_ss")),
      products: try number(first == "m" ? "md" : "cross"))
  }

  private static func effect(
    _ entry: GoldenEntry, _ arms: (control: ArmSummary, treatment: ArmSummary), _ parts: [String]
  ) throws -> Effect {
    let scale: Effect.Scale = parts.last == "relative" ? .relative : .absolute
    guard
      let effect = Effect(control: arms.control, treatment: arms.treatment, scale: scale)
    else { throw entry.lacks("an effect") }
    return effect
  }

  private static func test(_ entry: GoldenEntry, _ parts: [String]) throws -> [Double] {
    let arms = try arms(entry, parts)
    let effect = try effect(entry, arms, parts)
    let alpha = entry.number("alpha") ?? 0.05
    let side: Effect.Side = parts[0].hasSuffix("greater") ? .greater : .both
    let result =
      parts[0].contains("welch")
      ? WelchTest.test(effect, alpha: alpha, side: side)
      : try AsymptoticSequence(
        alpha: alpha, tuning: entry.number("sequential_tuning_parameter") ?? 5_000
      ).test(effect, side: side)
    return [result.lower, result.upper, effect.estimate, result.pValue, effect.standardError]
  }

  private static func belief(_ entry: GoldenEntry, _ parts: [String]) throws -> [Double] {
    let arms = try arms(entry, parts)
    let effect = try effect(entry, arms, parts)
    let prior =
      try entry.input["prior"] == nil
      ? BayesianEffect.Prior(
        mean: entry.required("prior_mean"), variance: entry.required("prior_var")) : .flat
    // GrowthBook's priors are of relative effects.
    let isRelative = parts.last == "relative"
    let belief = BayesianEffect(
      effect, prior: isRelative ? prior : prior.times(arms.control.plainMean))
    let interval = belief.interval(alpha: entry.number("alpha") ?? 0.05)
    return [
      belief.chanceToWin, interval.lower, interval.upper, belief.mean, belief.lossOfControl,
      belief.lossOfTreatment, belief.deviation,
    ]
  }

  private static func bound(_ entry: GoldenEntry) throws -> [Double]? {
    let alpha = entry.number("alpha") ?? 0.05
    let tuned = entry.number("alpha_opt") ?? 0.05
    let best = entry.number("v_opt") ?? 0
    let v = entry.number("v") ?? 0
    let scale = entry.number("c") ?? 0
    switch entry.kind {
    case "normal_mixture_bound_two_sided", "normal_mixture_bound_one_sided":
      let side: Effect.Side = entry.kind.hasSuffix("one_sided") ? .greater : .both
      return [
        try NormalMixture(bestAt: best, alpha: tuned, side: side).bound(at: v, alpha: alpha)
      ]
    case "normal_log_mixture_two_sided":
      return [
        try NormalMixture(bestAt: best, alpha: tuned, side: .both)
          .logValue(entry.required("s"), at: v)
      ]
    case "normal_mixture_best_rho_two_sided":
      // ρ is what makes the bound at time 0 what it is.
      let bound = try NormalMixture(bestAt: best, alpha: tuned, side: .both)
        .bound(at: 0, alpha: tuned)
      return [bound * bound / (-2 * log(tuned))]
    case "gamma_exponential_mixture_bound":
      return [
        try GammaExponentialMixture(bestAt: best, scale: scale, alpha: tuned)
          .bound(at: v, alpha: alpha)
      ]
    case "gamma_poisson_mixture_bound":
      return [
        try GammaPoissonMixture(bestAt: best, scale: scale, alpha: tuned)
          .bound(at: v, alpha: alpha)
      ]
    case "gamma_poisson_log_mixture":
      return [
        try GammaPoissonMixture(bestAt: best, scale: scale, alpha: tuned)
          .logValue(entry.required("s"), at: v)
      ]
    case "beta_binomial_mixture_bound_two_sided", "beta_binomial_mixture_bound_one_sided":
      let side: Effect.Side = entry.kind.hasSuffix("one_sided") ? .greater : .both
      return [
        try BetaBinomialMixture(
          bestAt: best, below: entry.required("g"), above: entry.required("h"), alpha: tuned,
          side: side
        ).bound(at: v, alpha: alpha)
      ]
    case "poly_stitching_bound":
      return [
        try PolynomialStitching(
          from: entry.required("v_min"), scale: scale, s: entry.number("s") ?? 1.4,
          eta: entry.number("eta") ?? 2
        ).bound(at: v, alpha: alpha)
      ]
    case "bernoulli_confidence_sequence":
      let rates = try BetaBinomialMixture.rates(
        ArmCounts(
          visitors: Int(entry.required("n")), conversions: Int(entry.required("successes"))),
        alpha: alpha, bestAt: entry.required("t_opt"))
      return [rates.lower, rates.upper]
    default: return nil
    }
  }

  private static func betting(_ entry: GoldenEntry) throws -> [Double] {
    var sequence = try BettingSequence(alpha: entry.required("alpha"))
    return try intervals(entry) { x in
      try sequence.add(x)
      return sequence.interval
    }
  }

  private static func bernstein(_ entry: GoldenEntry) throws -> [Double] {
    var sequence = try EmpiricalBernsteinSequence(alpha: entry.required("alpha"))
    return try intervals(entry) { x in
      try sequence.add(x)
      return sequence.interval
    }
  }

  private static func intervals(
    _ entry: GoldenEntry, _ add: (Double) throws -> (lower: Double, upper: Double)
  ) throws -> [Double] {
    let pattern = try entry.numbers("pattern")
    let places = try entry.numbers("at").map { Int($0) }
    var lower: [Double] = []
    var upper: [Double] = []
    for index in 0..<pattern.count * Int(try entry.required("repeat")) {
      let interval = try add(pattern[index % pattern.count])
      if places.contains(index + 1) {
        lower.append(interval.lower)
        upper.append(interval.upper)
      }
    }
    return lower + upper
  }
}
