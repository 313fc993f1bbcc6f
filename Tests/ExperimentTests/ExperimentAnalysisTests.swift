import Oracles
import Ports
import Statistics
import Testing
import Views

@testable import Experiments

@Suite("Results of experiments")
struct ExperimentAnalysisTests {
  private static func results(_ cohorts: SimulatedCohorts) throws -> ExperimentResults {
    try ExperimentAnalysis.results(of: cohorts.experiment(), cohorts.cohorts)
  }

  /// The same numbers in every window.
  private static func steady(
    windows: Int, persons: Int64, clickers: (Int64, Int64), plan: ExperimentPlan
  ) -> SimulatedCohorts {
    var cohorts = SimulatedCohorts(seed: 0, plan: plan)
    cohorts.windows(windows) { cohorts in
      for (variant, count) in [("a", clickers.0), ("b", clickers.1)] {
        cohorts.rows.append(
          ExperimentCohort(
            start: cohorts.next, variant: variant,
            exposures: Exposures(persons: persons, clickers: count)))
      }
    }
    return cohorts
  }

  @Test("histories and what is said of them")
  func golden() throws {
    let plan = ExperimentHistoryTests.plan
    var guarded = plan
    guarded.metric = .conversionRate
    guarded.guardrails = [.clickRate]
    let cases: [(SimulatedCohorts, ExperimentVerdict.Action, String?, String)] = [
      (
        Self.steady(windows: 100, persons: 100, clickers: (5, 8), plan: plan), .takeTreatment, "b",
        "b is better: 8 % of 10000 persons against 5 % of 10000, lift 60 % (34.5 to 86.2)"
      ),
      (
        Self.steady(windows: 100, persons: 100, clickers: (8, 5), plan: plan), .keepControl, "a",
        "b is worse: 5 % of 10000 persons against 8 % of 10000, lift -37.5 % (-46.6 to -25.4)"
      ),
      (
        Self.steady(windows: 10, persons: 100, clickers: (5, 5), plan: plan), .goOn, nil,
        "no decision so far: 5 % of 1000 persons against 5 % of 1000, lift 0 % (-45.4 to 79.6); 7.11 % chance"
          + " of one by 20000 persons of each variant if b makes the click rate 5 % more, which takes some 120000 of"
          + " each to find"
      ),
      (
        Self.steady(windows: 199, persons: 100, clickers: (5, 5), plan: plan), .stopForFutility,
        "a",
        "no decision so far: 5 % of 19900 persons against 5 % of 19900, lift 0 % ("
      ),
      (
        Self.steady(windows: 100, persons: 100, clickers: (8, 5), plan: guarded), .stopForHarm,
        "a", "b harms the click rate: 5 % of 10000 persons against 8 % of 10000"
      ),
      (SimulatedCohorts(seed: 0), .goOn, nil, "nobody was exposed so long ago"),
    ]
    for (cohorts, action, variant, reason) in cases {
      let results = try Self.results(cohorts)
      #expect(results.decision.action == action, "\(results.decision)")
      #expect(results.decision.variant == variant)
      #expect(results.decision.reasons.first?.hasPrefix(reason) == true, "\(results.decision)")
      #expect(results.warnings.isEmpty && !results.sampleRatio.isMismatch)
    }
  }

