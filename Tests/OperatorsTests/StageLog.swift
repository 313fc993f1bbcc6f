import Dataflow
import Events
import Operators
import Oracles
import Verification
import Views

/// Events of devices and users in several partitions, each of which ends with two heartbeats long after
/// everything else.
struct StageLog {
  /// An event of a device, on which a user may have signed in.
  struct Step {
    var fact: NaiveOutcomes.Fact
    var device: Int?
    var user: Int?
    var storedAt: Int64
  }

  typealias Entry = (bytes: [UInt8], storedAt: Int64)

  static let policy = PersonPolicy(
    sessionGap: 60 * second, clickLookBack: 300 * second, impressionLookBack: 120 * second,
    lateness: 10 * minute, personCountMax: 10_000,
    experiments: ExperimentPolicy(
      outcomeWindow: 40 * second, lookBack: 200 * second, memory: 30 * minute))

  var spec = PipelineSpec(
    name: "test", allowedDisorder: 2 * second, persons: policy,
    trends: TrendPolicy(size: 60 * second, slide: 10 * second))
  let partitions: Int
  let steps: [Step]
  private(set) var entries: [[Entry]]
  /// When the first of the two heartbeats is.
  let end: Int64

  init(_ shape: Shape, seed: UInt64, idle: Int64 = 3 * hour) {
    var random = SeededGenerator(seed: seed)
    partitions = 1 + random.below(3)
    steps = Self.steps(shape, &random)
    end = (steps.map(\.storedAt).max() ?? noon) + idle
    entries = Array(repeating: [], count: partitions)
    if shape == .bomb { spec.tupleCountMax = History.bombTupleCountMax }
    for step in steps {
      let person = step.device.map(Self.anonymous) ?? Self.known(step.user ?? 0)
      let partition = KeyGroup.partition(of: person, partitions: partitions)
      let copyCount = shape == .copies ? History.copyCount : 1
      for _ in 0..<copyCount { entries[partition].append((Self.frame(step), step.storedAt)) }
    }
    for partition in entries.indices {
      if shape == .copies { delayCopies(partition, &random) }
      entries[partition].append((Self.heartbeat(), end))
      entries[partition].append((Self.heartbeat(), end + second))
    }
  }

  /// Lets copies come later, but for the first of each.
  private mutating func delayCopies(_ partition: Int, _ random: inout SeededGenerator) {
    var seen: Set<[UInt8]> = []
    var first: [Entry] = []
    var later: [Entry] = []
    for entry in entries[partition] {
      if seen.insert(entry.bytes).inserted || random.once(in: 2) {
        first.append(entry)
      } else {
        later.append((entry.bytes, entry.storedAt + random.time(upTo: 10 * minute)))
      }
    }
    entries[partition] = (first + later).sorted { $0.storedAt < $1.storedAt }
  }

  static func anonymous(_ device: Int) -> Key128 {
    EventIdentity.personKey(site: "s", id: "device \(device)")
  }
  static func known(_ user: Int) -> Key128 {
    EventIdentity.personKey(site: "s", id: "user \(user)")
  }

  // MARK: Steps

  private static func steps(_ shape: Shape, _ random: inout SeededGenerator) -> [Step] {
    switch shape {
    case .mixed:
      return steps(&random, count: 1 + random.below(80))
    case .copies:
      return steps(&random, count: 30)
    case .hotKey:
      return steps(&random, count: 600, pace: second) { step, random in
        if random.once(in: 20) { return }
        step.device = 0
        step.fact.tuple.campaign = "c0"
      }
    case .idleKeys:
      var steps = steps(&random, count: 300, pace: second / 10)
      for index in steps.indices {
        // A hundred devices, three times; in between, time for everything to expire.
        steps[index].device = index % 100
        steps[index].user = index % 7 == 0 ? index % 100 : nil
        let rest = Int64(index / 100) * 5 * hour
        steps[index].storedAt += rest
        steps[index].fact.time += rest
      }
      return steps
    case .bomb:
      let keys = (0..<5 * History.bombTupleCountMax).shuffled(using: &random)
      var next = 0
      return steps(&random, count: keys.count, pace: second / 100) { step, random in
        step.device = random.below(1000)
        if step.user != nil { step.user = step.device }
        step.fact.tuple.campaign = "c\(keys[next])"
        next += 1
      }
    }
  }

