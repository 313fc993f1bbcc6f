import Events
import Oracles
import Testing

@testable import Operators

@Suite("Identity links")
struct IdentityLinksTests {
  private static let ann = Key128(low: 1, high: 9)
  private static let bob = Key128(low: 2, high: 9)

  private static func device(_ number: Int) -> Key128 {
    Key128(low: UInt64(number) &* 0x9e37_79b9, high: UInt64(number + 1))
  }

  @Test("The last user that signed in on a device is its user")
  func last() {
    var links = IdentityLinks(keep: 5 * hour, countMax: 10)
    links.advance(watermark: noon)
    let device = Self.device(1)
    var user = links.user(of: device)
    #expect(user == nil)
    // Who signs in, and whether that is news.
    for (next, isNew) in [(Self.ann, true), (Self.ann, false), (Self.bob, true), (Self.ann, true)] {
      let isLinked = links.link(device, to: next)
      user = links.user(of: device)
      #expect(isLinked == isNew && user == next)
    }
    #expect(links.count == 1 && links.stateSize.keyCount == 1)
  }

  @Test("A link that is ended is none, also behind a snapshot, until somebody signs in again")
  func unlinked() throws {
    var links = IdentityLinks(keep: 5 * hour, countMax: 10)
    links.advance(watermark: noon)
    let device = Self.device(1)
    for (from, isEnded) in [(Self.bob, false), (Self.ann, true), (.zero, true)] {
      _ = links.link(device, to: Self.ann)
      links.unlink(device, from: from)
      let user = links.user(of: device)
      #expect((user == nil) == isEnded)
    }
    var writer = SnapshotWriter(kind: .base, pipelineHash: 1)
    links.snapshot(isComplete: true, into: &writer)
    var restored = IdentityLinks(keep: 5 * hour, countMax: 10)
    var reader = try SnapshotReader(writer.finish(), pipelineHash: 1)
    try restored.restore(from: &reader, keeping: 0..<KeyGroup.count)
    let user = restored.user(of: device)
    let isNew = restored.link(device, to: Self.ann)
    #expect(user == nil && isNew && restored.count == 1)
  }

  @Test("A link is forgotten once nothing has used it for as long as it is kept, in whole hours")
  func expiry() {
    // The hours after the link at which it is used, and whether it is still known then.
    let stories: [[(hours: Int64, isKnown: Bool)]] = [
      [(6, true)], [(7, false)], [(6, true), (12, true), (18, true)], [(5, true), (12, false)],
    ]
    for story in stories {
      var links = IdentityLinks(keep: 5 * hour, countMax: 10)
      links.advance(watermark: noon)
      _ = links.link(Self.device(1), to: Self.ann)
      for (hours, isKnown) in story {
        links.advance(watermark: noon + hours * hour)
        let user = links.user(of: Self.device(1))
        #expect((user == Self.ann) == isKnown, "after \(hours) hours of \(story)")
      }
    }
  }

  @Test("Of devices too many no link is kept, until others are forgotten")
  func limit() {
    var links = IdentityLinks(keep: 5 * hour, countMax: 3)
    links.advance(watermark: noon)
    let linked = (0..<5).map { links.link(Self.device($0), to: Self.ann) }
    #expect(linked == [true, true, true, false, false])
    #expect(links.count == 3 && links.refused == 2)
    // One that is known may still change its user.
    let isChanged = links.link(Self.device(0), to: Self.bob)
    links.advance(watermark: noon + 10 * hour)
    let isKept = links.link(Self.device(4), to: Self.ann)
    #expect(isChanged && isKept && links.count == 1 && links.refused == 2)
  }

  @Test("Links agree with a dictionary through growth")
  func oracle() {
    for seed in 1...10 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      var links = IdentityLinks(keep: day, countMax: 100_000)
      links.advance(watermark: noon)
      var naive: [Int: UInt64] = [:]
      var ended: Set<Int> = []
      for _ in 0..<5000 {
        let device = random.below(2000)
        if random.once(in: 8) {
          let user = UInt64(random.below(6))
          links.unlink(
            Self.device(device), from: user == 0 ? .zero : Key128(low: user, high: 9))
          if user == 0 || user == naive[device] {
            if naive.removeValue(forKey: device) != nil { ended.insert(device) }
          }
        } else if random.once(in: 2) {
          let user = UInt64(1 + random.below(5))
          let isNew = links.link(Self.device(device), to: Key128(low: user, high: 9))
          #expect(isNew == (naive[device] != user), "seed \(seed)")
          naive[device] = user
          ended.remove(device)
        } else {
          let user = links.user(of: Self.device(device))
          #expect(user?.low == naive[device], "seed \(seed)")
        }
      }
      #expect(links.count == naive.count + ended.count, "seed \(seed)")
    }
  }

  @Test("A partition takes the links of its groups out of the bases of others, and no more")
  func groups() throws {
    var links = IdentityLinks(keep: day, countMax: 1000)
    links.advance(watermark: noon)
    for device in 0..<200 { _ = links.link(Self.device(device), to: Self.ann) }
    var writer = SnapshotWriter(kind: .base, pipelineHash: 1)
    links.snapshot(isComplete: true, into: &writer)
    let bytes = writer.finish()
    var counts: [Int] = []
    for groups in [0..<100, 100..<256] {
      var part = IdentityLinks(keep: day, countMax: 1000)
      var reader = try SnapshotReader(bytes, pipelineHash: 1)
      try part.restore(from: &reader, keeping: groups)
      try reader.finish()
      for device in 0..<200 {
        let user = part.user(of: Self.device(device))
        #expect((user != nil) == groups.contains(KeyGroup.of(person: Self.device(device))))
      }
      counts.append(part.count)
    }
    #expect(counts.reduce(0, +) == 200 && counts.allSatisfy { $0 > 0 })
  }
}
