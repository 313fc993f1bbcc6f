/// When to post: engagement by hour of the week, channel and audience, with what is not known about it.
///
/// A hierarchical Gamma–Poisson model. A post's engagements are a count with the mean
///
///     exposure × level × hours of all × hours of the channel × hours of the audience × hours of both × window
///
/// where each part is a product of gamma factors with mean 1 (``SlotFactors``): for parts of the day, hours, days,
/// hours of working days and weekends, and single hours of the week. How far the factors of a level are from 1 is
/// learned with them, so that an hour of which little is known is taken to be like those of its day, channel and
/// audience, and these like all. Posts differ by themselves: counts vary more than Poisson's, by a negative binomial
/// variance m + m²/φ whose φ is estimated; a post weighs φ/(φ + m), which is its information.
///
/// The factors are causal if times were drawn within allowed windows: then posts of a window do not differ between
/// its hours but by chance. Windows may differ (better posts may have wider ones), so each has a level of
/// its own, and only hours of a window are compared with each other.
///
/// Inference by Gibbs' sampler: each factor given the others is a gamma distribution again, and the strengths are
/// drawn with their factors integrated out. A fixed seed: the same posts in the same order give the same bits.
/// Cost: posts × 15 × 210 steps, 40 ms for 2,000. Fails where a window allows one hour only: its posts say
/// nothing, and where channels change their habits, as it does not forget by itself: hand it the posts of late.
public struct SlotModel: Sendable {
  private let posts: [TimedPost]
  private let channels: Int
  private let audiences: Int
  /// Engagements by exposure of all posts.
  private let base: Double
  private var families: [SlotFactors]
  /// Of each family, which factor each post has.
  private let places: [[Int32]]
  private var means: [Double]
  private var weights: [Double]
  /// 1/φ.
  private var dispersion = 0.5

  private static let warmUp = 60
  static let samples = 150
  private static let strengthEvery = 10

  /// - Parameter posts: with positive exposure and numbers below the counts.
  public init(_ posts: [TimedPost], channels: Int, audiences: Int, windows: Int) {
    self.posts = posts
    self.channels = max(1, channels)
    self.audiences = max(1, audiences)
    var (engagements, exposure) = (0.5, 0.0)
    for post in posts {
      engagements += post.engagements
      exposure += post.exposure
    }
    base = engagements / max(exposure, 1e-9)
    families = Self.families(channels: self.channels, audiences: self.audiences, max(1, windows))
    let count = self.audiences
    places = families.map { family in
      posts.map { Int32(Self.place(family, $0, audiences: count)) }
    }
    let level = base
    means = posts.map { $0.exposure * level }
    weights = posts.map { _ in 1 }
  }

  private static func families(channels: Int, audiences: Int, _ windows: Int) -> [SlotFactors] {
    let pairs = channels * audiences
    func hours(
      _ group: SlotFactors.Group, _ groups: Int, _ cells: [SlotFactors.Cell]
    ) -> [SlotFactors] {
      cells.map { SlotFactors(group, $0, groups: groups, .ofHours) }
    }
    func level(_ group: SlotFactors.Group, _ groups: Int) -> SlotFactors {
      SlotFactors(group, .whole, groups: groups, .ofLevels)
    }
    return [
      level(.all, 1), level(.channel, channels), level(.audience, audiences), level(.pair, pairs),
      level(.window, windows),
    ] + hours(.all, 1, smooth(8) + smooth(4) + smooth(2) + [.day] + smoothByKind(4))
      + hours(.channel, channels, smooth(8) + smooth(4) + [.day])
      + hours(.audience, audiences, smooth(8) + smooth(4) + smooth(2) + [.day] + smoothByKind(4))
      + hours(.pair, pairs, smooth(4) + [.slot])
  }

  /// Two sets of blocks that overlap by half.
  private static func smooth(_ hours: Int) -> [SlotFactors.Cell] {
    [.block(hours: hours, from: 0), .block(hours: hours, from: hours / 2)]
  }

  private static func smoothByKind(_ hours: Int) -> [SlotFactors.Cell] {
    [.kindOfDay(hours: hours, from: 0), .kindOfDay(hours: hours, from: hours / 2)]
  }

  private static func place(_ family: SlotFactors, _ post: TimedPost, audiences: Int) -> Int {
    let group =
      switch family.group {
      case .all: 0
      case .channel: post.channel
      case .audience: post.audience
      case .pair: post.channel * audiences + post.audience
      case .window: post.window
      }
    return group * family.cell.count + family.cell.of(post.slot)
  }

  /// What the posts say.
  public consuming func posterior(seed: UInt64 = 1) -> SlotPosterior {
    var draws = Draws(seed: seed)
    var rates = [[Float]](
      repeating: [], count: channels * audiences)
    for pair in rates.indices {
      rates[pair].reserveCapacity(Self.samples * WeekSlots.count)
    }
    for step in 0..<Self.warmUp + Self.samples {
      sweep(&draws, strengths: step.isMultiple(of: step < Self.warmUp ? 3 : Self.strengthEvery))
      guard step >= Self.warmUp else { continue }
      for pair in rates.indices { append(pair, to: &rates[pair]) }
    }
    return SlotPosterior(
      audiences: audiences, samples: Self.samples, rates: rates, dispersion: dispersion)
  }

  private mutating func sweep(_ draws: inout Draws, strengths: Bool) {
    weigh()
    for index in families.indices {
      let count = families[index].values.count
      var engagements = [Double](repeating: 0, count: count)
      var expected = engagements
      for post in posts.indices {
        let place = Int(places[index][post])
        engagements[place] += weights[post] * posts[post].engagements
        expected[place] += weights[post] * means[post]
      }
      let before = families[index].values
      for place in before.indices { expected[place] /= before[place] }
      if strengths {
        families[index].drawStrength(engagements: engagements, expected: expected, &draws)
      }
      families[index].draw(engagements: engagements, expected: expected, &draws)
      let ratios = zip(families[index].values, before).map { $0 / $1 }
      for post in posts.indices { means[post] *= ratios[Int(places[index][post])] }
    }
  }

  /// How much posts differ by themselves, by moments, and what each one weighs for it.
  private mutating func weigh() {
    var (excess, squares) = (0.0, 1e-9)
    for (post, mean) in zip(posts, means) {
      let difference = post.engagements - mean
      // Large counts would have all the say in sums of squares: each weighs by its share of the variance.
      let weight = 1 / (1 + dispersion * mean)
      excess += weight * weight * (difference * difference - mean)
      squares += weight * weight * mean * mean
    }
    dispersion = min(max(excess / squares, 1e-6), 4)
    for post in posts.indices { weights[post] = 1 / (1 + dispersion * means[post]) }
  }

  private func append(_ pair: Int, to rates: inout [Float]) {
    for slot in 0..<WeekSlots.count {
      var rate = base
      for family in families where family.group != .window {
        let group =
          switch family.group {
          case .channel: pair / audiences
          case .audience: pair % audiences
          case .pair: pair
          case .all, .window: 0
          }
        rate *= family.values[group * family.cell.count + family.cell.of(slot)]
      }
      rates.append(Float(rate))
    }
  }
}