  static func steps(
    _ random: inout SeededGenerator, count: Int, pace: Int64 = 20 * second,
    _ change: (inout Step, inout SeededGenerator) -> Void = { _, _ in }
  ) -> [Step] {
    var now = noon
    return PersonHistoriesTests.facts(&random, count: count).map { fact in
      var fact = fact
      now += random.time(upTo: pace)
      fact.time = now - random.time(upTo: random.once(in: 4) ? 60 * second : second)
      var step = Step(fact: fact, storedAt: now)
      switch random.below(5) {
      case 0: step.user = random.below(2)
      case 1:
        step.device = random.below(4)
        step.user = random.below(2)
        if random.once(in: 2) { step.fact.kind = .identify }
        if random.once(in: 4) {
          step.fact.kind = .unlink
          if random.once(in: 2) { step.user = nil }
        }
      default: step.device = random.below(4)
      }
      change(&step, &random)
      return step
    }
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

  // MARK: Stages

  func firstStage(_ partition: Int) -> Pipeline {
    Pipeline(
      spec: spec,
      stream: StreamPartition(
        stream: "events-0\(partition)", generation: 1, partition: partition),
      groups: KeyGroup.groups(of: partition, partitions: partitions), partitions: partitions)
  }

  func secondStage() -> Pipeline {
    Pipeline(spec: spec, stream: .partials(of: spec), groups: 0..<256)
  }

  // MARK: What they must come to

  /// Who each fact is of, by the rules: a known user's facts are the user's; a device's are its own
  /// until a user signs in, who then takes its last sessions over, with those that follow until the device
  /// is unlinked.
  func resolve() -> (facts: [NaiveOutcomes.Fact], anchors: [NaiveExposures.Anchor]) {
    var facts: [(fact: NaiveOutcomes.Fact, device: Int?)] = []
    var anchors: [NaiveExposures.Anchor] = []
    var links: [Int: Int] = [:]
    for step in steps {
      if step.fact.kind == .unlink {
        if let device = step.device, step.user == nil || links[device] == step.user {
          links[device] = nil
        }
        continue
      }
      if let device = step.device, let user = step.user, links[device] != user {
        links[device] = user
        let watermark = step.storedAt - spec.allowedDisorder
        takeOver(device, user, &facts, watermark: watermark)
        anchors += self.anchors(of: device, for: user, facts, watermark: watermark)
      }
      guard step.fact.kind.rawValue <= EventKind.conversion.rawValue || step.fact.kind == .exposure
      else { continue }
      var fact = step.fact
      let user = step.user ?? step.device.flatMap { links[$0] }
      fact.person = user ?? 100_000 + (step.device ?? 0)
      facts.append((fact, user == nil ? step.device : nil))
    }
    return (facts.map(\.fact), anchors)
  }

  /// What a device whose last sessions have been taken over stays exposed to.
  private func anchors(
    of device: Int, for user: Int, _ facts: [(fact: NaiveOutcomes.Fact, device: Int?)],
    watermark: Int64
  ) -> [NaiveExposures.Anchor] {
    guard let experiments = Self.policy.experiments else { return [] }
    let left = NaiveExposures.ordered(facts.filter { $0.device == device }.map(\.fact))
    return NaiveExposures.exposing(left, experiments, anchors: []).map {
      NaiveExposures.Anchor(
        person: user, campaign: NaiveExposures.Campaign($0.tuple), time: $0.time,
        from: NaiveOutcomes.step(watermark) * 10_000_000 - Self.policy.takeOver)
    }
  }

  private func takeOver(
    _ device: Int, _ user: Int, _ facts: inout [(fact: NaiveOutcomes.Fact, device: Int?)],
    watermark: Int64
  ) {
    let own = facts.indices.filter { facts[$0].device == device }.sorted {
      (facts[$0].fact.time, facts[$0].fact.key) < (facts[$1].fact.time, facts[$1].fact.key)
    }
    var start = Int64.min
    var last = Int64.min
    for index in own {
      let time = facts[index].fact.time
      if last == .min || time - last > Self.policy.sessionGap { start = time }
      last = time
      guard NaiveOutcomes.step(start + Self.policy.takeOver) >= NaiveOutcomes.step(watermark)
      else { continue }
      facts[index].fact.person = user
      facts[index].device = nil
    }
  }

  /// Sums of the events in every hopping window that has been closed by then, by tuple and end.
  func trends(upTo watermark: Int64) -> [NaiveOutcomes.Place: Counts] {
    var sums: [NaiveOutcomes.Place: Counts] = [:]
    guard let policy = spec.trends else { return sums }
    for step in steps where step.fact.kind.rawValue <= EventKind.conversion.rawValue {
      let time = step.fact.time
      if time < step.storedAt - spec.allowedDisorder - policy.size { continue }
      var end = time - time % policy.slide + policy.slide
      while end - policy.size <= time {
        if end <= watermark {
          sums[NaiveOutcomes.Place(tuple: step.fact.tuple, window: end), default: Counts()].add(
            kind: step.fact.kind.rawValue, revenueMicros: step.fact.revenue)
        }
        end += policy.slide
      }
    }
    return sums
  }
}

extension Pipeline {
  mutating func take(_ entry: StageLog.Entry, sequence: UInt64) throws {
    try entry.bytes.withUnsafeBytes {
      try process(frame: try FrameView($0), sequence: sequence, storedAt: entry.storedAt)
    }
  }

  mutating func take(_ frame: PartialFrame, sequence: UInt64, storedAt: Int64) throws {
    try frame.bytes.withUnsafeBytes {
      try process(
        partials: try PartialFrameView($0), bytes: $0, sequence: sequence, storedAt: storedAt)
    }
  }
}
