import Events
import Views

/// Users whom aliases have made one, and who may be forgotten to be: who each of their touches was of, one
/// after the other (``NaiveOutcomes/Fact/groups``), by going through all that came of them in its order.
///
/// Two become one with all that is in state of either. They are one until nothing is in state of them any
/// more, neither a session nor an exposure that is remembered, and the last alias is older than a session may
/// become. What they do after that is each one's own.
struct NaiveUnions {
  /// When something came, as all partitions would tell it.
  struct Arrival {
    var user: Key128
    var watermark: Int64
    /// Among those of the same watermark.
    var order: Int
  }

  private enum Item {
    case fact(Int)
    case anchor(Int)
    case alias(with: Key128)
  }

  private struct Union {
    var users: [Key128]
    /// The time of the latest touch.
    var latest = Int64.min
    /// The last step in which an alias alone makes them one.
    var linkedUntil = Int64.min

    mutating func note(_ time: Int64) { latest = max(latest, time) }
  }

  private(set) var facts: [NaiveOutcomes.Fact] = []
  private(set) var anchors: [NaiveExposures.Anchor] = []
  private var items: [(arrival: Arrival, item: Item)] = []
  private var places: [Key128: (facts: [Int], anchors: [Int])] = [:]
  /// By any of its users; nil for who never became one with another.
  private var numbers: [Key128: Int] = [:]
  /// By the number of their group: of the touches that come now.
  private var unions: [Int: Union] = [:]
  /// What has come so far.
  private var come: Set<Int> = []
  private var comeAnchors: Set<Int> = []
  private(set) var groupCount = 0
  /// The group that a group became part of.
  private(set) var successors: [Int: Int] = [:]
  private let policy: PersonPolicy

  init(_ policy: PersonPolicy) { self.policy = policy }

  mutating func add(_ fact: NaiveOutcomes.Fact, _ arrival: Arrival) {
    items.append((arrival, .fact(facts.count)))
    places[arrival.user, default: ([], [])].facts.append(facts.count)
    facts.append(fact)
  }

  mutating func add(_ anchor: NaiveExposures.Anchor, _ arrival: Arrival) {
    items.append((arrival, .anchor(anchors.count)))
    places[arrival.user, default: ([], [])].anchors.append(anchors.count)
    anchors.append(anchor)
  }

  mutating func addAlias(with other: Key128, _ arrival: Arrival) {
    items.append((arrival, .alias(with: other)))
  }

  /// - Parameter groupCount: groups that there are beside those of these users.
  mutating func resolve(after groupCount: Int) {
    self.groupCount = groupCount
    let ordered = items.sorted {
      ($0.arrival.watermark, $0.arrival.order) < ($1.arrival.watermark, $1.arrival.order)
    }
    for (arrival, item) in ordered {
      forget(arrival.user, arrival.watermark)
      switch item {
      case .fact(let index):
        come.insert(index)
        guard let number = numbers[arrival.user] else { continue }
        facts[index].groups = [number]
        unions[number]?.note(facts[index].time)
      case .anchor(let index):
        comeAnchors.insert(index)
        anchors[index].groups = numbers[arrival.user].map { [$0] } ?? []
      case .alias(let other):
        forget(other, arrival.watermark)
        unite(arrival.user, other, arrival.watermark)
      }
    }
  }

  private mutating func begin(_ users: [Key128]) -> Int {
    groupCount += 1
    unions[groupCount] = Union(users: users)
    for user in users { numbers[user] = groupCount }
    return groupCount
  }

  /// The number of the union that a user is of; of one who never was of any, one of its own begins with what
  /// has come.
  private mutating func union(of user: Key128) -> Int {
    if let number = numbers[user] { return number }
    let number = begin([user])
    let own = places[user] ?? ([], [])
    for index in own.facts where come.contains(index) {
      facts[index].groups = [number]
      unions[number]?.note(facts[index].time)
    }
    for index in own.anchors where comeAnchors.contains(index) { anchors[index].groups = [number] }
    return number
  }

  private mutating func unite(_ one: Key128, _ other: Key128, _ watermark: Int64) {
    let a = union(of: one)
    let b = union(of: other)
    var number = a
    if a != b {
      let before = [a, b].compactMap { unions[$0] }
      number = begin(before.flatMap(\.users))
      unions[a] = nil
      unions[b] = nil
      for (group, union) in zip([a, b], before) {
        successors[group] = number
        move(union, of: group, to: number, watermark)
      }
      unions[number]?.latest = before.map(\.latest).max() ?? .min
    }
    unions[number]?.linkedUntil =
      watermark == .min
      ? .max : NaiveOutcomes.step(watermark) + policy.keep / Self.stepLength + 1
  }

  private static let stepLength: Int64 = 10_000_000

  /// Sessions that end before it have left state.
  private func expiredBefore(_ watermark: Int64) -> Int64 {
    watermark == .min ? .min : NaiveOutcomes.step(watermark) * Self.stepLength - policy.keep
  }

  /// Adds the touches that are in state to a group; anchors are in the one where they came.
  private mutating func move(_ union: Union, of old: Int, to group: Int, _ watermark: Int64) {
    let members = union.users.flatMap { places[$0]?.facts ?? [] }.filter {
      facts[$0].groups.contains(old)
    }
    let times = members.map { facts[$0].time }.sorted()
    let expiredBefore = expiredBefore(watermark)
    // Sessions end in order of time.
    var expiredUpTo = Int64.min
    for (index, time) in times.enumerated() {
      let isEnd = index + 1 == times.count || times[index + 1] - time > policy.sessionGap
      if isEnd && time < expiredBefore { expiredUpTo = time }
    }
    for index in members where facts[index].time > expiredUpTo { facts[index].groups.append(group) }
  }

  /// Makes users of whom nothing is in state each one of its own again.
  private mutating func forget(_ user: Key128, _ watermark: Int64) {
    guard let number = numbers[user], let union = unions[number], union.users.count > 1,
      NaiveOutcomes.step(watermark) > union.linkedUntil,
      union.latest < expiredBefore(watermark)
    else { return }
    if let experiments = policy.experiments {
      let own = union.users.flatMap { places[$0]?.facts ?? [] }.filter { come.contains($0) }
      let ownAnchors = union.users.flatMap { places[$0]?.anchors ?? [] }.filter {
        comeAnchors.contains($0)
      }
      let exposed = NaiveExposures.exposed(
        NaiveExposures.ordered(own.map { facts[$0] }), experiments,
        anchors: ownAnchors.map { anchors[$0] }, successors: successors)
      let forgottenBefore = expiredBefore(watermark) - experiments.memory
      if (exposed[number] ?? []).contains(where: { $0.time >= forgottenBefore }) { return }
    }
    unions[number] = nil
    for user in union.users { _ = begin([user]) }
  }
}
