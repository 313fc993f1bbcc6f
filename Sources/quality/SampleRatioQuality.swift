import Statistics

/// The sequential sample-ratio check in simulation: false alarms under changing weights, and how soon an
/// imbalance is found.
enum SampleRatioQuality {
  static func table(runs: Int) throws -> QualityTable {
    var table = QualityTable("Sample ratio, sequential", columns: ["ours"])
    var alarms = 0
    for run in 0..<runs {
      if try visitorsUntilAlarm(seed: UInt64(run), share: 0.5, upTo: 1_000_000) != nil {
        alarms += 1
      }
    }
    let errors = 100 * Double(alarms) / Double(runs)
    table.add(
      "srm_false_alarms", "false alarms by 1,000,000, %", [errors], goal: .atMost(1, errors))
    alarms = 0
    for run in 0..<runs {
      if try isAlarmUnderBandit(seed: UInt64(run), upTo: 1_000_000) { alarms += 1 }
    }
    let banditErrors = 100 * Double(alarms) / Double(runs)
    table.add(
      "srm_false_alarms_bandit", "the same, weights that change, %", [banditErrors],
      goal: .atMost(1, banditErrors))
    // An imbalance of 1 %: 50.5 % where 50 % were due; and of one point: 51 %.
    for (key, share) in [("half_point", 0.505), ("one_point", 0.51)] {
      var found = 0
      var sum = 0
      for run in 0..<runs {
        let at = try visitorsUntilAlarm(seed: UInt64(run), share: share, upTo: 200_000)
        found += at == nil ? 0 : 1
        sum += at ?? 200_000
      }
      let power = 100 * Double(found) / Double(runs)
      table.add(
        "srm_found_\(key)", "found by 200,000 at \(share * 100) %, %", [power],
        goal: share > 0.505 ? .atLeast(99, power) : nil)
      table.add("srm_visitors_\(key)", "mean visitors until then", [Double(sum) / Double(runs)])
    }
    return table
  }

  /// Looks every 100 visitors of two arms that should be alike.
  private static func visitorsUntilAlarm(
    seed: UInt64, share: Double, upTo visitors: Int
  ) throws -> Int? {
    var random = SplitMix64(seed: seed &* 77 &+ 5)
    var monitor = try SampleRatioMonitor(arms: 2)
    let threshold = UInt64(share * 0x1p64)
    for look in 1...visitors / 100 {
      var first = 0
      for _ in 0..<100 where random.next() < threshold { first += 1 }
      try monitor.add(visitors: [first, 100 - first], probabilities: [0.5, 0.5])
      if monitor.isMismatch { return look * 100 }
    }
    return nil
  }

  /// Three arms whose weights wander, as a bandit's do.
  private static func isAlarmUnderBandit(seed: UInt64, upTo visitors: Int) throws -> Bool {
    var random = SplitMix64(seed: seed &* 991 &+ 3)
    var monitor = try SampleRatioMonitor(arms: 3)
    var weights = [1.0, 1.0, 1.0]
    for _ in 1...visitors / 1_000 {
      weights = weights.map { min(10, max(0.1, $0 * (0.8 + 0.4 * random.unit()))) }
      let total = weights.reduce(0, +)
      var counts = [0, 0, 0]
      for _ in 0..<1_000 {
        let unit = random.unit() * total
        counts[unit < weights[0] ? 0 : unit < weights[0] + weights[1] ? 1 : 2] += 1
      }
      try monitor.add(visitors: counts, probabilities: weights)
      if monitor.isMismatch { return true }
    }
    return false
  }
}
