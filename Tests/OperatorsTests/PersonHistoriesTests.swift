import Events
import Oracles
import Testing
import Verification
import Views

@testable import Operators

/// Puts facts into an operator and adds up what it hands out.
struct OutcomeLoop: ~Copyable {
  var histories: PersonHistories
  var sums: [NaiveOutcomes.Place: Outcomes] = [:]
  private var contributions = Contributions()

  init(_ policy: PersonPolicy) { histories = PersonHistories(policy: policy) }

  static func key(of person: Int) -> Key128 {
    EventIdentity.personKey(site: "s", id: "p\(person)")
  }

  mutating func insert(_ fact: NaiveOutcomes.Fact) {
    fact.tuple.encoded.withUnsafeBytes { tuple in
      histories.begin(tupleCount: 1) { _ in tuple }
      histories.insert(
        Touch(
          time: fact.time, key: fact.key, revenueMicros: fact.revenue, tuple: 0,
          kind: fact.kind.rawValue), of: Self.key(of: fact.person))
      histories.end()
    }
  }

  mutating func drain() {
    histories.drain(into: &contributions)
    for index in 0..<contributions.count {
      let contribution = contributions[index]
      guard let tuple = DimensionTuple(encoded: contribution.tuple) else { continue }
      let place = NaiveOutcomes.Place(tuple: tuple, window: contribution.start)
      sums[place, default: Outcomes()] += Outcomes(contribution.sums)
      if sums[place]?.isZero ?? false { sums[place] = nil }
    }
    contributions.removeAll()
  }

  mutating func saveAndRestore() throws {
    var writer = SnapshotWriter(kind: .base, pipelineHash: 1)
    histories.snapshot(isComplete: true, into: &writer)
    let bytes = writer.finish()
    var reader = try SnapshotReader(bytes, pipelineHash: 1)
    var restored = PersonHistories(policy: histories.policy)
    try restored.restore(from: &reader, keeping: 0..<256)
    try reader.finish()
    var again = SnapshotWriter(kind: .base, pipelineHash: 1)
    restored.snapshot(isComplete: true, into: &again)
    #expect(again.finish() == bytes)
    histories = restored
  }
}

@Suite struct PersonHistoriesTests {
  static let policy = PersonPolicy(
    sessionGap: 60_000_000, clickLookBack: 300_000_000, impressionLookBack: 120_000_000,
    lateness: 600_000_000, personCountMax: 1000)
  static let base: Int64 = 1_764_000_000_000_000

  static func facts(_ generator: inout SeededGenerator, count: Int) -> [NaiveOutcomes.Fact] {
    (0..<count).map { index in
      let kinds: [EventKind] = [
        .impression, .impression, .click, .view, .engagement, .conversion, .exposure,
      ]
      let kind = kinds.randomElement(using: &generator) ?? .view
      return NaiveOutcomes.Fact(
        person: .random(in: 0..<4, using: &generator),
        // Some at the same moment.
        time: base + Int64.random(in: 0..<600, using: &generator) * 1_000_000,
        key: Key128(low: UInt64(index + 1), high: .random(in: 1 ... .max, using: &generator)),
        kind: kind,
        tuple: DimensionTuple(
          site: "s", campaign: "c\(Int.random(in: 0..<2, using: &generator))",
          content: "k\(Int.random(in: 0..<2, using: &generator))",
          variant: "v\(Int.random(in: 0..<2, using: &generator))",
          currency: kind == .conversion
            ? ["", "EUR", "USD"].randomElement(using: &generator) ?? "" : ""),
        revenue: kind == .conversion ? .random(in: 0..<9_000_000, using: &generator) : 0)
    }
  }

  @Test(
    "Outcomes are those of the set of touches, in any order, with saves, restores and steps between",
    arguments: 0..<400)
  func oracle(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let facts = Self.facts(&generator, count: .random(in: 1...60, using: &generator))
    var loop = OutcomeLoop(Self.policy)
    var watermark = Self.base - 100_000_000
    for fact in facts.shuffled(using: &generator) {
      loop.insert(fact)
      if Int.random(in: 0..<4, using: &generator) == 0 { loop.drain() }
      if Int.random(in: 0..<4, using: &generator) == 0 { try loop.saveAndRestore() }
      if Int.random(in: 0..<4, using: &generator) == 0 {
        watermark += .random(in: 0..<40_000_000, using: &generator)
        loop.histories.advance(watermark: watermark)
      }
    }
    loop.drain()
    #expect(loop.sums == NaiveOutcomes(facts, Self.policy, watermark: watermark).sums, "\(seed)")
    let end = Self.base + 100_000_000_000
    loop.histories.advance(watermark: end)
    loop.drain()
    #expect(loop.sums == NaiveOutcomes(facts, Self.policy, watermark: end).sums, "\(seed)")
    #expect(loop.histories.count == 0 && loop.histories.touchCount == 0)
    #expect(loop.histories.tuples.count == 0)
  }

  @Test(
    "A person that is handed over leaves nothing behind, and counts where it goes",
    arguments: 0..<100)
  func handOver(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let facts = Self.facts(&generator, count: 40)
    var from = OutcomeLoop(Self.policy)
    var to = OutcomeLoop(Self.policy)
    for fact in facts { from.insert(fact) }
    for person in 0..<4 {
      var moved: [NaiveOutcomes.Fact] = []
      from.histories.handOver(OutcomeLoop.key(of: person)) { touch, tuple in
        guard let tuple = DimensionTuple(encoded: tuple), let kind = EventKind(rawValue: touch.kind)
        else { return }
        moved.append(
          NaiveOutcomes.Fact(
            person: person % 2, time: touch.time, key: touch.key, kind: kind, tuple: tuple,
            revenue: touch.revenueMicros))
      }
      for fact in moved { to.insert(fact) }
    }
    from.drain()
    to.drain()
    #expect(from.sums.isEmpty && from.histories.touchCount == 0)
    let together = facts.map {
      var fact = $0
      fact.person %= 2
      return fact
    }
    #expect(to.sums == NaiveOutcomes(together, Self.policy, watermark: 0).sums, "\(seed)")
  }

  @Test("United persons have one history, whenever they are united", arguments: 0..<100)
  func union(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let facts = Self.facts(&generator, count: 40)
    var loop = OutcomeLoop(Self.policy)
    let place = Int.random(in: 0...40, using: &generator)
    for (index, fact) in facts.enumerated() {
      if index == place { loop.histories.unite(OutcomeLoop.key(of: 0), OutcomeLoop.key(of: 1)) }
      loop.insert(fact)
    }
    if place == 40 { loop.histories.unite(OutcomeLoop.key(of: 1), OutcomeLoop.key(of: 0)) }
    loop.drain()
    let together = facts.map {
      var fact = $0
      fact.person = max(1, fact.person)
      return fact
    }
    #expect(loop.sums == NaiveOutcomes(together, Self.policy, watermark: 0).sums, "\(seed)")
  }
}
