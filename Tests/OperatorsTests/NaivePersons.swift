import Events
import Oracles
import Verification
import Views

@testable import Operators

/// Persons' histories by brute force: after every step everything is worked out anew from the touches
/// that are in state, and the difference to before is handed out.
struct NaivePersons {
  struct Kept: Hashable {
    var time: Int64
    var key: Key128
    var kind: EventKind
    var tuple: DimensionTuple
    var revenue: Int64
    var isSettled = false
  }

  struct Person {
    var members: Set<Key128>
    var touches: [Kept] = []
    var linkedUntil = Int64.min
    /// What has left state and still counts.
    var anchors: Set<NaiveExposures.Anchor> = []
  }

  typealias Sums = [NaiveOutcomes.Place: Outcomes]

  let policy: PersonPolicy
  var persons: [Key128: Person] = [:]
  var now = Int64.min
  /// Everything that was handed out.
  var sums: Sums = [:]
  /// The same of exposures and baselines.
  var exposed: [NaiveOutcomes.Place: NaiveExposures.Sums] = [:]

  init(_ policy: PersonPolicy) { self.policy = policy }

  func root(_ id: Key128) -> Key128? { persons.first { $0.value.members.contains(id) }?.key }

  private static func step(_ time: Int64) -> Int64 { NaiveOutcomes.step(time) }
  private func isClosed(_ end: Int64) -> Bool { Self.step(end + policy.sessionGap) < now }
  private func isExpired(_ end: Int64) -> Bool { Self.step(end + policy.keep) < now }

  // MARK: Steps

  mutating func insert(_ touch: Kept, of person: Key128) {
    let key = root(person) ?? person
    let before = persons[key] ?? Person(members: [person])
    if before.touches.contains(where: { $0.time == touch.time && $0.key == touch.key }) { return }
    if persons[key] == nil && persons.count >= policy.personCountMax { return }
    var after = before
    after.touches.append(touch)
    add(before, -1)
    add(after, 1)
    persons[key] = after
  }

  /// Somebody counts as exposed elsewhere.
  mutating func insert(anchor: NaiveExposures.Anchor, of person: Key128) {
    let key = root(person) ?? person
    let before = persons[key] ?? Person(members: [person])
    var after = before
    after.anchors.insert(anchor)
    add(before, -1)
    add(after, 1)
    persons[key] = after
    if after.touches.isEmpty { expire(key) }
  }

  mutating func advance(watermark: Int64) {
    let step = Self.step(watermark)
    if step <= now { return }
    let isFirst = now == .min
    for person in persons.values { add(person, -1) }
    now = step
    let linkEnd = linkEnd
    for (key, person) in persons {
      add(person, 1)
      if isFirst && person.linkedUntil == .max { persons[key]?.linkedUntil = linkEnd }
    }
    for key in persons.keys { expire(key) }
  }

  private var linkEnd: Int64 { now + policy.keep / 10_000_000 + 1 }

  private mutating func expire(_ key: Key128) {
    guard let person = persons[key] else { return }
    let expired = sessions(person).filter { isExpired($0[$0.count - 1].time) }.flatMap { $0 }
    var rest = person
    rest.touches = person.touches.filter { !expired.contains($0) }
    if let experiments = policy.experiments, let last = expired.map(\.time).max() {
      for exposure in exposures(person)
      where exposure.time <= last || exposure.time <= last + experiments.lookBack {
        rest.anchors.insert(anchor(exposure))
      }
    }
    forget(&rest)
    for (index, touch) in rest.touches.enumerated() where !touch.isSettled {
      switch touch.kind {
      case .click:
        rest.touches[index].isSettled = hasImpression(touch, person) && !hasImpression(touch, rest)
      case .conversion:
        if let click = click(of: touch, person) {
          rest.touches[index].isSettled = expired.contains(click)
        }
      default: break
      }
    }
    let isLinked = rest.members.count > 1 && rest.linkedUntil >= now
    persons[key] = rest.touches.isEmpty && rest.anchors.isEmpty && !isLinked ? nil : rest
  }

  /// Lets go of anchors that nothing is within the memory of any more.
  private func forget(_ person: inout Person) {
    guard let memory = policy.experiments?.memory else { return }
    let earliest = person.touches.map(\.time).min() ?? .max
    person.anchors = person.anchors.filter {
      Self.step($0.time + memory + policy.keep) >= now || earliest - memory <= $0.time
    }
  }

  mutating func unite(_ a: Key128, _ b: Key128) {
    let (x, y) = (root(a) ?? a, root(b) ?? b)
    if a == b { return }
    var first = persons[x] ?? Person(members: [x])
    var second = persons[y] ?? Person(members: [y])
    if x != y {
      add(first, -1)
      add(second, -1)
      forget(&first)
      forget(&second)
      first.anchors.formUnion(second.anchors)
      first.members.formUnion(second.members)
      for touch in second.touches {
        if let place = first.touches.firstIndex(where: {
          $0.key == touch.key && $0.time == touch.time
        }) {
          let isSettled = first.touches[place].isSettled || touch.isSettled
          first.touches[place] = touch
          first.touches[place].isSettled = isSettled
        } else {
          first.touches.append(touch)
        }
      }
      add(first, 1)
    }
    first.linkedUntil = now == .min ? .max : linkEnd
    persons[x] = nil
    persons[y] = nil
    persons[min(x, y)] = first
  }

