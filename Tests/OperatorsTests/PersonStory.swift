import Events
import Oracles
import Testing
import Verification
import Views

@testable import Operators

/// What happens to persons, in order: touches of any lateness that is let in, copies, unions, persons
/// that are handed over to others, idle stretches in which everything expires.
struct PersonStory {
  enum Step {
    case insert(NaivePersons.Kept, of: Key128)
    case advance(Int64)
    case unite(Key128, Key128)
    case handOver(Key128, to: Key128)
    case drain
    case save(isComplete: Bool)
    case restart
  }

  var policy: PersonPolicy
  var steps: [Step] = []

  static func policy(_ random: inout SeededGenerator) -> PersonPolicy {
    var policy = PersonPolicy(
      sessionGap: random.pick([second, 7 * second, minute]),
      clickLookBack: random.pick([second, minute, 10 * minute]),
      impressionLookBack: random.pick([second, 30 * second, 5 * minute]),
      lateness: random.pick([0, 20 * second, 3 * minute]), personCountMax: random.pick([3, 1000]))
    if random.once(in: 3) { return policy }
    policy.experiments = ExperimentPolicy(
      outcomeWindow: random.pick([second, 20 * second, 2 * minute]),
      lookBack: random.pick([second, minute, 4 * minute]),
      memory: random.pick([2 * minute, 10 * minute, 2 * hour]))
    policy.personCountMax = 1000
    return policy
  }

  /// - Parameter movesPersons: with unions and persons that are handed over.
  init(seed: UInt64, count: Int, movesPersons: Bool) {
    var random = SeededGenerator(seed: seed)
    policy = Self.policy(&random)
    if !movesPersons { policy.personCountMax = 1000 }
    var watermark = noon
    steps.append(.advance(watermark))
    var sent: [(NaivePersons.Kept, Key128)] = []
    let personCount = 1 + random.below(6)
    let pace = random.pick([second, 5 * second, 40 * second])
    for number in 0..<count {
      switch random.below(movesPersons ? 26 : 22) {
      case 0...11:
        let touch = Self.touch(&random, watermark, policy, pace, number)
        let person = Self.person(random.below(personCount))
        steps.append(.insert(touch, of: person))
        sent.append((touch, person))
      case 12:
        // A copy, as long as it would be let in.
        if let (touch, person) = sent.randomElement(using: &random),
          touch.time >= watermark - policy.lateness
        {
          steps.append(.insert(touch, of: person))
        }
      case 13...17:
        watermark += random.time(upTo: pace * 2)
        steps.append(.advance(watermark))
      case 18:
        watermark += random.time(upTo: random.pick([pace, policy.keep, 3 * policy.keep]))
        steps.append(.advance(watermark))
      case 19: steps.append(.drain)
      case 20: steps.append(.save(isComplete: random.once(in: 4)))
      case 21: steps.append(.restart)
      case 22, 23:
        steps.append(
          .unite(Self.person(random.below(personCount)), Self.person(random.below(personCount))))
      default:
        steps.append(
          .handOver(
            Self.person(random.below(personCount)), to: Self.person(random.below(personCount))))
      }
    }
    steps.append(
      .advance(watermark + 3 * policy.keep + 10 * hour + (policy.experiments?.memory ?? 0)))
  }

  static func person(_ number: Int) -> Key128 {
    // Several in one group.
    Key128(low: UInt64(number % 3) | UInt64(number) << 20, high: UInt64(100 - number))
  }

  private static func touch(
    _ random: inout SeededGenerator, _ watermark: Int64, _ policy: PersonPolicy, _ pace: Int64,
    _ number: Int
  ) -> NaivePersons.Kept {
    let kind = random.pick([
      EventKind.impression, .impression, .click, .view, .conversion, .exposure,
    ])
    let late = random.once(in: 3) ? random.time(upTo: policy.lateness + 1) : 0
    // Many at the same moments.
    let ahead = random.time(upTo: pace) / second * second
    return NaivePersons.Kept(
      time: watermark - late + (late == 0 ? ahead : 0),
      key: Key128(low: UInt64(number + 1), high: random.next()), kind: kind,
      tuple: DimensionTuple(
        site: "s", campaign: "c\(random.below(2))", content: "k\(random.below(2))",
        variant: random.pick(["v0", "v1", "v0", "v1", ""]),
        currency: kind == .conversion ? random.pick(["", "EUR", "USD"]) : ""),
      revenue: kind == .conversion ? random.time(upTo: 9_000_000) - 2_000_000 : 0)
  }
}

