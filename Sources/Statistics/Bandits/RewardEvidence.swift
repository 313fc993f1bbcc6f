/// What policies learn from: for each stretch of time how many trials of each arm can be judged by now, and what they
/// earned.
///
/// Young decisions weigh as much as rewards can be expected to have come of them (``DelayCurve``), so that a reward
/// that is not there yet is neither waited for nor taken for none.
public struct RewardEvidence: Sendable, Equatable {
  /// In order of time.
  public let batches: [RewardBatch]
  public let arms: Int

  /// - Parameters:
  ///   - fading: rewards fade by 1/e in so many microseconds.
  ///   - window: microseconds of decisions that count.
  public init(_ sums: RewardBins, fading: Int64? = nil, window: Int64? = nil) {
    arms = sums.arms
    let curve = DelayCurve(sums)
    var batches: [RewardBatch] = []
    batches.reserveCapacity(sums.bins.count)
    for bin in sums.bins {
      // A bin that is not over has decisions of its part alone.
      let end = min(bin.end, max(bin.start, sums.now))
      let age = sums.now - (bin.start + end) / 2
      if let window, age > window { continue }
      let weight = fading.map { Elementary.exp(-Double(max(0, age)) / Double($0)) } ?? 1
      batches.append(RewardBatch(bin.cells, share: curve.share(at: age), weight: weight))
    }
    self.batches = batches
  }

  /// Over all of the time.
  public var totals: RewardBatch {
    var totals = RewardBatch(arms: arms)
    for batch in batches { totals.add(batch) }
    return totals
  }
}

/// Trials and rewards of each arm in a stretch of time, as far as they can be judged.
public struct RewardBatch: Sendable, Equatable {
  public var trials: [Double]
  /// Sums of rewards between 0 and 1; at most the trials.
  public var rewards: [Double]
  /// Sums of their squares.
  public var squares: [Double]
  /// Trials beyond those that can be judged yet: their rewards are on the way.
  public var pending: [Double]

  public init(arms: Int) {
    trials = [Double](repeating: 0, count: arms)
    rewards = trials
    squares = trials
    pending = trials
  }

  /// - Parameters:
  ///   - share: of the rewards that have come.
  ///   - weight: by which all counts.
  init(_ cells: [RewardBins.Cell], share: Double, weight: Double) {
    self.init(arms: cells.count)
    let one = Double(RewardBins.one)
    for (arm, cell) in cells.enumerated() where cell.trials > 0 || cell.rewards > 0 {
      let earned = Double(cell.rewards) / one
      rewards[arm] = weight * earned
      let judged = max(earned, Double(cell.trials) * share)
      trials[arm] = weight * judged
      pending[arm] = weight * max(0, Double(cell.trials) - judged)
      squares[arm] = weight * Double(cell.squares) / one
    }
  }

  /// Of all arms.
  public var trialCount: Double { trials.reduce(0, +) }

  public mutating func add(_ other: RewardBatch) {
    for arm in trials.indices {
      trials[arm] += other.trials[arm]
      rewards[arm] += other.rewards[arm]
      squares[arm] += other.squares[arm]
      pending[arm] += other.pending[arm]
    }
  }
}