  mutating func handOver(
    _ id: Key128
  ) -> (touches: [Kept], anchors: Set<NaiveExposures.Anchor>) {
    guard let key = root(id), var person = persons[key] else { return ([], []) }
    forget(&person)
    let taken = sessions(person).filter {
      now == .min || Self.step($0[0].time + policy.takeOver) >= now
    }.flatMap { $0 }
    var rest = person
    rest.touches.removeAll { taken.contains($0) }
    let from = now == .min ? now : now * 10_000_000 - policy.takeOver
    let anchors = Set(
      rest.anchors.union(exposures(rest).map(anchor)).map {
        NaiveExposures.Anchor(person: 0, campaign: $0.campaign, time: $0.time, from: from)
      })
    if taken.isEmpty && !person.touches.isEmpty { return ([], anchors) }
    add(person, -1)
    add(rest, 1)
    if rest.touches.isEmpty { forget(&rest) }
    persons[key] = rest.touches.isEmpty && rest.anchors.isEmpty ? nil : rest
    return (taken, anchors)
  }

  // MARK: What touches count

  private func ordered(_ person: Person) -> [Kept] {
    person.touches.sorted { ($0.time, $0.key) < ($1.time, $1.key) }
  }

  private func sessions(_ person: Person) -> [[Kept]] {
    var sessions: [[Kept]] = []
    for touch in ordered(person) {
      if let last = sessions.last?.last, touch.time - last.time <= policy.sessionGap {
        sessions[sessions.count - 1].append(touch)
      } else {
        sessions.append([touch])
      }
    }
    return sessions
  }

  private func hasImpression(_ click: Kept, _ person: Person) -> Bool {
    click.isSettled
      || person.touches.contains {
        $0.kind == .impression && $0.time <= click.time
          && $0.time >= click.time - policy.impressionLookBack
          && ($0.tuple.site, $0.tuple.campaign, $0.tuple.content)
            == (click.tuple.site, click.tuple.campaign, click.tuple.content)
      }
  }

  private func click(of conversion: Kept, _ person: Person) -> Kept? {
    ordered(person).last {
      $0.kind == .click && $0.time <= conversion.time
        && $0.time >= conversion.time - policy.clickLookBack
    }
  }

  private func counted(_ person: Person) -> Sums {
    var sums: Sums = [:]
    func add(_ tuple: DimensionTuple, _ time: Int64, _ outcomes: Outcomes) {
      let place = NaiveOutcomes.Place(tuple: tuple, window: Self.step(time) * 10_000_000)
      sums[place, default: Outcomes()] += outcomes
    }
    for session in sessions(person) {
      let end = session[session.count - 1].time
      add(
        session[0].tuple, session[0].time,
        Outcomes(
          sessions: 1, bounces: session.count == 1 ? 1 : 0,
          sessionMicros: isClosed(end) ? end - session[0].time : 0))
    }
    for touch in person.touches {
      if touch.kind == .click, hasImpression(touch, person) {
        add(touch.tuple, touch.time, Outcomes(attributedClicks: 1))
      }
      if touch.kind == .conversion, !touch.isSettled, let click = click(of: touch, person) {
        var tuple = click.tuple
        tuple.currency = touch.tuple.currency
        add(
          tuple, touch.time,
          Outcomes(attributedConversions: 1, attributedRevenueMicros: touch.revenue))
      }
    }
    return sums
  }

  // MARK: What touches expose to

  private func facts(_ person: Person) -> [NaiveOutcomes.Fact] {
    ordered(person).map {
      NaiveOutcomes.Fact(
        person: 0, time: $0.time, key: $0.key, kind: $0.kind, tuple: $0.tuple,
        revenue: $0.revenue)
    }
  }

  private func exposures(_ person: Person) -> [NaiveOutcomes.Fact] {
    guard let experiments = policy.experiments else { return [] }
    return NaiveExposures.exposing(
      facts(person), experiments, anchors: Array(person.anchors))
  }

  private func anchor(_ exposure: NaiveOutcomes.Fact) -> NaiveExposures.Anchor {
    NaiveExposures.Anchor(
      person: 0, campaign: NaiveExposures.Campaign(exposure.tuple), time: exposure.time)
  }

  private mutating func addExposures(_ person: Person, _ sign: Int64) {
    guard let experiments = policy.experiments else { return }
    func signed(_ counts: Counts) -> Counts {
      Counts(
        impressions: sign * counts.impressions, views: sign * counts.views,
        clicks: sign * counts.clicks, engagements: sign * counts.engagements,
        conversions: sign * counts.conversions, revenueMicros: sign * counts.revenueMicros)
    }
    let own = facts(person)
    for exposure in exposures(person) {
      for (place, sums) in NaiveExposures.counted(exposure, among: own, experiments) {
        exposed[place, default: NaiveExposures.Sums()].exposures += Exposures(
          signed(sums.exposures.counts))
        exposed[place, default: NaiveExposures.Sums()].baselines += Baselines(
          signed(sums.baselines.counts))
        if exposed[place]?.isZero ?? false { exposed[place] = nil }
      }
    }
  }

  private mutating func add(_ person: Person, _ sign: Int) {
    addExposures(person, Int64(sign))
    let counted = counted(person)
    for (place, outcomes) in counted {
      sums[place, default: Outcomes()] += sign > 0 ? outcomes : -outcomes
      if sums[place]?.isZero ?? false { sums[place] = nil }
    }
  }
}