  @Test(
    "the same cohorts give the same answer to the bit, and a decision stays at every later look")
  func repeatable() throws {
    var cohorts = SimulatedCohorts(seed: 7)
    cohorts.windows(60) { cohorts in
      cohorts.add("a", 100, click: 0.05)
      cohorts.add("b", 100, click: 0.09)
    }
    let whole = cohorts.cohorts
    #expect(try Self.results(cohorts) == Self.results(cohorts))
    var decided: ExperimentVerdict.Action?
    let settled = SettledAnalyses()
    for count in 1...60 {
      var part = whole
      part.watermark = Int64(count) * cohorts.plan.cohort.length + SimulatedCohorts.outcomeWindow
      let results = try ExperimentAnalysis.results(of: cohorts.experiment(), part)
      // Late events correct a cohort that had been settled.
      if count == 40 { part.cohorts[7].exposures.clickers += 1 }
      let expected =
        count == 40
        ? try ExperimentAnalysis.results(of: cohorts.experiment(), part) : results
      #expect(try settled.results(of: cohorts.experiment(), part) == expected)
      if let decided { #expect(results.decision.action == decided) }
      if results.decision.action != .goOn { decided = results.decision.action }
      let persons = results.variants.reduce(0) { $0 + $1.persons }
      #expect(persons == 200 * count)
      #expect(results.completeness.immaturePersons == 200 * (60 - count))
      #expect(results.completeness.matureUntil == Int64(count) * cohorts.plan.cohort.length)
    }
    #expect(decided == .takeTreatment)
  }

  /// Two equal arms, looked at after every window: a difference is found in at most α of all experiments.
  /// 200 of them have 10 at 5 % on average with a deviation of 3.1; 17 is beyond 2.3 of them.
  @Test(
    "equal variants are told apart no more often than declared, however often one looks",
    arguments: ExperimentMetric.plain + [.goal("Signed Up")])
  func falsePositives(metric: ExperimentMetric) throws {
    var plan = ExperimentHistoryTests.plan
    plan.variants = ["a", "b", "c"]
    plan.metric = metric
    let runs = 200
    var wrong = 0
    var mismatches = 0
    for seed in 0..<runs {
      var cohorts = SimulatedCohorts(seed: UInt64(seed), plan: plan)
      cohorts.windows(30) { cohorts in
        for variant in plan.variants {
          cohorts.add(variant, 80, click: 0.05, convert: 0.15) { random in
            // Amounts with a long tail.
            Int64(1 << random.below(10)) * 100
          }
        }
      }
      let experiment = cohorts.experiment([
        Experiment.Epoch(since: 0, shares: [300_000, 300_000, 300_000])
      ])
      let results = try ExperimentAnalysis.results(of: experiment, cohorts.cohorts)
      let decisions = results.variants.compactMap { $0.metrics[0].comparison?.decision }
      if !decisions.isEmpty { wrong += 1 }
      if results.sampleRatio.isMismatch { mismatches += 1 }
    }
    print("\(metric.name): \(wrong) of \(runs) experiments with equal variants were decided")
    #expect(wrong <= 17)
    #expect(mismatches <= 6)
  }

  @Test("an imbalance is found, and the channel in which it is is named")
  func imbalance() throws {
    var cohorts = SimulatedCohorts(seed: 3)
    cohorts.windows(100) { cohorts in
      cohorts.add("a", 100, click: 0.05, channel: "web")
      cohorts.add("b", 100, click: 0.05, channel: "web")
      cohorts.add("a", 45, click: 0.05, channel: "mail")
      cohorts.add("b", 65, click: 0.05, channel: "mail")
    }
    let results = try Self.results(cohorts)
    #expect(results.decision.action == .distrust)
    #expect(results.sampleRatio.failures.map(\.name) == ["channel=mail"])
    let reasons = results.decision.reasons.joined(separator: "\n")
    #expect(reasons.contains("a has 14500 where 15500 were due"), "\(reasons)")
    #expect(reasons.contains("channel=mail"))
    // Bots that reach one variant alone are named, and make no difference to people's numbers.
    var bots = SimulatedCohorts(seed: 4)
    bots.windows(50) { cohorts in
      cohorts.add("a", 100, click: 0.05)
      cohorts.add("b", 100, click: 0.05)
      cohorts.add("b", 20, click: 1, traffic: "bot")
    }
    let botted = try Self.results(bots)
    #expect(botted.sampleRatio.failures.map(\.name) == ["traffic=bot"])
    #expect(botted.variants.map(\.persons) == [5_000, 5_000])
  }

  @Test("a change of weights while rates change does not turn the result round")
  func simpson() throws {
    var cohorts = SimulatedCohorts(seed: 5)
    let change = 100 * cohorts.plan.cohort.length
    let epochs = [
      Experiment.Epoch(since: 0, shares: [900_000, 100_000]),
      Experiment.Epoch(since: change, shares: [100_000, 900_000]),
    ]
    // The better variant is shown to most when hardly anybody clicks.
    cohorts.windows(100) { cohorts in
      cohorts.add("a", 180, click: 0.20)
      cohorts.add("b", 20, click: 0.26)
    }
    cohorts.windows(100) { cohorts in
      cohorts.add("a", 20, click: 0.02)
      cohorts.add("b", 180, click: 0.03)
    }
    let results = try ExperimentAnalysis.results(of: cohorts.experiment(epochs), cohorts.cohorts)
    let rates = results.variants.compactMap { $0.metrics[0].value?.value }
    #expect(rates[0] > 2 * rates[1], "pooled, a looks far better")
    let comparison = try #require(results.variants[1].metrics[0].comparison)
    #expect(try #require(comparison.lift) > 0.1)
    #expect(try #require(comparison.difference?.lower) > 0)
    #expect(results.decision.action == .takeTreatment && results.decision.variant == "b")
    #expect(results.warnings.contains { $0.contains("differs the other way round") })
    // What a reader sees of it: b is better in both times.
    #expect(results.epochs.map(\.since) == [0, change])
    #expect(results.epochs.map(\.shares) == epochs.map(\.shares))
    #expect(results.epochs.map(\.persons) == [[18_000, 2_000], [2_000, 18_000]])
    for (epoch, rates) in zip(results.epochs, [[0.20, 0.26], [0.02, 0.03]]) {
      for (value, rate) in zip(epoch.values, rates) {
        #expect(try (#require(value) / rate - 1).magnitude < 0.3)
      }
      #expect(epoch.lifts[0] == nil)
      #expect(try #require(epoch.lifts[1]) > 0)
    }
    #expect(!results.sampleRatio.isMismatch)
    // With the weights of the first epoch alone it would be a mismatch.
    let wrong = try ExperimentAnalysis.results(
      of: cohorts.experiment([epochs[0]]), cohorts.cohorts)
    #expect(wrong.decision.action == .distrust)
  }

  @Test("what persons did before narrows the difference, and changes no rate")
  func adjusted() throws {
    var cohorts = SimulatedCohorts(seed: 6)
    cohorts.windows(100) { cohorts in
      for variant in ["a", "b"] {
        var exposures = Exposures(persons: 100)
        var baselines = Baselines()
        for _ in 0..<100 {
          // Who clicked much before clicks much now.
          let prior = Int64(cohorts.random.below(2) * 10)
          let clicks = cohorts.happens(prior > 0 ? 0.8 : 0.1)
          baselines.prior += prior
          baselines.priorSquared += prior * prior
          guard clicks else { continue }
          exposures.clickers += 1
          baselines.priorClicked += prior
        }
        cohorts.rows.append(
          ExperimentCohort(
            start: cohorts.next, variant: variant, exposures: exposures, baselines: baselines))
      }
    }
    let results = try Self.results(cohorts)
    var plain = cohorts
    for index in plain.rows.indices { plain.rows[index].baselines = Baselines() }
    let without = try Self.results(plain)
    let adjusted = try #require(results.variants[1].metrics[0].comparison)
    let unadjusted = try #require(without.variants[1].metrics[0].comparison)
    // The correlation is 0.7, so half of the variance goes.
    let reduction = try #require(adjusted.varianceReduction)
    #expect(reduction > 0.44 && reduction < 0.54, "\(reduction)")
    #expect(unadjusted.varianceReduction == nil, "nothing is known of before")
    let width = try #require(adjusted.difference.map { $0.upper - $0.lower })
    let before = try #require(unadjusted.difference.map { $0.upper - $0.lower })
    #expect(width < 0.76 * before)
    #expect(results.variants.map(\.metrics[0].value) == without.variants.map(\.metrics[0].value))
  }

  @Test("of several variants the best of those that win is taken, with the error divided")
  func several() throws {
    var plan = ExperimentHistoryTests.plan
    plan.variants = ["a", "b", "c", "d"]
    plan.control = "b"
    var cohorts = SimulatedCohorts(seed: 8, plan: plan)
    cohorts.windows(100) { cohorts in
      for (variant, rate) in [("a", 0.05), ("b", 0.05), ("c", 0.08), ("d", 0.10)] {
        cohorts.add(variant, 100, click: rate)
      }
    }
    let results = try ExperimentAnalysis.results(
      of: cohorts.experiment([
        Experiment.Epoch(since: 0, shares: Array(repeating: 250_000, count: 4))
      ]), cohorts.cohorts)
    #expect(results.decision.action == .takeTreatment && results.decision.variant == "d")
    #expect(results.decision.reasons.first?.hasPrefix("d is better") == true)
    #expect(results.variants.map(\.isControl) == [false, true, false, false])
    let chances = try results.variants.map { try #require($0.chanceToBeBest) }
    #expect((chances.reduce(0, +) - 1).magnitude < 1e-4)
    #expect(chances[3] > 0.99)
    let losses = try results.variants.map { try #require($0.expectedLoss) }
    #expect(losses[3] < 0.0001 && losses[1] > 0.04)
    // Beside the control alone, whatever the others do.
    let beats = results.variants.map(\.chanceToBeatControl)
    #expect(try #require(beats[2]) > 0.99 && chances[2] < 0.01 && beats[1] == nil)
    #expect(try (0.01...0.99).contains(#require(beats[0])))
    #expect(try #require(results.variants[3].metrics[0].comparison?.pValue) < 0.001)
    #expect(results.variants[1].metrics[0].comparison == nil)
  }

  @Test("segments have results of their own, and those beyond the most are counted")
  func segments() throws {
    var cohorts = SimulatedCohorts(seed: 9)
    cohorts.windows(100) { cohorts in
      for (channel, rate) in [("web", 0.05), ("mail", 0.10)] {
        cohorts.add("a", 100, click: 0.05, channel: channel)
        cohorts.add("b", 100, click: rate, channel: channel)
      }
    }
    let first = try Self.results(cohorts)
    #expect(first.segments.map(\.value) == ["web", "mail"])
    #expect(first.segments.map(\.persons) == [[10_000, 10_000], [10_000, 10_000]])
    #expect(
      first.segments.map(\.metrics[1].comparison?.decision) == [nil, .treatmentIsBetter])
    for number in 0..<30 { cohorts.add("a", 1, click: 0.05, channel: "channel-\(number)") }
    cohorts.advance()
    let second = try Self.results(cohorts)
    #expect(second.segments.count == 20 && second.hiddenSegments == 12)
  }

  @Test("how many persons it takes is said from the control's rate")
  func progress() throws {
    let cohorts = Self.steady(
      windows: 100, persons: 100, clickers: (5, 5), plan: ExperimentHistoryTests.plan)
    let results = try Self.results(cohorts)
    #expect(results.progress.persons == 10_000)
    #expect(results.progress.plannedPersons == cohorts.plan.plannedPersons)
    #expect(
      results.progress.neededPersons
        == FixedSampleSize.visitorsPerArm(control: 0.05, treatment: 0.0525, power: 0.8, alpha: 0.05)
    )
    let few = Self.steady(
      windows: 3, persons: 100, clickers: (5, 5), plan: ExperimentHistoryTests.plan)
    #expect(try Self.results(few).progress.neededPersons == nil)
  }

  @Test("segments that persons tell have a half of the error, and rows' own the other")
  func sources() throws {
    var plan = ExperimentHistoryTests.plan
    plan.segments = [.channel, .device]
    var cohorts = SimulatedCohorts(seed: 9, plan: plan)
    cohorts.windows(100) { cohorts in
      cohorts.add("a", 100, click: 0.05, channel: "web")
      cohorts.add("b", 100, click: 0.08, channel: "web")
    }
    let settled = SettledAnalyses()
    func segments(_ source: ExperimentAnalysis.SegmentSource) throws -> ExperimentResults {
      try settled.results(of: cohorts.experiment(), cohorts.cohorts, segments: source)
    }
    let (all, rows, persons) = (try segments(.all), try segments(.rows), try segments(.persons))
    #expect(all.segments.map(\.dimension) == ["channel", "device"])
    #expect(rows.segments.map(\.dimension) == ["channel"])
    #expect(persons.segments.map(\.dimension) == ["device"])
    func width(_ results: ExperimentResults) throws -> Double {
      let comparison = try #require(results.segments[0].metrics[1].comparison)
      return try #require(comparison.liftUpper) - #require(comparison.liftLower)
    }
    #expect(try width(rows) > width(all), "a smaller error, a wider interval")
    #expect(try width(rows) == width(persons))
    #expect(rows.variants == all.variants)
  }

  @Test("what makes numbers doubtful is said")
  func warnings() throws {
    var cohorts = SimulatedCohorts(seed: 10)
    cohorts.windows(10) { cohorts in
      cohorts.add("a", 100, click: 0.05)
      cohorts.add("b", 100, click: 0.05)
      cohorts.add("old", 3, click: 0.05)
      cohorts.rows.append(
        ExperimentCohort(
          start: cohorts.next, variant: "a", currency: "EUR",
          exposures: Exposures(mixed: 5, revenueMicros: 10_000)))
    }
    let results = try Self.results(cohorts)
    #expect(results.mixedPersons == 50)
    #expect(results.warnings.count == 3, "\(results.warnings)")
    #expect(results.warnings[0].hasPrefix("2.5 % of persons saw more than one variant"))
    #expect(results.warnings[1].hasPrefix("30 persons saw variants of the campaign that"))
    #expect(results.warnings[1].hasSuffix("does not have: old"))
    #expect(results.warnings[2].hasPrefix("money in EUR is left out"))
  }

  @Test("a window in which the weights changed counts nowhere, nor does one that lies outside")
  func edges() throws {
    var cohorts = SimulatedCohorts(seed: 11)
    cohorts.windows(4) { cohorts in
      cohorts.add("a", 100, click: 0.05)
      cohorts.add("b", 100, click: 0.05)
    }
    let length = cohorts.plan.cohort.length
    let shares = [500_000, 500_000]
    let experiment = cohorts.experiment([
      Experiment.Epoch(since: length / 2, shares: shares),
      Experiment.Epoch(since: 2 * length + 1, shares: [400_000, 600_000]),
    ])
    let results = try ExperimentAnalysis.results(of: experiment, cohorts.cohorts)
    #expect(results.variants.map(\.persons) == [200, 200])
    // The second of the weights, and the one that the experiment began within.
    #expect(results.completeness.betweenEpochs == 400)
    #expect(results.warnings.contains { $0.hasPrefix("400 persons count nowhere") })
    #expect(experiment.cohortRange == length..<Int64.max)
    #expect(experiment.touchedRange == 0..<Int64.max)
    var stopped = experiment
    stopped.status = .stopped(
      at: 3 * length + 5, Experiment.Decision(variant: "a", reason: ""))
    #expect(stopped.cohortRange == length..<(3 * length))
    #expect(stopped.touchedRange == 0..<(4 * length))
    let after = try ExperimentAnalysis.results(of: stopped, cohorts.cohorts)
    #expect(after.completeness.betweenEpochs == 600)
    #expect(after.variants.map(\.persons) == [100, 100])
    stopped.status = .stopped(at: 3 * length, Experiment.Decision(variant: "a", reason: ""))
    #expect(stopped.touchedRange == 0..<(3 * length))
  }

  @Test("a p-value is at most α where a rate was decided, and above it where it was not")
  func agreement() throws {
    var plan = ExperimentHistoryTests.plan
    plan.metric = .conversionRate
    plan.guardrails = [.clickRate]
    plan.variants = ["a", "b", "c"]
    var decided = 0
    var undecided = 0
    for seed in 1...4 as ClosedRange<UInt64> {
      var cohorts = SimulatedCohorts(seed: seed, plan: plan)
      let lift = 1 + 0.15 * Double(seed)
      cohorts.windows(60) { cohorts in
        for variant in plan.variants {
          let factor = variant == "b" ? lift : 1
          cohorts.add(
            variant, 60, click: 0.2 / factor, convert: 0.1 * factor, channel: "web")
        }
      }
      let whole = cohorts.cohorts
      let experiment = cohorts.experiment([
        Experiment.Epoch(since: 0, shares: [300_000, 300_000, 300_000])
      ])
      for count in stride(from: 1, through: 60, by: 6) {
        var part = whole
        part.watermark =
          Int64(count) * plan.cohort.length + SimulatedCohorts.outcomeWindow
        let results = try ExperimentAnalysis.results(of: experiment, part)
        for metric in results.variants.flatMap(\.metrics) {
          guard let comparison = metric.comparison else { continue }
          let value = try #require(comparison.pValue)
          #expect((value <= plan.alpha) == (comparison.decision != nil), "seed \(seed): \(metric)")
          if comparison.decision == nil { undecided += 1 } else { decided += 1 }
        }
        #expect(
          results.segments.allSatisfy { $0.metrics.allSatisfy { $0.comparison?.pValue == nil } })
        for chance in results.variants.compactMap(\.chanceToBeBest) { #expect(0...1 ~= chance) }
      }
    }
    #expect(decided > 10 && undecided > 10, "\(decided), \(undecided)")
  }

  @Test("where a fifth of the persons saw more than one variant nothing is decided by them")
  func mixing() throws {
    for (mixed, action) in [
      (10 as Int64, ExperimentVerdict.Action.takeTreatment), (60, .distrust),
    ] {
      var cohorts = Self.steady(
        windows: 100, persons: 100, clickers: (5, 8), plan: ExperimentHistoryTests.plan)
      for index in cohorts.rows.indices { cohorts.rows[index].exposures.mixed = mixed }
      let results = try Self.results(cohorts)
      #expect(results.decision.action == action)
      #expect(
        (results.decision.reasons.first?.hasPrefix("60 % of persons saw more than one") == true)
          == (action == .distrust))
    }
  }

  @Test("money is told apart by its amount, in the declared currency")
  func money() throws {
    var plan = ExperimentHistoryTests.plan
    plan.metric = .revenuePerPerson
    plan.guardrails = [.conversionRate]
    var cohorts = SimulatedCohorts(seed: 12, plan: plan)
    cohorts.windows(200) { cohorts in
      cohorts.add("a", 100, click: 0.05, convert: 0.1) { Int64(500 + $0.below(1_000)) }
      cohorts.add("b", 100, click: 0.05, convert: 0.1) { Int64(900 + $0.below(1_000)) }
    }
    let results = try Self.results(cohorts)
    #expect(results.decision.action == .takeTreatment, "\(results.decision)")
    #expect(results.decision.reasons[0].contains("USD of 20000 persons against"))
    let value = try #require(results.variants[0].metrics[0].value)
    #expect((value.value - 1).magnitude < 0.05 && value.lower < value.value)
    let comparison = try #require(results.variants[1].metrics[0].comparison)
    #expect(try #require(comparison.lift) > 0.25)
    #expect(try #require(comparison.liftLower) > 0)
    #expect(try #require(comparison.pValue) < 0.05)
    #expect(results.variants[1].metrics[1].comparison?.decision == nil)
  }
}
