import ArgumentParser
import Foundation
import Statistics

/// Simulated audiences with hidden best hours: what it costs to learn them by drawn times, beside always posting
/// when the past looks best.
struct TimingQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "timing",
    abstract: "Regret of posting times and coverage of their gains, on simulated audiences.")

  @OptionGroup var options: QualityOptions
  @Option(help: "Simulated worlds.") var worlds = 10

  func run() async throws {
    guard worlds > 0 else { throw QualityError("--worlds is \(worlds): give at least 1") }
    QualityTable.show(Self.measure(worlds: worlds), json: options.json)
  }

  /// Posts of the past, of each channel and audience.
  private static let pastOfPair = 200
  /// Posts to come, of each channel and audience.
  private static let postsOfPair = 400
  /// How many are planned at once at least; later a twentieth of what there is.
  private static let planned = 12

  struct Run {
    var ours = 0.0
    var observed = 0.0
    var smoothed = 0.0
    var random = 0.0
    var covered = (slots: 0, best: 0)
    var asked = (slots: 0, best: 0)
  }

  static func measure(worlds: Int) -> [QualityTable] {
    var regret = QualityTable(
      "Regret, average posts per 100 posts, \(worlds) worlds, "
        + "\(postsOfPair * TimingWorld.pairs) posts",
      columns: ["ours", "best hour seen", "the same, shrunk", "any hour"])
    var coverage = QualityTable(
      "90 % intervals of gain that cover, %", columns: ["all hours", "best hours"])
    for confounding in TimingWorld.Confounding.allCases {
      var sum = Run()
      for world in 0..<worlds {
        let run = run(confounding, seed: 7_000 + UInt64(world))
        sum.ours += run.ours
        sum.observed += run.observed
        sum.smoothed += run.smoothed
        sum.random += run.random
        sum.covered.slots += run.covered.slots
        sum.covered.best += run.covered.best
        sum.asked.slots += run.asked.slots
        sum.asked.best += run.asked.best
      }
      let scale = 100 / Double(worlds * postsOfPair * TimingWorld.pairs)
      regret.add(
        "timing_regret_\(confounding)", confounding.rawValue,
        [sum.ours, sum.observed, sum.smoothed, sum.random].map { $0 * scale },
        goal: .atMost(0.6 * sum.observed * scale, sum.ours * scale))
      let share = 100 * Double(sum.covered.slots) / Double(sum.asked.slots)
      coverage.add(
        "timing_coverage_\(confounding)", confounding.rawValue,
        [share, 100 * Double(sum.covered.best) / Double(sum.asked.best)],
        goal: .init(text: "87 to 95", isMet: (87...95).contains(share)))
    }
    return [regret, coverage]
  }

  /// One world: its past, then posts one after the other, each of which may go out in a window of one to three days.
  static func run(_ confounding: TimingWorld.Confounding, seed: UInt64) -> Run {
    var run = Run()
    var world = TimingWorld(confounding, seed: seed)
    let past = world.past(postsOfPair: pastOfPair)
    let observed = ObservedHours(past)
    let model = posterior(past)
    let smoothed = (0..<TimingWorld.pairs).map {
      model.meanRates(channel: $0 / TimingWorld.audiences, audience: $0 % TimingWorld.audiences)
    }
    var posts: [TimedPost] = []
    var learned = posterior(posts)
    var next = planned
    for number in 0..<postsOfPair * TimingWorld.pairs {
      if posts.count >= next {
        learned = posterior(posts)
        next = posts.count + max(planned, posts.count / 20)
      }
      let pair = number % TimingWorld.pairs
      let (channel, audience) = (pair / TimingWorld.audiences, pair % TimingWorld.audiences)
      let (window, allowed) = world.window()
      let rates = world.rates[pair]
      let best = allowed.map { rates[$0] }.max() ?? 0
      func regret(_ slot: Int) -> Double { best - rates[slot] }
      let chances = learned.propensities(channel: channel, audience: audience, allowed: allowed)
      let slot = world.draw(allowed, chances)
      run.ours += regret(slot)
      run.observed += regret(observed.best(pair, allowed))
      run.smoothed += regret(allowed.max { smoothed[pair][$0] < smoothed[pair][$1] } ?? slot)
      run.random += allowed.reduce(0) { $0 + regret($1) } / Double(allowed.count)
      posts.append(world.post(pair, slot, window: window, quality: world.quality()))
    }
    learned = posterior(posts)
    for pair in 0..<TimingWorld.pairs {
      let slots = learned.slots(
        channel: pair / TimingWorld.audiences, audience: pair % TimingWorld.audiences,
        allowed: Array(0..<WeekSlots.count))
      let best = slots.max { $0.gain < $1.gain }?.slot
      for slot in slots {
        // The rates of a world have mean 1 over the week.
        let truth = world.rates[pair][slot.slot] - 1
        let covers = slot.gainLower <= truth && truth <= slot.gainUpper ? 1 : 0
        run.covered.slots += covers
        run.asked.slots += 1
        guard slot.slot == best else { continue }
        run.covered.best += covers
        run.asked.best += 1
      }
    }
    return run
  }

  private static func posterior(_ posts: [TimedPost]) -> SlotPosterior {
    SlotModel(
      posts, channels: TimingWorld.channels, audiences: TimingWorld.audiences,
      windows: TimingWorld.windows
    ).posterior()
  }
}

/// The hour of the week with the highest mean of the past, of those that were tried.
struct ObservedHours {
  private var means: [[Double]]

