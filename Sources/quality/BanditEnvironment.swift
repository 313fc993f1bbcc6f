import Foundation
import Statistics

/// Arms whose rates are those of clicks, 0.5 % to 5 %, and what happens to them over 100,000 decisions.
enum BanditEnvironment: String, CaseIterable {
  /// Rates stay.
  case stationary
  /// All rates are drawn anew every 20,000 decisions.
  case abrupt
  /// Each rate goes up and down by factors of 2.2, in 20,000 to 60,000 decisions.
  case smooth
  /// Each arm wears off by 1/e in 10,000 decisions, and a new one takes its place some time.
  case replaced

  static let arms = 10
  static let horizon = 100_000

  /// What a policy loses beside the best arm of each moment, in rewards.
  func regret(of policy: any BanditPolicy, seed: UInt64) -> Double {
    var policy = policy
    var world = BanditWorld(self, seed: seed)
    var draws = Draws(seed: seed ^ 0x5eed)
    var regret = 0.0
    for time in 0..<Self.horizon {
      world.advance(to: time)
      let luck = world.luck()
      let arm = policy.choose(&draws)
      policy.learn(arm: arm, reward: luck < world.rates[arm] ? 1 : 0)
      regret += world.best - world.rates[arm]
    }
    return regret
  }
}

/// The rates of an environment at a moment.
struct BanditWorld {
  private(set) var rates: [Double]
  private let environment: BanditEnvironment
  private var random: SplitMix64
  private var base: [Double]
  private var births: [Int]
  private let waves: [(phase: Double, period: Double)]

  private static let fullTurn = 2 * Double.pi

  init(_ environment: BanditEnvironment, seed: UInt64) {
    self.environment = environment
    var random = SplitMix64(seed: seed)
    let arms = 0..<BanditEnvironment.arms
    base = arms.map { _ in Self.rate(&random) }
    rates = base
    births = arms.map { _ in -Int(random.unit() * 10_000) }
    waves = arms.map { _ in (Self.fullTurn * random.unit(), 20_000 + 40_000 * random.unit()) }
    self.random = random
  }

  var best: Double { rates.max() ?? 0 }

  /// The same for every policy.
  mutating func luck() -> Double { random.unit() }

  mutating func advance(to time: Int) {
    switch environment {
    case .stationary: break
    case .abrupt:
      guard time > 0, time.isMultiple(of: 20_000) else { return }
      for arm in rates.indices { rates[arm] = Self.rate(&random) }
    case .smooth:
      for (arm, wave) in waves.enumerated() {
        let angle = wave.phase + Self.fullTurn * Double(time) / wave.period
        rates[arm] = base[arm] * exp(0.8 * sin(angle))
      }
    case .replaced:
      for arm in rates.indices {
        if time - births[arm] > 15_000, random.unit() < 1.0 / 5_000 {
          base[arm] = Self.rate(&random)
          births[arm] = time
        }
        rates[arm] = base[arm] * exp(-Double(max(0, time - births[arm])) / 10_000)
      }
    }
  }

  private static func rate(_ random: inout SplitMix64) -> Double {
    0.005 * pow(10, random.unit())
  }
}
