import Dataflow
import Events
import Operators
import Oracles
import Synchronization
import Testing
import Verification
import Views

@testable import Analyses

/// Questions about persons beside what the pipeline's two stages say of the same log.
@Suite("Scans for persons")
struct PersonScanTests {
  private struct LoggedEvent {
    var kind: EventKind
    var key: Key128
    var person: Key128
    var user: Key128 = .zero
    var time: Int64
    var storedAt: Int64
    var tuple: DimensionTuple
    var revenue: Int64 = 0
    var name = "name"

    var frame: [UInt8] {
      var encoder = FrameEncoder()
      encoder.append(
        IncomingEvent(
          kind: kind, key: key, person: person, user: user, eventTime: time, receivedAt: storedAt,
          dimensions: tuple.encoded, revenueMicros: revenue, id: "id", name: name, source: "test",
          payload: [0x7b, 0x7d]))
      return encoder.seal(
        FrameHeader(
          kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 1,
          producerSequence: 1))
    }
  }

  private static let policy: PersonPolicy = {
    var policy = StageLog.policy
    policy.experiments = nil
    return policy
  }()
  private static let spec = PipelineSpec(
    name: "test", allowedDisorder: 2 * second, persons: policy)

  /// Few devices and users, who sign in, out and become one another.
  private static func events(_ random: inout SeededGenerator, count: Int) -> [LoggedEvent] {
    var now = noon
    return (0..<count).map { _ in
      now += random.time(upTo: random.once(in: 20) ? 20 * minute : 20 * second)
      let device = StageLog.anonymous(random.below(4))
      let user = StageLog.known(random.below(3))
      let kinds: [EventKind] = [.impression, .click, .click, .view, .conversion, .conversion]
      var event = LoggedEvent(
        kind: random.pick(kinds), key: Key128(low: random.next(), high: random.next()),
        person: device, time: now - random.time(upTo: random.once(in: 4) ? minute : second),
        storedAt: now,
        tuple: DimensionTuple(
          site: "s", campaign: "c\(random.below(3))",
          currency: random.pick(["EUR", "USD"])))
      switch random.below(12) {
      case 0, 1:
        event.person = user
        event.user = user
      case 2, 3: event.user = user
      case 4:
        event.kind = .identify
        event.user = user
      case 5:
        event.kind = .alias
        event.person = random.once(in: 3) ? device : StageLog.known(random.below(3))
        event.user = user
      case 6:
        event.kind = .unlink
        if random.once(in: 2) { event.user = user }
      default: break
      }
      if event.kind == .conversion { event.revenue = random.time(upTo: 9_000_000) }
      return event
    }
  }

  private static func partition(_ event: LoggedEvent, _ partitions: Int) -> Int {
    KeyGroup.partition(of: event.person, partitions: partitions)
  }

  private func scan(
    _ events: [LoggedEvent], partitions: Int, _ question: PersonQuestion,
    share: PersonShare? = nil, room: PersonRoom = .unbounded
  ) throws -> PersonScan {
    let whole = PersonScan(question, share: share, room: room)
    for partition in 0..<partitions {
      let scan = PersonScan(question, share: share, room: room)
      var judge = StreamJudge(
        Self.spec, groups: KeyGroup.groups(of: partition, partitions: partitions))
      for (index, event) in events.filter({ Self.partition($0, partitions) == partition })
        .enumerated()
      {
        try event.frame.withUnsafeBytes {
          try judge.add(
            $0, sequence: UInt64(index + 1), storedAt: event.storedAt, to: scan)
        }
      }
      try whole.merge(scan)
    }
    return whole
  }

  private static let question = PersonQuestion(
    site: "s", times: .min ..< .max,
    selectors: [
      TouchSelector(kinds: [.click]), TouchSelector(kinds: [.conversion]),
      // Sessions are of all touches.
      TouchSelector(kinds: [.impression, .view, .engagement]),
    ], dimensions: [.campaign], policy: policy)

  private struct Place: Hashable {
    var campaign: String
    var currency: String
  }

  /// What clicks are credited with, by campaign and currency: conversions of all currencies, revenue of one.
  private func attributed(
    _ events: [LoggedEvent], partitions: Int
  ) throws -> (conversions: [String: Int64], revenue: [Place: Int64]) {
    let scan = try scan(events, partitions: partitions, Self.question)
    var attribution = Attribution(
      Attribution.Question(
        model: .lastTouch, lookBack: Self.policy.clickLookBack, times: .min ..< .max))
    var people = PersonPeople(scan.question)
    scan.people(&people) { attribution.add($0) }
    var conversions: [String: Int64] = [:]
    var revenue: [Place: Int64] = [:]
    for (value, credit) in attribution.credits {
      #expect(credit.conversionMicros % Attribution.unit == 0)
      let campaign = people.values[Int(value)][0]
      conversions[campaign] = credit.conversionMicros / Attribution.unit
      for (currency, micros) in credit.revenueMicros {
        let place = Place(campaign: campaign, currency: people.currencies[Int(currency)])
        revenue[place] = micros
      }
    }
    return (conversions, revenue.filter { $0.value != 0 })
  }

