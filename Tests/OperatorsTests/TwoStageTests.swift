import Dataflow
import Events
import Operators
import Oracles
import Testing
import Verification
import Views

/// Several first stages and the second, joined by a log of partials that copies and reorders.
@Suite struct TwoStageTests {
  static let policy = PersonPolicy(
    sessionGap: 60 * second, clickLookBack: 300 * second, impressionLookBack: 120 * second,
    lateness: 10 * minute, personCountMax: 1000)
  static let spec = PipelineSpec(
    name: "test", allowedDisorder: 2 * second, persons: policy,
    trends: TrendPolicy(size: 60 * second, slide: 10 * second))

  /// An event of a device, on which a user may have signed in.
  struct Step {
    var fact: NaiveOutcomes.Fact
    var device: Int?
    var user: Int?
    var isAlias = false
    var storedAt: Int64
  }

  static func anonymous(_ device: Int) -> Key128 {
    EventIdentity.personKey(site: "s", id: "device \(device)")
  }
  static func known(_ user: Int) -> Key128 {
    EventIdentity.personKey(site: "s", id: "user \(user)")
  }

  static func steps(_ random: inout SeededGenerator, count: Int) -> [Step] {
    var now = noon
    return PersonHistoriesTests.facts(&random, count: count).map { fact in
      var fact = fact
      now += random.time(upTo: 20 * second)
      fact.time = now - random.time(upTo: random.once(in: 4) ? 60 * second : second)
      var step = Step(fact: fact, storedAt: now)
      switch random.below(5) {
      case 0: step.user = random.below(2)
      case 1:
        step.device = random.below(4)
        step.user = random.below(2)
        if random.once(in: 2) { step.fact.kind = .identify }
      default: step.device = random.below(4)
      }
      return step
    }
  }

  /// Who each fact is of, by the rules: a known user's facts are the user's; a device's are its own
  /// until a user signs in, who then takes them over with those that follow.
  static func resolve(_ steps: [Step]) -> [NaiveOutcomes.Fact] {
    var facts: [(fact: NaiveOutcomes.Fact, device: Int?)] = []
    var links: [Int: Int] = [:]
    for step in steps {
      if let device = step.device, let user = step.user, links[device] != user {
        links[device] = user
        for index in facts.indices where facts[index].device == device {
          facts[index].fact.person = user
          facts[index].device = nil
        }
      }
      guard step.fact.kind.rawValue <= EventKind.conversion.rawValue else { continue }
      var fact = step.fact
      let user = step.user ?? step.device.flatMap { links[$0] }
      fact.person = user ?? 100 + (step.device ?? 0)
      facts.append((fact, user == nil ? step.device : nil))
    }
    return facts.map(\.fact)
  }

  static func frame(_ step: Step) -> [UInt8] {
    var encoder = FrameEncoder()
    let user = step.user.map(known) ?? .zero
    encoder.append(
      IncomingEvent(
        kind: step.fact.kind, key: step.fact.key, person: step.device.map(anonymous) ?? user,
        user: user, eventTime: step.fact.time, receivedAt: step.storedAt,
        dimensions: step.fact.tuple.encoded, revenueMicros: step.fact.revenue, id: "id",
        name: "name", source: "test", payload: [0x7b, 0x7d]))
    return encoder.seal(
      FrameHeader(
        kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 1,
        producerSequence: 1))
  }

  static func heartbeat() -> [UInt8] {
    FrameEncoder.heartbeat(
      FrameHeader(
        kind: .heartbeat, generation: 1, partition: 0, producer: Key128(low: 1, high: 2),
        epoch: 1, producerSequence: 1))
  }

  @Test(
    "Outcomes of both stages are those of each person's whole history, links before, between or after, in whatever order partials come",
    arguments: 0..<120)
  func oracle(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let partitions = 1 + random.below(3)
    let steps = Self.steps(&random, count: 1 + random.below(80))
    var logs: [[(bytes: [UInt8], storedAt: Int64)]] = Array(repeating: [], count: partitions)
    for step in steps {
      let person = step.device.map(Self.anonymous) ?? Self.known(step.user ?? 0)
      let partition = KeyGroup.partition(of: person, partitions: partitions)
      logs[partition].append((Self.frame(step), step.storedAt))
    }
    let end = noon + 3 * hour
    var frames: [(source: Int, frame: PartialFrame)] = []
    for partition in 0..<partitions {
      logs[partition].append((Self.heartbeat(), end))
      logs[partition].append((Self.heartbeat(), end + second))
      var stage = Pipeline(
        spec: Self.spec,
        stream: StreamPartition(
          stream: "events-0\(partition)", generation: 1, partition: partition),
        groups: KeyGroup.groups(of: partition, partitions: partitions), partitions: partitions)
      for (index, entry) in logs[partition].enumerated() {
        try entry.bytes.withUnsafeBytes {
          try stage.process(
            frame: try FrameView($0), sequence: UInt64(index + 1), storedAt: entry.storedAt)
        }
        frames += stage.takeEmitted().map { (partition, $0) }
      }
    }
    // Copies, and places that are changed among neighbours of one source and freely between sources.
    frames += frames.filter { _ in random.once(in: 5) }
    let weights = frames.indices.map { Int(frames[$0].frame.number) * 3 + random.below(20) }
    let order = frames.indices.sorted { weights[$0] < weights[$1] }

    var second = Pipeline(spec: Self.spec, stream: .partials(of: Self.spec), groups: 0..<256)
    for (index, place) in order.enumerated() {
      try frames[place].frame.bytes.withUnsafeBytes {
        try second.process(
          partials: try PartialFrameView($0), bytes: $0, sequence: UInt64(index + 1), storedAt: end)
      }
      #expect(second.accounting.isConserved)
    }
    #expect(second.sources.map(\.partition) == Array(0..<partitions))
    for source in second.sources {
      #expect(source.sequence == UInt64(logs[source.partition].count - 1))
    }
    let batch = second.drainCommit(includeCoarse: true)
    #expect(batch.measure == .outcomes)
    let tuples = Dictionary(
      uniqueKeysWithValues: batch.dimensions.map { entry in
        (entry.id, entry.encoded.withUnsafeBytes { DimensionTuple(encoded: $0) })
      })
    var found: [NaiveOutcomes.Place: Outcomes] = [:]
    for row in batch.rows + batch.deltas where row.level == .day {
      let tuple = try #require(tuples[row.dimensionID] ?? nil)
      let place = NaiveOutcomes.Place(tuple: tuple, window: row.start)
      found[place, default: Outcomes()] += Outcomes(row.counts)
    }
    var expected: [NaiveOutcomes.Place: Outcomes] = [:]
    for (place, outcomes)
      in NaiveOutcomes(Self.resolve(steps), Self.policy, watermark: end).sums
    {
      let day = NaiveOutcomes.Place(
        tuple: place.tuple, window: WindowLevel.day.start(of: place.window))
      expected[day, default: Outcomes()] += outcomes
    }
    #expect(
      found.filter { !$0.value.isZero } == expected.filter { !$0.value.isZero }, "seed \(seed)")
  }
}
