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
  }

  typealias Sums = [NaiveOutcomes.Place: Outcomes]

  let policy: PersonPolicy
  var persons: [Key128: Person] = [:]
  var now = Int64.min
  /// Everything that was handed out.
  var sums: Sums = [:]

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
    add(counted(before), -1)
    add(counted(after), 1)
    persons[key] = after
  }

  mutating func advance(watermark: Int64) {
    let step = Self.step(watermark)
    if step <= now { return }
    let isFirst = now == .min
    for person in persons.values { add(counted(person), -1) }
    now = step
    let linkEnd = linkEnd
    for (key, person) in persons {
      add(counted(person), 1)
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
    persons[key] = rest.touches.isEmpty && !isLinked ? nil : rest
  }

  mutating func unite(_ a: Key128, _ b: Key128) {
    let (x, y) = (root(a) ?? a, root(b) ?? b)
    if a == b { return }
    var first = persons[x] ?? Person(members: [x])
    let second = persons[y] ?? Person(members: [y])
    if x != y {
      add(counted(first), -1)
      add(counted(second), -1)
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
      add(counted(first), 1)
    }
    first.linkedUntil = now == .min ? .max : linkEnd
    persons[x] = nil
    persons[y] = nil
    persons[min(x, y)] = first
  }

  mutating func handOver(_ id: Key128) -> [Kept] {
    guard let key = root(id), let person = persons[key] else { return [] }
    let taken = sessions(person).filter {
      now == .min || Self.step($0[0].time + policy.takeOver) >= now
    }.flatMap { $0 }
    if taken.isEmpty && !person.touches.isEmpty { return [] }
    add(counted(person), -1)
    var rest = person
    rest.touches.removeAll { taken.contains($0) }
    add(counted(rest), 1)
    persons[key] = rest.touches.isEmpty ? nil : rest
    return taken
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

  private mutating func add(_ counted: Sums, _ sign: Int) {
    for (place, outcomes) in counted {
      sums[place, default: Outcomes()] += sign > 0 ? outcomes : -outcomes
      if sums[place]?.isZero ?? false { sums[place] = nil }
    }
  }
}