  init(_ posts: [TimedPost]) {
    var sums = [[Double]](
      repeating: [Double](repeating: 0, count: WeekSlots.count), count: TimingWorld.pairs)
    var counts = sums
    for post in posts {
      let pair = post.channel * TimingWorld.audiences + post.audience
      sums[pair][post.slot] += post.engagements
      counts[pair][post.slot] += 1
    }
    means = sums.indices.map { pair in
      sums[pair].indices.map {
        counts[pair][$0] > 0 ? sums[pair][$0] / counts[pair][$0] : 0
      }
    }
  }

  func best(_ pair: Int, _ allowed: [Int]) -> Int {
    allowed.max { means[pair][$0] < means[pair][$1] } ?? 0
  }
}

/// Audiences on channels, each with hours of its own that nobody knows, and a past in which people posted what they
/// thought was good when they thought it was good.
struct TimingWorld {
  enum Confounding: String, CaseIterable {
    case moderate = "better posts at prime time"
    case strong = "the best posts at prime time"

    /// By how much a post that is a standard deviation better is drawn to prime time.
    var pull: Double { self == .moderate ? 0.5 : 1 }
  }

  static let channels = 2
  static let audiences = 3
  static let pairs = channels * audiences
  static let windows = 3
  /// Engagements of an average post of each pair.
  private static let levels = [20.0, 40, 80, 30, 15, 60]
  private static let qualityDeviation = 0.6

  /// By pair, then by hour of the week; of mean 1.
  let rates: [[Double]]
  private let belief: [Double]
  private let confounding: Confounding
  private var random: Draws

  init(_ confounding: Confounding, seed: UInt64) {
    self.confounding = confounding
    var random = Draws(seed: seed)
    let peaks = (0..<Self.audiences).map { _ in 24 * random.unit() }
    let weekends = (0..<Self.audiences).map { _ in 6 * random.normal() / 2 }
    let shifts = (0..<Self.channels).map { _ in 2 * random.normal() }
    let second = (0..<Self.channels).map { _ in random.unit() }
    let days = (0..<7).map { _ in 0.1 * random.normal() }
    var rates: [[Double]] = []
    for pair in 0..<Self.pairs {
      let (channel, audience) = (pair / Self.audiences, pair % Self.audiences)
      var values: [Double] = []
      for slot in 0..<WeekSlots.count {
        let weekend = WeekSlots.isWeekend(slot) ? weekends[audience] : 0
        let peak = peaks[audience] + shifts[channel] + weekend
        let hour = Double(WeekSlots.hour(slot))
        let height =
          Self.hump(hour - peak, width: 3)
          + 0.6 * second[channel] * Self.hump(hour - peak - 10, width: 2)
        values.append(exp(0.9 * height + days[WeekSlots.day(slot)] + 0.03 * random.normal()))
      }
      let mean = values.reduce(0, +) / Double(values.count)
      rates.append(values.map { $0 / mean })
    }
    self.rates = rates
    // People are wrong by some hours, and think of the first audience.
    let prime = peaks[0] + 4 * random.normal()
    belief = (0..<WeekSlots.count).map { slot in
      let hour = Double(WeekSlots.hour(slot))
      return 1.5 * Self.hump(hour - prime, width: 2) - (hour < 6 ? 1.5 : 0)
    }
    self.random = random
  }

  /// 1 at the middle, around the clock.
  private static func hump(_ distance: Double, width: Double) -> Double {
    let turns = distance / 24
    let hours = 24 * (turns - turns.rounded())
    return exp(-0.5 * hours * hours / (width * width))
  }

  /// Standard deviations from an average post.
  mutating func quality() -> Double { random.normal() }

  mutating func post(_ pair: Int, _ slot: Int, window: Int, quality: Double) -> TimedPost {
    let deviation = Self.qualityDeviation
    let mean =
      Self.levels[pair] * rates[pair][slot]
      * exp(deviation * quality - deviation * deviation / 2)
    return TimedPost(
      channel: pair / Self.audiences, audience: pair % Self.audiences, window: window, slot: slot,
      engagements: Double(poisson(mean)))
  }

  mutating func past(postsOfPair: Int) -> [TimedPost] {
    var posts: [TimedPost] = []
    for pair in 0..<Self.pairs {
      for _ in 0..<postsOfPair {
        let quality = quality()
        let pull = confounding.pull
        let weights = belief.map { exp($0 * (1 + pull * quality)) }
        posts.append(post(pair, random.index(weights: weights), window: 0, quality: quality))
      }
    }
    return posts
  }

  /// Hours in which a post may go out: one, two or three days from any hour on.
  mutating func window() -> (number: Int, slots: [Int]) {
    let days = min(2, Int(3 * random.unit()))
    let start = min(167, Int(168 * random.unit()))
    return (days, (0..<24 * (days + 1)).map { (start + $0) % WeekSlots.count })
  }

  mutating func draw(_ slots: [Int], _ chances: [Int]) -> Int {
    slots[random.index(weights: chances.map { Double($0) })]
  }

  /// A sum of those with means that a product of uniform numbers can do (Knuth).
  private mutating func poisson(_ mean: Double) -> Int {
    var (rest, count) = (mean, 0)
    while rest > 0 {
      let limit = exp(-min(rest, 30))
      var product = random.unit()
      while product > limit {
        count += 1
        product *= random.unit()
      }
      rest -= 30
    }
    return count
  }
}
