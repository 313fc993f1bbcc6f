/// One level of the model of engagement: a factor for each group and kind of hour, near 1 by a learned strength.
struct SlotFactors: Sendable {
  enum Group: Sendable { case all, channel, audience, pair, window }
  /// What hours have the same factor.
  ///
  /// Blocks of hours that begin at different ones overlap: their products change by steps that are smaller than a
  /// block, so that neighbours are alike.
  enum Cell: Sendable {
    /// All of them.
    case whole
    /// So many hours of every day, begun at this one; a divisor of 24.
    case block(hours: Int, from: Int)
    case day
    /// Blocks of working days, and blocks of the weekend.
    case kindOfDay(hours: Int, from: Int)
    /// Each hour of the week.
    case slot

    var count: Int {
      switch self {
      case .whole: 1
      case .block(let hours, _): 24 / hours
      case .day: 7
      case .kindOfDay(let hours, _): 48 / hours
      case .slot: WeekSlots.count
      }
    }

    func of(_ slot: Int) -> Int {
      switch self {
      case .whole: return 0
      case .block(let hours, let from):
        return (WeekSlots.hour(slot) + 24 - from) % 24 / hours
      case .day: return WeekSlots.day(slot)
      case .kindOfDay(let hours, let from):
        let block = (WeekSlots.hour(slot) + 24 - from) % 24 / hours
        return (WeekSlots.isWeekend(slot) ? 24 / hours : 0) + block
      case .slot: return slot
      }
    }
  }

  let group: Group
  let cell: Cell
  /// By group, then by cell.
  var values: [Double]
  /// The shape of the prior of each factor, whose mean is 1: 1 over its variance.
  var strength: Double
  let spread: Spread

  /// How far factors may be from 1: the standard deviations that are weighed against each other, with the logarithms
  /// of their chances beforehand.
  struct Spread: Sendable {
    let strengths: [Double]
    let logChances: [Double]

    /// - Parameter typical: chances fall by 1/e with each of it.
    init(deviations: [Double], typical: Double) {
      strengths = deviations.map { 1 / ($0 * $0) }
      // The steps grow with the deviation: a chance for each is one for each unit of deviation.
      logChances = deviations.map { Elementary.log($0) - $0 / typical }
    }

    static let ofHours = Spread(
      deviations: [0.02, 0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4, 0.6], typical: 0.15)
    static let ofLevels = Spread(
      deviations: [0.05, 0.1, 0.2, 0.4, 0.7, 1, 1.5], typical: 1)
  }

  /// Less says nothing of the strength.
  private static let expectedMin = 1e-3

  init(_ group: Group, _ cell: Cell, groups: Int, _ spread: Spread) {
    self.group = group
    self.cell = cell
    self.spread = spread
    values = [Double](repeating: 1, count: groups * cell.count)
    strength = spread.strengths[spread.strengths.count / 2]
  }

  /// Draws the strength from its chances given what is summed up, the factors themselves left out of it: the gamma
  /// prior is conjugate, so that their integral is closed.
  mutating func drawStrength(
    engagements: [Double], expected: [Double], _ draws: inout Draws
  ) {
    var weights = spread.logChances
    for (choice, k) in spread.strengths.enumerated() {
      let ofPrior = k * Elementary.log(k) - GammaFunction.log(k)
      for index in values.indices where expected[index] > Self.expectedMin {
        weights[choice] +=
          ofPrior + GammaFunction.log(k + engagements[index])
          - (k + engagements[index]) * Elementary.log(k + expected[index])
      }
    }
    let most = weights.max() ?? 0
    strength = spread.strengths[draws.index(weights: weights.map { Elementary.exp($0 - most) })]
  }

  /// Draws all factors given the sums; those of which nothing is known come from the prior.
  mutating func draw(engagements: [Double], expected: [Double], _ draws: inout Draws) {
    for index in values.indices {
      let drawn = draws.gamma(strength + engagements[index]) / (strength + expected[index])
      values[index] = max(drawn, 1e-9)
    }
  }
}