  /// The same from rows of the second stage.
  private func counted(
    _ events: [LoggedEvent], partitions: Int
  ) throws -> (conversions: [String: Int64], revenue: [Place: Int64]) {
    var conversions: [String: Int64] = [:]
    var revenue: [Place: Int64] = [:]
    for (tuple, outcomes) in try rows(events, partitions: partitions) {
      conversions[tuple.campaign, default: 0] += outcomes.attributedConversions
      revenue[Place(campaign: tuple.campaign, currency: tuple.currency), default: 0] +=
        outcomes.attributedRevenueMicros
    }
    return (conversions.filter { $0.value != 0 }, revenue.filter { $0.value != 0 })
  }

  /// Sessions by campaign, from rows of the second stage.
  private func outcomes(
    _ events: [LoggedEvent], partitions: Int
  ) throws -> [String: Outcomes] {
    var sums: [String: Outcomes] = [:]
    for (tuple, outcomes) in try rows(events, partitions: partitions) {
      let sum = sums[tuple.campaign] ?? Outcomes()
      sums[tuple.campaign] = Outcomes(
        sessions: sum.sessions + outcomes.sessions, bounces: sum.bounces + outcomes.bounces,
        sessionMicros: sum.sessionMicros + outcomes.sessionMicros)
    }
    return sums.filter { $0.value.sessions != 0 }
  }

