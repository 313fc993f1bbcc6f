import Events
import States
import Statistics

/// Decisions without a reward that may still get one, and which of them have a say.
///
/// A policy with context learns from examples, and an example without a reward says that there was none, which nobody knows
/// while it is young. So of young ones only some are learned from: each has a number between 0 and 1 that is made from its
/// id, and a say as soon as the share for its arm and age is above it (``YoungShares``). So many without a reward stand
/// beside those with one as would at the end, and which they are is a function of what was read and of the time.
///
///     id  ▏0.03 ▕ 0.21 ▕ 0.35 ▕ 0.62 ▕ 0.98        share at this age: 0.4
///          say    say    say    ─      ─
struct YoungDecisions {
  /// By the minute of the decision, with the time.
  private var minutes: [Int64: [DecisionID: Int64]] = [:]
  private var times: [DecisionID: Int64] = [:]
  private var withSay: Set<DecisionID> = []
  private static let minute: Int64 = 60_000_000

  var count: Int { times.count }

  func hasSay(_ id: DecisionID) -> Bool { withSay.contains(id) }

  mutating func add(_ id: DecisionID, at time: Int64) {
    times[id] = time
    minutes[time / Self.minute, default: [:]][id] = time
  }

  mutating func forget(_ id: DecisionID) {
    guard let time = times.removeValue(forKey: id) else { return }
    withSay.remove(id)
    let minute = time / Self.minute
    minutes[minute]?[id] = nil
    if minutes[minute]?.isEmpty ?? false { minutes[minute] = nil }
  }

  /// Decides anew who has a say.
  ///
  /// - Returns: those of whom it has changed.
  mutating func changes(
    _ shares: YoungShares, now: Int64, arm: (DecisionID) -> Int?
  ) -> [DecisionID] {
    var changed: [DecisionID] = []
    for (minute, decisions) in minutes {
      // All of a minute are as old as its begin says at most; those that are old enough all have a say.
      let isOld = shares.isWhole(at: now - (minute + 1) * Self.minute)
      for (id, time) in decisions {
        let hasSay =
          isOld || Self.place(of: id) < shares.share(arm: arm(id) ?? 0, at: now - time)
        guard hasSay != withSay.contains(id) else { continue }
        if hasSay { withSay.insert(id) } else { withSay.remove(id) }
        changed.append(id)
      }
    }
    return changed
  }

  /// Ids are random bits: others than those that decisions are drawn by, mixed once more (SplitMix64's finalizer).
  private static func place(of id: DecisionID) -> Double {
    var bits = id.key.low &* 0xbf58_476d_1ce4_e5b9 ^ id.key.high
    bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
    return Double((bits ^ bits >> 31) >> 11) * 0x1p-53
  }
}

/// How many of the decisions without a reward are to be learned from, by arm and age.
///
/// With G the share of rewards that come by this age (``DelayCurve``) and p the arm's share of decisions with a reward,
/// pG of a hundred decisions have theirs and 1 − pG have none yet, of which 1 − p never get one. Beside pG with a reward
/// belong G(1 − p) without: of those that have none yet the share G(1 − p) / (1 − pG). Exact for contexts with the arm's
/// share of rewards; in better ones it leaves out a little too few.
struct YoungShares {
  private let curve: DelayCurve
  private let rates: [Double]
  private static let whole = 0.999

  init(_ sums: RewardBins) {
    curve = DelayCurve(sums)
    let totals = RewardEvidence(sums).totals
    rates = totals.trials.indices.map { arm in
      min(0.99, max(0, (totals.rewards[arm] + 0.5) / (totals.trials[arm] + 1)))
    }
  }

  /// Whether all of this age have a say.
  func isWhole(at age: Int64) -> Bool { curve.share(at: age) >= Self.whole }

  func share(arm: Int, at age: Int64) -> Double {
    let come = curve.share(at: age)
    guard come < Self.whole, rates.indices.contains(arm) else { return 1 }
    return come * (1 - rates[arm]) / (1 - rates[arm] * come)
  }
}

extension YoungDecisions: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    var times = times
    try codec.code(&times)
    try codec.code(&withSay)
    guard codec.isReading else { return }
    (self.times, minutes) = ([:], [:])
    for (id, time) in times { add(id, at: time) }
  }
}
