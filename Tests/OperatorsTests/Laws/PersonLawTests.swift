import Events
import Oracles
import Testing
import Verification
import Views

@testable import Operators

@Suite struct PersonLawTests {
  /// Runs a story and compares it with the naive one after every step.
  private func run(_ story: PersonStory, seed: UInt64, restarts: Bool) throws -> [UInt8] {
    var run = PersonRun(story.policy)
    var naive = NaivePersons(story.policy)
    for (index, step) in story.steps.enumerated() {
      switch step {
      case .insert(let touch, let person):
        run.insert(touch, of: person)
        naive.insert(touch, of: person)
      case .advance(let watermark):
        run.histories.advance(watermark: watermark)
        naive.advance(watermark: watermark)
      case .unite(let a, let b):
        if isFull(run, naive, a, b) { continue }
        run.histories.unite(a, b)
        naive.unite(a, b)
      case .handOver(let from, let to):
        let moved = run.handOver(from)
        let naiveMoved = naive.handOver(from)
        #expect(moved.touches == naiveMoved.touches, "step \(index), seed \(seed)")
        #expect(
          Set(moved.anchors.map(\.time)) == Set(naiveMoved.anchors.map(\.time)),
          "step \(index), seed \(seed)")
        run.insert(moved, of: to)
        for anchor in naiveMoved.anchors { naive.insert(anchor: anchor, of: to) }
        for touch in naiveMoved.touches { naive.insert(touch, of: to) }
      case .drain: run.drain()
      case .save(let isComplete): run.save(isComplete: isComplete)
      case .restart: if restarts { try run.restart() }
      }
      if index % 3 == 0 {
        run.drain()
        let isEqual = run.isEqual(to: naive)
        #expect(isEqual, "step \(index), seed \(seed)")
        if !isEqual { return [] }
      }
    }
    run.drain()
    let isEqual = run.isEqual(to: naive)
    #expect(isEqual, "seed \(seed)")
    #expect(run.histories.count == 0 && run.histories.idleCount == 0, "seed \(seed)")
    #expect(
      run.histories.anchorArena.byteCount == 0 && run.histories.touchCount == 0, "seed \(seed)")
    #expect(run.histories.unitedCount == 0 && run.histories.arena.byteCount == 0, "seed \(seed)")
    run.histories.begin(tupleCount: 0) { _ in UnsafeRawBufferPointer(start: nil, count: 0) }
    #expect(run.histories.tuples.count == 0, "seed \(seed)")
    return run.bytes()
  }

  /// A union that would need more persons than are allowed is refused: not part of these stories.
  private func isFull(
    _ run: borrowing PersonRun, _ naive: NaivePersons, _ a: Key128, _ b: Key128
  ) -> Bool {
    let newCount = Set([a, b].filter { naive.root($0) == nil }).count
    return naive.persons.count + newCount > naive.policy.personCountMax
      || run.histories.unitedCount >= naive.policy.personCountMax
  }

  @Test("Persons' outcomes are, after every step, those of brute force")
  func oracle() throws {
    for seed in 1...250 as ClosedRange<UInt64> {
      let story = PersonStory(seed: seed, count: 90, movesPersons: seed % 2 == 0)
      let straight = try run(story, seed: seed, restarts: false)
      let restarted = try run(story, seed: seed, restarts: true)
      #expect((straight == restarted) == true, "seed \(seed)")
    }
  }

  @Test("Saved and restored between any two steps, by chains of increments, the bytes are the same")
  func restarts() throws {
    for seed in 1...120 as ClosedRange<UInt64> {
      let story = PersonStory(seed: seed &+ 5000, count: 60, movesPersons: true)
      var straight = PersonRun(story.policy)
      var restarted = PersonRun(story.policy)
      for (index, step) in story.steps.enumerated() {
        try follow(step, &straight, restarts: false)
        try follow(step, &restarted, restarts: true)
        try restarted.restart()
        #expect(
          (straight.bytes() == restarted.bytes()) == true, "step \(index), seed \(seed)")
      }
    }
  }

  private func follow(
    _ step: PersonStory.Step, _ run: inout PersonRun, restarts: Bool
  ) throws {
    switch step {
    case .insert(let touch, let person): run.insert(touch, of: person)
    case .advance(let watermark): run.histories.advance(watermark: watermark)
    case .unite(let a, let b): run.histories.unite(a, b)
    case .handOver(let from, let to):
      run.insert(run.handOver(from), of: to)
    case .drain: run.drain()
    case .save(let isComplete): if restarts { run.save(isComplete: isComplete) }
    case .restart: if restarts { try run.restart() }
    }
  }

  @Test(
    "What leaves state has no part in what comes later: the sums are those of all accepted touches")
  func expiry() throws {
    for seed in 1...200 as ClosedRange<UInt64> {
      let story = PersonStory(seed: seed &+ 900, count: 150, movesPersons: false)
      var run = PersonRun(story.policy)
      var facts: [Key128: NaiveOutcomes.Fact] = [:]
      var watermark = Int64.min
      for step in story.steps {
        try follow(step, &run, restarts: true)
        if case .advance(let time) = step { watermark = time }
        if case .insert(let touch, let person) = step {
          facts[touch.key] = NaiveOutcomes.Fact(
            person: Int(person.high), time: touch.time, key: touch.key, kind: touch.kind,
            tuple: touch.tuple, revenue: touch.revenue)
        }
      }
      run.drain()
      let naive = NaiveOutcomes(Array(facts.values), story.policy, watermark: watermark)
      #expect((run.sums == naive.sums) == true, "seed \(seed)")
      guard let experiments = story.policy.experiments else { continue }
      let exposures = NaiveExposures(Array(facts.values), experiments)
      #expect((run.exposed == exposures.sums) == true, "exposures, seed \(seed)")
    }
  }

  @Test("In whatever order ids are united and touched, sums and bytes are the same")
  func association() throws {
    for seed in 1...150 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let story = PersonStory(seed: seed, count: 60, movesPersons: false)
      var steps: [PersonStory.Step] = story.steps.filter {
        if case .insert = $0 { true } else { false }
      }
      for _ in 0..<3 {
        steps.append(
          .unite(PersonStory.person(random.below(6)), PersonStory.person(random.below(6))))
      }
      var results: [[UInt8]] = []
      var sums: [NaivePersons.Sums] = []
      var exposed: [[NaiveOutcomes.Place: NaiveExposures.Sums]] = []
      for _ in 0..<3 {
        var policy = story.policy
        policy.personCountMax = 1000
        var run = PersonRun(policy)
        run.histories.advance(watermark: noon)
        for step in steps.shuffled(using: &random) { try follow(step, &run, restarts: false) }
        run.drain()
        results.append(run.bytes())
        sums.append(run.sums)
        exposed.append(run.exposed)
      }
      #expect((exposed[0] == exposed[1]) == true && (exposed[1] == exposed[2]) == true)
      #expect((sums[0] == sums[1]) == true && (sums[1] == sums[2]) == true, "seed \(seed)")
      #expect((results[0] == results[1]) == true, "seed \(seed)")
      #expect((results[1] == results[2]) == true, "seed \(seed)")
    }
  }

  @Test("What is beyond the limits is not kept, and counted")
  func limits() {
    var policy = PersonPolicy()
    policy.personCountMax = 2
    var run = PersonRun(policy)
    let touch = NaivePersons.Kept(
      time: noon, key: Key128(low: 1, high: 1), kind: .view,
      tuple: DimensionTuple(site: "s", campaign: "c"), revenue: 0)
    for person in 0..<3 { run.insert(touch, of: PersonStory.person(person)) }
    run.drain()
    #expect(run.histories.count == 2 && run.histories.untracked == 1)
    run.histories.unite(PersonStory.person(0), PersonStory.person(7))
    #expect(run.histories.refusedUnions == 1)
    // Of all persons together 64 on average.
    for number in 0..<200 {
      var next = touch
      next.time += Int64(number + 1)
      run.insert(next, of: PersonStory.person(0))
    }
    run.drain()
    #expect(run.histories.touchCount == 128 && run.histories.untracked == 1 + 200 - 126)
  }

  private func show(_ run: inout PersonRun, _ campaign: Int, at time: Int64, to person: Int) {
    let touch = NaivePersons.Kept(
      time: time, key: Key128(low: UInt64(time), high: UInt64(campaign + 1)), kind: .exposure,
      tuple: DimensionTuple(site: "s", campaign: "c\(campaign)", variant: "v"), revenue: 0)
    run.insert(touch, of: PersonStory.person(person))
  }

  @Test(
    "Of a person's campaigns the latest are remembered, and nothing of who comes after too many")
  func anchorLimits() {
    let experiments = ExperimentPolicy(outcomeWindow: second, lookBack: second, memory: day)
    let policy = PersonPolicy(
      sessionGap: second, clickLookBack: second, impressionLookBack: second, lateness: 0,
      personCountMax: 2, experiments: experiments)
    var run = PersonRun(policy)
    run.histories.advance(watermark: noon)
    for campaign in 0..<70 { show(&run, campaign, at: noon + Int64(campaign), to: 0) }
    run.histories.advance(watermark: noon + hour)
    #expect(run.histories.touchCount == 0 && run.histories.forgottenExposures == 6)
    #expect(run.histories.count == 1 && run.histories.idleCount == 1)
    for campaign in [0, 5, 6, 69] { show(&run, campaign, at: noon + hour, to: 0) }
    run.drain()
    let persons = Dictionary(
      run.exposed.map { ($0.key.tuple.campaign, $0.value.exposures.persons) }, uniquingKeysWith: +)
    #expect([0, 5, 6, 69].map { persons["c\($0)"] } == [2, 2, 1, 1])
    // Persons that are there for their anchors alone are not too many.
    for person in 1...6 {
      let time = noon + Int64(person + 1) * hour
      run.histories.advance(watermark: time)
      show(&run, 7, at: time, to: person)
    }
    run.histories.advance(watermark: noon + 8 * hour)
    #expect(run.histories.untracked == 0 && run.histories.touchCount == 0)
    #expect(run.histories.count == 4 && run.histories.forgottenExposures == 6 + 2 + 3)
    for person in 1...6 { show(&run, 7, at: noon + 8 * hour, to: person) }
    run.drain()
    #expect(run.histories.untracked > 0)
    run.histories.advance(watermark: noon + 3 * day)
    #expect(run.histories.count == 0 && run.histories.idleCount == 0)
    #expect(run.histories.anchorArena.byteCount == 0)
  }

  @Test("A person's touches are bounded, and those of a hot person are where brute force has them")
  func hotPerson() {
    var random = SeededGenerator(seed: 3)
    var run = PersonRun(PersonPolicy())
    for number in 0..<2_100 {
      let touch = NaivePersons.Kept(
        time: noon + random.time(upTo: day), key: Key128(low: UInt64(number + 1), high: 1),
        kind: random.pick([.impression, .click, .conversion]),
        tuple: DimensionTuple(site: "s", content: "k\(random.below(20))"), revenue: 1)
      run.insert(touch, of: PersonStory.person(0))
    }
    run.drain()
    #expect(run.histories.touchCount == PersonPolicy.touchCountMax)
    #expect(run.histories.untracked == 100)
    // Everything is taken back.
    #expect(run.handOver(PersonStory.person(0)).touches.count == PersonPolicy.touchCountMax)
    run.drain()
    #expect(run.sums.isEmpty)
  }

  @Test("Groups are taken out of two snapshots, one after the other")
  func groups() throws {
    let policy = PersonPolicy()
    var parts: [[UInt8]] = []
    var together = PersonRun(policy)
    together.histories.advance(watermark: noon)
    for part in 0..<2 {
      var run = PersonRun(policy)
      run.histories.advance(watermark: noon)
      for person in 0..<12 {
        let touch = NaivePersons.Kept(
          time: noon + Int64(person), key: Key128(low: UInt64(person + 1), high: 9),
          kind: .impression, tuple: DimensionTuple(site: "s", campaign: "c\(person)"), revenue: 0)
        let key = PersonStory.person(person)
        run.insert(touch, of: key)
        if (KeyGroup.of(person: key) < 1) == (part == 0) { together.insert(touch, of: key) }
      }
      run.drain()
      parts.append(run.bytes())
    }
    together.drain()
    var restored = PersonHistories(policy: policy)
    for (bytes, groups) in zip(parts, [0..<1, 1..<256]) {
      var reader = try SnapshotReader(bytes, pipelineHash: 1)
      try restored.restore(from: &reader, keeping: groups)
      try reader.finish()
    }
    var writer = SnapshotWriter(kind: .base, pipelineHash: 1)
    restored.snapshot(isComplete: true, into: &writer)
    #expect((writer.finish() == together.bytes()) == true)
  }

  @Test("Bytes that no writer makes are refused, and never trap")
  func damaged() throws {
    let story = PersonStory(seed: 11, count: 120, movesPersons: true)
    var run = PersonRun(story.policy)
    for step in story.steps.dropLast() { try follow(step, &run, restarts: false) }
    let good = run.bytes()
    var random = SeededGenerator(seed: 5)
    for _ in 0..<600 {
      var bad = good
      let place = 48 + random.below(bad.count - 48)
      bad[place] ^= UInt8(1 << random.below(8))
      makeChecksumHold(&bad)
      // Another number may stand there as well; but nothing may trap.
      guard var again = try? PersonRun.restored([bad], story.policy) else { continue }
      again.advance(watermark: noon + 1000 * day)
      var contributions = Contributions()
      again.drain(into: &contributions)
    }
  }
}
