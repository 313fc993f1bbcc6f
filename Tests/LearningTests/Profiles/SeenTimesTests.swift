import Events
import Statistics
import Testing

@testable import Learning

@Suite("Who has been away for longest")
struct SeenTimesTests {
  private static func key(_ number: UInt64) -> Key128 { Key128(low: number, high: number) }

  @Test(
    "who goes is who was seen longest ago, of equal ones the one with the smaller key",
    arguments: [1, 2, 3] as [UInt64])
  func oldest(seed: UInt64) throws {
    var draws = Draws(seed: seed)
    var times = SeenTimes()
    var seen: [Key128: Int64] = [:]
    for step in 0..<2_000 {
      let person = Self.key(draws.next() % 400)
      switch draws.next() % 8 {
      case 0:
        // Erased: it is gone before its turn.
        seen[person] = nil
      case 1 where !seen.isEmpty:
        let expected = try #require(
          seen.min { ($0.value, $0.key) < ($1.value, $1.key) }?.key)
        #expect(times.removeOldest { seen[$0] } == expected)
        seen[expected] = nil
      default:
        if seen[person] == nil { times.add(person, at: .min) }
        seen[person] = max(seen[person] ?? .min, Int64(step / 3))
      }
    }
    while !seen.isEmpty {
      let gone = try #require(times.removeOldest { seen[$0] })
      #expect(seen.values.allSatisfy { $0 >= seen[gone] ?? .max })
      seen[gone] = nil
    }
    #expect(times.removeOldest { seen[$0] } == nil)
  }
}
