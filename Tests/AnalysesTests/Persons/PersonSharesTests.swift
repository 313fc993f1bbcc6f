import Events
import Oracles
import Testing

@testable import Analyses

@Suite("Shares of persons")
struct PersonSharesTests {
  private static func key(_ number: Int) -> Key128 {
    Key128(low: UInt64(number) &* 0x9e37_79b9_7f4a_7c15, high: UInt64(number))
  }

  @Test(
    "Keys that are connected over others are in one share, in whatever order that is heard",
    arguments: 0..<60)
  func connected(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let links = (0..<60).map { _ in (random.below(80), random.below(80)) }
    var graph = IdentityGraph()
    for (a, b) in links { graph.link(Self.key(a), Self.key(b)) }
    // The same connections, heard of two streams in another order.
    var parts = [IdentityGraph(), IdentityGraph()]
    for (index, (a, b)) in links.shuffled(using: &random).enumerated() {
      parts[index % 2].link(Self.key(b), Self.key(a))
    }
    parts[0].merge(parts[1])
    let (shares, others) = (graph.shares(7), parts[0].shares(7))
    // Labels that spread along links until nothing changes.
    var labels = Array(0..<80)
    var hasChanged = true
    while hasChanged {
      hasChanged = false
      for (a, b) in links where labels[a] != labels[b] {
        let least = min(labels[a], labels[b])
        labels[a] = least
        labels[b] = least
        hasChanged = true
      }
    }
    for a in 0..<80 {
      #expect(shares.place(of: Self.key(a)) == others.place(of: Self.key(a)))
      for b in 0..<a where labels[a] == labels[b] {
        #expect(shares.place(of: Self.key(a)) == shares.place(of: Self.key(b)), "seed \(seed)")
      }
    }
    #expect(Set((0..<200).map { shares.place(of: Self.key($0)) }) == Set(0..<7))
  }
}
