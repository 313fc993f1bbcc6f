import Dataflow
import Events
import Ports
import Views

/// Sessions and attribution by person: tables `outcomes_10s`, `outcomes_1m`, `outcomes_1h`,
/// `outcomes_1d`; and who was exposed to what: `exposures_…` and `baselines_…` of the same levels.
///
/// Everybody's touches are kept, all of them, and looked at once at the end (``NaiveOutcomes``). Who a
/// touch is of: of its user where the event names one; else of its device, until a user signs in on it,
/// who takes over its last sessions and what follows. Another number of partitions changes none of it: a
/// device is in one partition of each generation, and time goes on there from the latest time of those
/// that it was taken over from. Users that an alias makes one take along what is in state: sessions that
/// ended longer than ``PersonPolicy/keep`` before the alias's watermark stay each one's own, and so does what
/// they do once nothing of them is in state any more (``NaiveUnions``). The second stage is a little behind
/// that watermark, so that what leaves state in these seconds may be reported as a difference. Beyond this recount
/// go the limits of persons and touches and rows' revisions; open hour and day rows are compared where the second stage has just written them.
final class OutcomeRecount: ReadModelRecount {
  private struct Person: Hashable {
    var key: Key128
    var isKnown: Bool
  }

  private struct Held {
    var time: Int64
    var key: Key128
    var kind: UInt8
    var tuple: Int
    var revenue: Int64
    /// When it came to who has it now.
    var arrival: NaiveUnions.Arrival
  }

  private struct Link {
    var user: Key128
    var usedHour: Int64
  }

  /// How far one partition of the events has come.
  private struct Partition {
    /// `.min` before the first frame.
    var watermark = Int64.min
    var isHandedOn = false
  }

  private let spec: PipelineSpec
  private let tuples: TupleNumbers
  /// Of the events, rising.
  private let generations: [LogGeneration]
  private var partitions: [StreamPartition: Partition] = [:]
  private var links: [Key128: Link] = [:]
  private var held: [Person: [Held]] = [:]
  /// Exposures of users that are counted for their devices; their person is not used.
  private var anchors: [Key128: [(anchor: NaiveExposures.Anchor, arrival: NaiveUnions.Arrival)]] =
    [:]
  /// Users that an alias has made one at some time, each pointing at the next.
  private var united: [Key128: Key128] = [:]
  private var aliases: [(other: Key128, arrival: NaiveUnions.Arrival)] = []
  private var arrivalCount = 0

  private static let hour: Int64 = 3_600_000_000

  init(spec: PipelineSpec, tuples: TupleNumbers, generations: [LogGeneration]) {
    self.spec = spec
    self.tuples = tuples
    self.generations = generations
  }

  func begin(_ moment: Moment) {
    guard partitions[moment.stream]?.isHandedOn != true else { return }
    let before = partitions[moment.stream]?.watermark ?? .min
    partitions[moment.stream, default: Partition()].watermark = max(
      moment.watermark, before == .min ? watermark(before: moment.stream) : before)
  }

  /// The latest watermark of the streams whose persons a stream takes over; `.min` in the first
  /// generation.
  private func watermark(before stream: StreamPartition) -> Int64 {
    guard let own = generations.first(where: { $0.number == stream.generation }),
      let earlier = generations.last(where: { $0.number < stream.generation })
    else { return .min }
    let groups = KeyGroup.groups(of: stream.partition, partitions: own.partitions)
    return earlier.streamPartitions.filter {
      KeyGroup.groups(of: $0.partition, partitions: earlier.partitions).overlaps(groups)
    }.compactMap { partitions[$0]?.watermark }.max() ?? .min
  }

  /// The watermark up to which an anonymous person has been followed.
  private func watermark(of person: Key128) -> Int64 {
    for generation in generations.reversed() {
      let partition = KeyGroup.partition(of: person, partitions: generation.partitions)
      let stream = generation.streamPartitions[partition]
      if let watermark = partitions[stream]?.watermark, watermark > .min { return watermark }
    }
    return .min
  }

  var isOfSecondStage: Bool { true }

  func markHandedOn(_ stream: StreamPartition) {
    partitions[stream, default: Partition()].isHandedOn = true
  }