/// Histories that live through a story, with everything that they hand out added up.
struct PersonRun: ~Copyable {
  var histories: PersonHistories
  var sums: NaivePersons.Sums = [:]
  var exposed: [NaiveOutcomes.Place: NaiveExposures.Sums] = [:]
  private var contributions = Contributions()
  private var chain: [[UInt8]] = []

  init(_ policy: PersonPolicy) { histories = PersonHistories(policy: policy) }

  mutating func insert(_ touch: NaivePersons.Kept, of person: Key128) {
    touch.tuple.encoded.withUnsafeBytes { tuple in
      histories.begin(tupleCount: 1) { _ in tuple }
      histories.insert(
        Touch(
          time: touch.time, key: touch.key, revenueMicros: touch.revenue, tuple: 0,
          kind: touch.kind.rawValue), of: person)
    }
  }

  mutating func handOver(
    _ person: Key128
  ) -> (touches: [NaivePersons.Kept], anchors: [PartialAnchor]) {
    var moved: [NaivePersons.Kept] = []
    var anchors: [PartialAnchor] = []
    histories.handOver(person) { touch, tuple in
      guard let tuple = DimensionTuple(encoded: tuple), let kind = EventKind(rawValue: touch.kind)
      else { return }
      moved.append(
        NaivePersons.Kept(
          time: touch.time, key: touch.key, kind: kind, tuple: tuple,
          revenue: touch.revenueMicros))
    } anchored: {
      anchors.append($0)
    }
    return (moved, anchors)
  }

  mutating func insert(
    _ moved: (touches: [NaivePersons.Kept], anchors: [PartialAnchor]), of person: Key128
  ) {
    for anchor in moved.anchors { histories.insert(anchor: anchor, of: person) }
    for touch in moved.touches { insert(touch, of: person) }
  }

  func isEqual(to naive: NaivePersons) -> Bool { sums == naive.sums && exposed == naive.exposed }

  mutating func drain() {
    histories.drain(into: &contributions)
    var last: (Int, Int64, Int64)?
    for index in 0..<contributions.count {
      let contribution = contributions[index]
      let order = (
        Int(contribution.measure.rawValue),
        DimensionTuple.identifier(encoded: contribution.tuple), contribution.start
      )
      #expect(last.map { $0 < order } ?? true, "differences out of order")
      #expect(contribution.sums != Counts(), "a difference of nothing")
      last = order
      guard let tuple = DimensionTuple(encoded: contribution.tuple) else { continue }
      let place = NaiveOutcomes.Place(tuple: tuple, window: contribution.start)
      switch contribution.measure {
      case .exposures:
        exposed[place, default: NaiveExposures.Sums()].exposures += Exposures(contribution.sums)
      case .baselines:
        exposed[place, default: NaiveExposures.Sums()].baselines += Baselines(contribution.sums)
      default: sums[place, default: Outcomes()] += Outcomes(contribution.sums)
      }
      if sums[place]?.isZero ?? false { sums[place] = nil }
      if exposed[place]?.isZero ?? false { exposed[place] = nil }
    }
    contributions.removeAll()
  }

  mutating func bytes(isComplete: Bool = true) -> [UInt8] {
    var writer = SnapshotWriter(kind: .base, pipelineHash: 1)
    histories.snapshot(isComplete: isComplete, into: &writer)
    return writer.finish()
  }

  mutating func save(isComplete: Bool) {
    let isComplete = isComplete || chain.isEmpty
    if isComplete { chain = [] }
    chain.append(bytes(isComplete: isComplete))
  }

  static func restored(_ chain: [[UInt8]], _ policy: PersonPolicy) throws -> PersonHistories {
    var histories = PersonHistories(policy: policy)
    for bytes in chain {
      var reader = try SnapshotReader(bytes, pipelineHash: 1)
      try histories.restore(from: &reader, keeping: 0..<256)
      try reader.finish()
    }
    return histories
  }

  mutating func restart() throws {
    save(isComplete: false)
    histories = try Self.restored(chain, histories.policy)
  }
}
