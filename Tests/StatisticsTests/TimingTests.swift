import Testing

@testable import Statistics

@Suite("Timing")
struct TimingTests {
  private static func posts(
    _ count: Int, rate: (Int) -> Double, windows: Int = 1, seed: UInt64 = 1
  ) -> [TimedPost] {
    var draws = Draws(seed: seed)
    return (0..<count).map { number in
      let slot = min(167, Int(168 * draws.unit()))
      let mean = rate(slot) * draws.gamma(4) / 4
      return TimedPost(
        channel: 0, audience: 0, window: number % windows, slot: slot,
        engagements: mean.rounded())
    }
  }

  private static func slots(_ posts: [TimedPost], allowed: [Int]) -> [SlotPosterior.Slot] {
    SlotModel(posts, channels: 1, audiences: 1, windows: 2).posterior()
      .slots(channel: 0, audience: 0, allowed: allowed)
  }

  @Test("without posts every hour is as good as the others, and nobody is sure")
  func nothing() {
    let slots = Self.slots([], allowed: Array(0..<24))
    #expect(slots.count == 24 && slots.reduce(0) { $0 + $1.propensity } == 65_536)
    #expect(slots.allSatisfy { $0.gainLower < 0 && $0.gainUpper > 0 })
    #expect(slots.allSatisfy { $0.gain.magnitude < 0.15 }, "\(slots.map(\.gain))")
    #expect(slots.allSatisfy { $0.propensity >= 54 }, "\(slots.map(\.propensity))")
    #expect(Self.slots([], allowed: []).isEmpty)
  }

  @Test("the evening is found where it is better, and is drawn more often")
  func evening() throws {
    let posts = Self.posts(600) { (18...21).contains(WeekSlots.hour($0)) ? 90 : 30 }
    let slots = Self.slots(posts, allowed: Array(0..<WeekSlots.count))
    let best = try #require(slots.max { $0.gain < $1.gain })
    #expect((18...21).contains(WeekSlots.hour(best.slot)))
    #expect(best.gainLower > 0.5 && best.gain < 2)
    let evenings = slots.filter { (18...21).contains(WeekSlots.hour($0.slot)) }
    #expect(evenings.reduce(0) { $0 + $1.propensity } > 60_000)
    // Truth: 90 beside a mean of 40.
    #expect(
      evenings.count { $0.gainLower <= 1.25 && 1.25 <= $0.gainUpper } >= evenings.count * 3 / 4)
  }

  @Test("a window whose posts are better does not make its hours better")
  func windows() throws {
    var posts: [TimedPost] = []
    var draws = Draws(seed: 3)
    for number in 0..<600 {
      // Good posts may go out in the evening only, others at any time; the hour itself does nothing.
      let isGood = number.isMultiple(of: 2)
      let hour = isGood ? 18 + Int(4 * draws.unit()) : Int(24 * draws.unit())
      let slot = 24 * Int(7 * draws.unit()) + hour
      posts.append(
        TimedPost(
          channel: 0, audience: 0, window: isGood ? 1 : 0, slot: slot,
          engagements: ((isGood ? 100 : 40) * draws.gamma(6) / 6).rounded()))
    }
    let slots = Self.slots(posts, allowed: Array(0..<24))
    for slot in slots { #expect(slot.gain.magnitude < 0.3, "\(slot.slot)") }
  }

  @Test("the same posts give the same bits")
  func repeatable() {
    let posts = Self.posts(100) { 10 + Double(WeekSlots.hour($0)) }
    #expect(
      Self.slots(posts, allowed: [3, 20, 100]) == Self.slots(posts, allowed: [3, 20, 100]))
  }

  @Test(
    "shares become 65,536ths that add up",
    arguments: [[1.0], [0.5, 0.25, 0.25], [1 / 3.0, 1 / 3.0, 1 / 3.0]])
  func shares(shares: [Double]) {
    let parts = SlotPosterior.whole(shares)
    #expect(parts.reduce(0, +) == 65_536)
    for (part, share) in zip(parts, shares) {
      #expect((Double(part) - share * 65_536).magnitude < 1)
    }
  }

  @Test("hours of the week are counted from Monday")
  func hours() {
    // 2025-11-24T10:00:00Z was a Monday.
    #expect(WeekSlots.slot(1_763_978_400_000_000) == 10 && WeekSlots.text(10) == "1-10")
    #expect(WeekSlots.slot(0) == 72 && WeekSlots.slot(-1) == 71 && WeekSlots.text(167) == "7-23")
  }
}