  func add(_ event: JudgedEvent, _ moment: Moment) {
    guard let policy = spec.persons, event.verdict == .onTime || event.verdict == .late,
      let partition = partitions[moment.stream], !partition.isHandedOn
    else { return }
    var user = event.user
    let hour = partition.watermark / Self.hour
    let oldest = hour - (policy.takeOver / Self.hour + 1)
    let known = links[event.person].flatMap { $0.usedHour >= oldest ? $0.user : nil }
    if event.kind == EventKind.unlink.rawValue {
      if user == .zero || user == known { links[event.person] = nil }
      return
    }
    if user != .zero && user != event.person {
      if event.kind == EventKind.alias.rawValue {
        unite(event.person, user, partition.watermark)
      }
      if known != user { takeOver(event.person, by: user, partition.watermark, policy) }
      links[event.person] = Link(user: user, usedHour: hour)
    } else if user == .zero, let linked = known {
      links[event.person] = Link(user: linked, usedHour: hour)
      user = linked
    }
    guard (1...5).contains(event.kind) || event.kind == 10,
      event.time >= moment.watermark - policy.lateness
    else {
      return
    }
    let isKnown = user != .zero
    held[Person(key: isKnown ? user : event.person, isKnown: isKnown), default: []].append(
      Held(
        time: event.time, key: event.key, kind: event.kind, tuple: event.tuple,
        revenue: event.revenueMicros, arrival: arrival(of: user, partition.watermark)))
  }

  // MARK: Who is who

  private func root(_ user: Key128) -> Key128 {
    var user = user
    while let next = united[user] { user = next }
    return user
  }

  private func arrival(of user: Key128, _ watermark: Int64) -> NaiveUnions.Arrival {
    arrivalCount += 1
    return NaiveUnions.Arrival(user: user, watermark: watermark, order: arrivalCount)
  }

  private func unite(_ one: Key128, _ other: Key128, _ watermark: Int64) {
    aliases.append((other, arrival(of: one, watermark)))
    let (a, b) = (root(one), root(other))
    if a != b { united[a] = b }
  }

  /// A device's touches become its user's, session by session, but for sessions that began too long ago.
  private func takeOver(
    _ device: Key128, by user: Key128, _ watermark: Int64, _ policy: PersonPolicy
  ) {
    guard let own = held.removeValue(forKey: Person(key: device, isKnown: false)) else { return }
    var left: [Held] = []
    var session: [Held] = []
    func settle() {
      guard let first = session.first else { return }
      let isTakenOver =
        NaiveOutcomes.step(first.time + policy.takeOver) >= NaiveOutcomes.step(watermark)
      if isTakenOver {
        for index in session.indices { session[index].arrival = arrival(of: user, watermark) }
        held[Person(key: user, isKnown: true), default: []] += session
      } else {
        left += session
      }
      session = []
    }
    for touch in own.sorted(by: { ($0.time, $0.key) < ($1.time, $1.key) }) {
      if let last = session.last, touch.time - last.time > policy.sessionGap { settle() }
      session.append(touch)
    }
    settle()
    held[Person(key: device, isKnown: false)] = left.isEmpty ? nil : left
    guard let experiments = policy.experiments else { return }
    // What the device has been exposed to before stays so for its user, and is counted there.
    let exposing = NaiveExposures.exposing(
      NaiveExposures.ordered(left.compactMap { fact(of: $0, person: 0) }), experiments, anchors: [])
    let from =
      watermark == .min
      ? watermark : NaiveOutcomes.step(watermark) * 10_000_000 - policy.takeOver
    anchors[user, default: []] += exposing.map {
      (
        NaiveExposures.Anchor(
          person: 0, campaign: NaiveExposures.Campaign($0.tuple), time: $0.time, from: from),
        arrival(of: user, watermark)
      )
    }
  }

  private func fact(of touch: Held, person: Int) -> NaiveOutcomes.Fact? {
    guard let kind = EventKind(rawValue: touch.kind),
      let tuple = tuples.tuples[touch.tuple].withUnsafeBytes({ DimensionTuple(encoded: $0) })
    else { return nil }
    return NaiveOutcomes.Fact(
      person: person, time: touch.time, key: touch.key, kind: kind, tuple: tuple,
      revenue: touch.revenue)
  }

  // MARK: Tables

