import Oracles
import Testing

@testable import Statistics

@Suite("Change points of counts")
struct ChangePointTests {
  /// Counts of a season, a little more spread than chance.
  private static func series(
    _ random: inout SeededGenerator, count: Int, change: Int, factor: Double
  ) -> (observed: [Double], expected: [Double]) {
    var observed: [Double] = []
    var expected: [Double] = []
    for index in 0..<count {
      let mean = 40.0 + 30 * Double(index % 12) / 12
      let rate = mean * (index < change ? 1 : factor)
      expected.append(mean)
      observed.append(Double(random.count(of: Int(rate * 10), 0.1)))
    }
    return (observed, expected)
  }

  @Test("a level that shifts is found where it does", arguments: [0.4, 0.7, 1.5, 3])
  func shift(factor: Double) throws {
    var near = 0
    for seed in 1...40 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let (observed, expected) = Self.series(&random, count: 48, change: 31, factor: factor)
      let point = try #require(ChangePoint(observed: observed, expected: expected))
      #expect((point.ratioBefore - 1).magnitude < 0.15)
      #expect((point.ratioAfter / factor - 1).magnitude < 0.2)
      if (30...32).contains(point.index) { near += 1 }
    }
    #expect(near >= 36, "\(near) of 40")
  }

  @Test("where nothing changes hardly a series has one")
  func none() {
    var found = 0
    for seed in 1...400 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let (observed, expected) = Self.series(&random, count: 48, change: 48, factor: 1)
      if ChangePoint(observed: observed, expected: expected) != nil { found += 1 }
    }
    #expect(found <= 12, "\(found) of 400")
  }

  @Test("silence and too few counts are no change of their own")
  func edges() throws {
    #expect(ChangePoint(observed: [], expected: []) == nil)
    #expect(ChangePoint(observed: [5], expected: [1]) == nil)
    #expect(ChangePoint(observed: [0, 0, 0, 0], expected: [1, 1, 1, 1]) == nil)
    #expect(ChangePoint(observed: [1, 0, 2, 0], expected: [1, 1, 1, 1]) == nil)
    let outage = try #require(
      ChangePoint(observed: [20, 22, 18, 0, 0, 0], expected: [20, 20, 20, 20, 20, 20]))
    #expect(outage.index == 3 && outage.ratioAfter == 0)
  }
}
