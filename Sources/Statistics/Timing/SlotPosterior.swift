/// Draws of the engagement of each hour of the week, by channel and audience.
public struct SlotPosterior: Sendable {
  private let audiences: Int
  private let samples: Int
  /// By channel and audience, then by draw, then by hour.
  private let rates: [[Float]]
  /// Means of ``averaged`` draws each, in the same order.
  private let bold: [[Float]]
  /// By how much posts differ by themselves: the squared coefficient of variation beyond Poisson's.
  public let dispersion: Double

  init(audiences: Int, samples: Int, rates: [[Float]], dispersion: Double) {
    self.audiences = audiences
    self.samples = samples
    self.rates = rates
    self.dispersion = dispersion
    bold = rates.map { Self.averages($0, samples) }
  }

  /// Each draw with others that are far from it in the chain.
  private static func averages(_ rates: [Float], _ samples: Int) -> [Float] {
    let apart = max(1, samples / averaged)
    var means = [Float](repeating: 0, count: rates.count)
    for sample in 0..<samples {
      for number in 0..<averaged {
        let from = (sample + number * apart) % samples * WeekSlots.count
        let to = sample * WeekSlots.count
        for slot in 0..<WeekSlots.count { means[to + slot] += rates[from + slot] }
      }
    }
    return means
  }

  public struct Slot: Sendable, Equatable {
    /// Hour of the week, 0 to 167 from Monday 0 o'clock.
    public let slot: Int
    /// Engagements by exposure, and what 90 of 100 draws are between.
    public let rate: Double
    public let rateLower: Double
    public let rateUpper: Double
    /// The share by which it is above an hour drawn from all that are allowed.
    public let gain: Double
    public let gainLower: Double
    public let gainUpper: Double
    /// The chance with which it should be drawn, 65,536ths that add up to 65,536 over the allowed ones.
    public let propensity: Int
  }

  /// 5 % of draws are below it, and 5 % above the upper end.
  private static let tail = 0.05
  /// Draws whose mean takes the place of one in Thompson sampling: what may be chosen differs from window to window
  /// by itself, so that less boldness finds as much.
  private static let averaged = 20
  /// Of the chance, in equal parts to all that are allowed: so much is always learned about each.
  private static let explored = 0.02

  /// The chances with which the allowed hours should be drawn, 65,536ths that add up to 65,536: how often each is the
  /// best one, and a floor.
  public func propensities(channel: Int, audience: Int, allowed: [Int]) -> [Int] {
    guard !allowed.isEmpty else { return [] }
    let bold = bold[channel * audiences + audience]
    var wins = [Double](repeating: 0, count: allowed.count)
    for sample in 0..<samples {
      var best = (place: 0, rate: -Float.infinity)
      for (place, slot) in allowed.enumerated() {
        let rate = bold[sample * WeekSlots.count + slot]
        if rate > best.rate { best = (place, rate) }
      }
      wins[best.place] += 1 / Double(samples)
    }
    let floor = Self.explored / Double(allowed.count)
    return Self.whole(wins.map { floor + (1 - Self.explored) * $0 })
  }

  /// The mean rate of each hour of the week.
  public func meanRates(channel: Int, audience: Int) -> [Double] {
    let rates = rates[channel * audiences + audience]
    return (0..<WeekSlots.count).map { slot in
      (0..<samples).reduce(0.0) { $0 + Double(rates[$1 * WeekSlots.count + slot]) }
        / Double(samples)
    }
  }

  /// The allowed hours, in order.
  public func slots(channel: Int, audience: Int, allowed: [Int]) -> [Slot] {
    let rates = rates[channel * audiences + audience]
    var means = [Double](repeating: 0, count: samples)
    for sample in 0..<samples {
      for slot in allowed {
        means[sample] += Double(rates[sample * WeekSlots.count + slot]) / Double(allowed.count)
      }
    }
    let propensities = propensities(channel: channel, audience: audience, allowed: allowed)
    return allowed.enumerated().map { place, slot in
      let own = (0..<samples).map { Double(rates[$0 * WeekSlots.count + slot]) }
      let gains = zip(own, means).map { $0 / $1 - 1 }
      let (rate, gain) = (Summary(own, Self.tail), Summary(gains, Self.tail))
      return Slot(
        slot: slot, rate: rate.mean, rateLower: rate.lower, rateUpper: rate.upper, gain: gain.mean,
        gainLower: gain.lower, gainUpper: gain.upper, propensity: propensities[place])
    }
  }

  private struct Summary {
    var mean = 0.0
    let lower: Double
    let upper: Double

    init(_ values: [Double], _ tail: Double) {
      let sorted = values.sorted()
      for value in sorted { mean += value / Double(sorted.count) }
      func quantile(_ share: Double) -> Double {
        // Between the middles of the draws' shares.
        let place = min(max(share * Double(sorted.count) - 0.5, 0), Double(sorted.count - 1))
        let below = Int(place)
        let above = min(below + 1, sorted.count - 1)
        return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
      }
      lower = quantile(tail)
      upper = quantile(1 - tail)
    }
  }

  /// Shares of 1 as 65,536ths that add up to 65,536, by largest remainders.
  static func whole(_ shares: [Double]) -> [Int] {
    let exact = shares.map { $0 * 65_536 }
    var parts = exact.map { Int($0) }
    let order = parts.indices.sorted { a, b in
      let (x, y) = (exact[a] - Double(parts[a]), exact[b] - Double(parts[b]))
      return x != y ? x > y : a < b
    }
    let left = 65_536 - parts.reduce(0, +)
    for index in order.prefix(max(0, left)) { parts[index] += 1 }
    return parts
  }
}