  func expected(at instant: Instant) -> [ExpectedTable] {
    guard let policy = spec.persons, let checkpoint = instant.secondStage else { return [] }
    var outcomes: [NaiveOutcomes.Place: Counts] = [:]
    var exposures: [NaiveOutcomes.Place: Counts] = [:]
    var baselines: [NaiveOutcomes.Place: Counts] = [:]
    func add(_ known: Known, _ watermark: Int64) {
      for (place, sums) in NaiveOutcomes(known.facts, policy, watermark: watermark).sums {
        outcomes[place, default: Counts()] += sums.counts
      }
      guard let experiments = policy.experiments else { return }
      let naive = NaiveExposures(
        known.facts, experiments, anchors: known.anchors, successors: known.successors)
      for (place, sums) in naive.sums {
        exposures[place, default: Counts()] += sums.exposures.counts
        baselines[place, default: Counts()] += sums.baselines.counts
      }
    }
    let watermarks = Set(held.keys.filter { !$0.isKnown }.map { watermark(of: $0.key) })
    for watermark in watermarks {
      add(anonymous { self.watermark(of: $0) == watermark }, watermark)
    }
    add(users(policy), checkpoint.watermark)
    let measured = [(Measure.outcomes, outcomes), (.exposures, exposures), (.baselines, baselines)]
    return measured.filter { spec.personMeasures.contains($0.0) }.flatMap { measure, sums in
      WindowLevel.allCases.map { table(measure, $0, sums, checkpoint) }
    }
  }

  private struct Known {
    var facts: [NaiveOutcomes.Fact] = []
    var anchors: [NaiveExposures.Anchor] = []
    /// The group that a group became part of.
    var successors: [Int: Int] = [:]
  }

  private func anonymous(_ isWanted: (Key128) -> Bool) -> Known {
    var known = Known()
    let devices = held.filter { !$0.key.isKnown && isWanted($0.key.key) }
    for (number, touches) in devices.values.enumerated() {
      known.facts += touches.compactMap { fact(of: $0, person: number) }
    }
    return known
  }

  private func users(_ policy: PersonPolicy) -> Known {
    var known = Known()
    var numbers: [Key128: Int] = [:]
    var families = Dictionary(
      aliases.map { (root($0.other), NaiveUnions(policy)) }, uniquingKeysWith: { first, _ in first }
    )
    for (other, arrival) in aliases { families[root(other)]?.addAlias(with: other, arrival) }
    for (person, touches) in held where person.isKnown {
      let root = root(person.key)
      let number = numbers[root] ?? numbers.count
      numbers[root] = number
      for touch in touches {
        guard let fact = fact(of: touch, person: number) else { continue }
        if families[root] == nil {
          known.facts.append(fact)
        } else {
          families[root]?.add(fact, touch.arrival)
        }
      }
    }
    for (user, own) in anchors {
      let root = root(user)
      guard let number = numbers[root] else { continue }
      for (anchor, arrival) in own {
        var anchor = anchor
        anchor.person = number
        if families[root] == nil {
          known.anchors.append(anchor)
        } else {
          families[root]?.add(anchor, arrival)
        }
      }
    }
    var groupCount = 0
    for root in Array(families.keys) {
      guard var family = families.removeValue(forKey: root) else { continue }
      family.resolve(after: groupCount)
      groupCount = family.groupCount
      known.successors.merge(family.successors) { $1 }
      known.facts += family.facts
      known.anchors += family.anchors
    }
    return known
  }

  private func table(
    _ measure: Measure, _ level: WindowLevel, _ sums: [NaiveOutcomes.Place: Counts],
    _ checkpoint: Checkpoint
  ) -> ExpectedTable {
    var rows: [[Int64]: Counts] = [:]
    var table = ExpectedTable(
      table: .sums(
        "\(measure.tableName)_\(level.name)", time: "window_start", measure.columns), rows: [:],
      isSparse: true)
    for (place, counts) in sums {
      let encoded = place.tuple.encoded
      let id = encoded.withUnsafeBytes { DimensionTuple.identifier(encoded: $0) }
      rows[[level.start(of: place.window), id, 0], default: Counts()] += counts
      table.tuples[id] = encoded
    }
    if let retention = level.retention, checkpoint.logTime > .min + retention {
      table.comparedFrom = checkpoint.logTime - retention
    }
    for (key, counts) in rows where counts != Counts() && key[0] >= table.comparedFrom {
      let isFinal = key[0] + level.length <= checkpoint.watermark
      guard isFinal || level.isCoarse else { continue }
      let isOpen = !isFinal && checkpoint.coarseSequence < checkpoint.sequence
      table.rows[key] = ExpectedRow(
        values: counts.values + [isFinal ? 1 : 0], mayBeMissing: isOpen)
    }
    if checkpoint.coarseSequence < checkpoint.sequence && level.isCoarse {
      // Rows of touches that were taken over since are open ones too.
      table.comparedTo = level.start(of: checkpoint.watermark)
    }
    let stored = Set(table.rows.filter { !$0.value.mayBeMissing }.keys.map { $0[1] })
    table.tuples = table.tuples.filter { stored.contains($0.key) }
    return table
  }
}