  /// What the second stage counts in windows of days.
  private func rows(
    _ events: [LoggedEvent], partitions: Int
  ) throws -> [(tuple: DimensionTuple, outcomes: Outcomes)] {
    var partials: [(storedAt: Int64, frame: PartialFrame)] = []
    let end = (events.map(\.storedAt).max() ?? noon) + 3 * hour
    for partition in 0..<partitions {
      var stage = Pipeline(
        spec: Self.spec,
        stream: StreamPartition(
          stream: "events-0\(partition)", generation: 1, partition: partition),
        groups: KeyGroup.groups(of: partition, partitions: partitions), partitions: partitions)
      var sequence: UInt64 = 0
      func take(_ frame: [UInt8], at time: Int64) throws {
        sequence += 1
        try stage.take((frame, time), sequence: sequence)
        partials += stage.takeEmitted().map { (storedAt: time, frame: $0) }
      }
      // Time goes on in every stream, as heartbeats see to it: also in the second stage, which is told of a frame's
      // time by the next one.
      for event in events {
        for before in [1_200_000, 100_000] as [Int64] where stage.logTime < event.storedAt - before
        {
          try take(StageLog.heartbeat(), at: event.storedAt - before)
        }
        let isOwn = Self.partition(event, partitions) == partition
        try take(isOwn ? event.frame : StageLog.heartbeat(), at: event.storedAt)
      }
      for time in [end, end + second] { try take(StageLog.heartbeat(), at: time) }
      _ = stage.drainCommit(includeCoarse: true)
    }
    var persons = Pipeline(spec: Self.spec, stream: .partials(of: Self.spec), groups: 0..<256)
    let ordered = partials.indices.sorted {
      (partials[$0].storedAt, $0) < (partials[$1].storedAt, $1)
    }
    for (place, index) in ordered.enumerated() {
      try persons.take(
        partials[index].frame, sequence: UInt64(place + 1), storedAt: partials[index].storedAt)
    }
    let batch = persons.drainCommit(includeCoarse: true)
    var tuples: [Int64: DimensionTuple] = [:]
    for entry in batch.dimensions {
      tuples[entry.id] = entry.encoded.withUnsafeBytes { DimensionTuple(encoded: $0) }
    }
    var found: [(tuple: DimensionTuple, outcomes: Outcomes)] = []
    for row in batch.rows + batch.deltas where row.level == .day {
      found.append((try #require(tuples[row.dimensionID]), Outcomes(row.counts)))
    }
    return found
  }

  @Test(
    "The last touch with clicks alone is what the pipeline counts as attributed",
    arguments: 0..<200)
  func pipeline(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let events = Self.events(&random, count: 20 + random.below(150))
    let partitions = 1 + random.below(3)
    let scanned = try attributed(events, partitions: partitions)
    let counted = try counted(events, partitions: partitions)
    #expect(scanned.conversions == counted.conversions, "seed \(seed)")
    #expect(scanned.revenue == counted.revenue, "seed \(seed)")
    if seed == 0 { #expect(!counted.conversions.isEmpty) }
  }

  /// Conversions by campaign of what one or more generations of streams have.
  private func credits(_ scan: PersonScan) -> [String: Int64] {
    var attribution = Attribution(
      Attribution.Question(
        model: .linear, lookBack: Self.policy.clickLookBack, times: .min ..< .max))
    var people = PersonPeople(scan.question)
    scan.people(&people) { attribution.add($0) }
    return credits(attribution, people)
  }

  private func credits(_ attribution: Attribution, _ people: PersonPeople) -> [String: Int64] {
    var credits: [String: Int64] = [:]
    for (value, credit) in attribution.credits {
      credits[people.values[Int(value)][0]] = credit.conversionMicros
    }
    return credits
  }

  @Test(
    "Another number of streams, and another generation of them, changes nothing", arguments: 0..<60)
  func generations(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let events = Self.events(&random, count: 120)
    let one = try credits(scan(events, partitions: 1, Self.question))
    #expect(try credits(scan(events, partitions: 3, Self.question)) == one, "seed \(seed)")
    let middle = random.below(events.count)
    let whole = try scan(Array(events[..<middle]), partitions: 2, Self.question)
    try whole.merge(scan(Array(events[middle...]), partitions: 3, Self.question))
    #expect(credits(whole) == one, "seed \(seed)")
  }

  @Test("The order in which events of devices arrive changes nothing", arguments: 0..<40)
  func order(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var events = Self.events(&random, count: 100).filter { $0.user == .zero && $0.kind != .unlink }
    for index in events.indices { events[index].time = noon + random.time(upTo: 8 * minute) }
    var results: Set<[String: Int64]> = []
    for _ in 0..<4 {
      events.shuffle(using: &random)
      // Arrival as it comes now; times stay.
      for index in events.indices {
        events[index].storedAt = noon + 8 * minute + Int64(index) * second / 4
      }
      results.insert(try credits(scan(events, partitions: 2, Self.question)))
    }
    #expect(results.count == 1, "seed \(seed)")
  }

  @Test(
    "Where there is no room for all persons, shares of them come to the same, one after the other",
    arguments: 0..<60)
  func shares(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let events = Self.events(&random, count: 120)
    let all = try credits(scan(events, partitions: 2, Self.question))
    // Once a few frames are kept there is no room for more.
    let rest = Mutex(random.below(4_000))
    let whole = try scan(
      events, partitions: 2, Self.question,
      room: PersonRoom { bytes in
        rest.withLock {
          $0 -= bytes
          return $0 >= 0
        }
      })
    let overflow = try #require(whole.overflow)
    #expect(overflow.bytes > 0 && overflow.graph.count > 0)
    #expect(overflow.shareCount(bytesMax: 1_000) > overflow.shareCount(bytesMax: 1 << 30))
    let count = 2 + random.below(3)
    let shares = overflow.graph.shares(count)
    var people = PersonPeople(Self.question)
    var attribution = Attribution(
      Attribution.Question(
        model: .linear, lookBack: Self.policy.clickLookBack, times: .min ..< .max))
    for share in 0..<count {
      let part = try scan(
        events, partitions: 2, Self.question, share: PersonShare(shares, share))
      part.people(&people) { attribution.add($0) }
    }
    #expect(credits(attribution, people) == all, "seed \(seed)")
  }

  @Test(
    "Sessions are those of the pipeline's recount: how many, how many bounce, how long they are",
    arguments: 0..<100)
  func sessions(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let events = Self.events(&random, count: 20 + random.below(150))
    let question = PersonQuestion(
      site: "s", times: .min ..< .max,
      selectors: [
        TouchSelector(kinds: TouchSelector.counted), TouchSelector(kinds: TouchSelector.counted),
      ], dimensions: [.campaign], policy: Self.policy)
    let scan = try scan(events, partitions: 2, question)
    let watermark = (events.map(\.storedAt).max() ?? noon) + 3 * hour - 2 * second
    var sessions = Sessions(
      Sessions.Question(
        gap: Self.policy.sessionGap, times: .min ..< .max, watermark: watermark))
    var people = PersonPeople(question)
    scan.people(&people) { sessions.add($0) }
    var found: [String: Outcomes] = [:]
    for (value, counts) in sessions.counts {
      found[people.values[Int(value)][0]] = Outcomes(
        sessions: counts.sessions, bounces: counts.bounces, sessionMicros: counts.micros)
      #expect(counts.open == 0 && counts.events >= 2 * counts.sessions - counts.bounces)
    }
    #expect(try found == outcomes(events, partitions: 2), "seed \(seed)")
  }
}
