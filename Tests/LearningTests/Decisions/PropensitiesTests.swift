import Oracles
import Statistics
import Testing

@testable import Learning

@Suite struct PropensitiesTests {
  @Test("Parts add up, keep the floor and are equal where weights are, whatever the weights")
  func adds() {
    var random = SeededGenerator(seed: 3)
    for round in 0..<500 {
      let count = 1 + random.below(40)
      let weights = (0..<count).map { _ in
        switch random.below(5) {
        case 0: 0.0
        case 1: 1e-300
        case 2: Double(random.below(1_000_000))
        case 3: 1e300
        default: Double(random.below(100)) / 7
        }
      }
      let floor = Double(random.below(100)) / 100 / Double(count)
      let allowed = (0..<count).map { _ in !random.once(in: 4) }
      let chances = Propensities(weights, floor: floor, allowed: allowed)
      #expect(chances.parts.reduce(0, +) == Propensities.whole(of: count), "round \(round)")
      for (arm, isAllowed) in allowed.enumerated() where allowed.contains(true) {
        #expect(isAllowed ? chances[arm] >= floor - 1.0 / 65_536 : chances.parts[arm] == 0)
      }
      #expect(Propensities(parts: chances.parts) == chances)
    }
    for count in 1...255 {
      #expect(Propensities(uniform: count)[count - 1] == 1 / Double(count), "\(count)")
    }
    #expect(Propensities([.nan, .infinity, -1]).parts == [21_845, 21_845, 21_845])
    #expect(Propensities(parts: [65_535]) == nil && Propensities(parts: []) == nil)
    // As they were before.
    #expect(Propensities(parts: [21_846, 21_845, 21_845])?[0] == 21_846.0 / 65_536)
    #expect(Propensities([0, 1], allowed: [false, false]).parts == [0, 65_536])
  }

  @Test("Restricted chances keep their proportions, and are equal where none is left")
  func restricted() {
    let chances = Propensities([4, 3, 1, 0, 0])
    #expect(chances.restricted(to: [0, 2]).parts == [52_428, 0, 13_107, 0, 0])
    #expect(chances.restricted(to: [3, 4, 9, -1]).parts == [0, 0, 0, 32_768, 32_767])
    #expect(
      chances.restricted(to: []) == chances && chances.restricted(to: [0, 1, 2, 3, 4]) == chances)
  }

  @Test("A mixture has its share of both")
  func mixed() {
    let (first, other) = (Propensities(only: 0, of: 2), Propensities([1, 3]))
    #expect(first.mixed(with: other, share: 0) == first)
    #expect(first.mixed(with: other, share: 1) == other)
    #expect(first.mixed(with: other, share: 0.5).parts == [40_960, 24_576])
  }

  @Test("Arms are drawn with their chances, by a draw and by a race")
  func drawn() {
    let chances = Propensities([70, 25, 0, 5])
    let count = 40_000
    for isRace in [false, true] {
      var draws = Draws(seed: 5)
      var seen = [0, 0, 0, 0]
      for _ in 0..<count { seen[isRace ? chances.race(&draws) : chances.draw(&draws)] += 1 }
      for arm in 0..<4 {
        let expected = chances[arm] * Double(count)
        #expect((Double(seen[arm]) - expected).magnitude <= 4 * expected.squareRoot(), "\(seen)")
      }
    }
  }

  @Test("The winner of a race stays the same where its chance rises")
  func races() {
    let before = Propensities([40, 30, 30])
    let after = Propensities([70, 15, 15])
    for seed in 0..<500 as Range<UInt64> {
      var (draws, again) = (Draws(seed: seed), Draws(seed: seed))
      if before.race(&draws) == 0 { #expect(after.race(&again) == 0) }
    }
  }
}
