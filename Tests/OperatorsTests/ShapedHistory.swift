import Dataflow
import Events
import Oracles
import Views

extension History {
  /// The most tuples of a history that is a bomb, which has five times as many.
  static let bombTupleCountMax = 1000
  static let copyCount = 100

  /// A log of one extreme, with what goes with it at random.
  init(_ shape: Shape, seed: UInt64) {
    if shape == .mixed {
      self.init(seed: seed, frameCount: 40)
      return
    }
    var random = SeededGenerator(seed: seed)
    self.init(seed: seed, frameCount: 0)
    spec.dedupeHorizon = day
    spec.tupleCountMax = shape == .bomb ? Self.bombTupleCountMax : 10_000
    var now = noon
    switch shape {
    case .mixed: break
    case .copies: addCopies(&random, &now)
    case .hotKey: addHotKey(&random, &now)
    case .idleKeys: addIdleKeys(&random, &now)
    case .bomb: addBomb(&random, &now)
    }
  }

  private static func event(
    _ random: inout SeededGenerator, _ now: Int64, key: Int, person: Int
  ) -> TestEvent {
    TestEvent(
      kind: random.pick([.impression, .view, .click, .conversion]),
      key: Key128(low: random.next(), high: random.next()),
      person: Key128(low: UInt64(person), high: 5),
      time: now - random.time(upTo: random.once(in: 10) ? hour : 6 * second), received: now,
      tuple: DimensionTuple(
        site: key % 2 == 0 ? "shop" : "default", campaign: "c\(key)",
        currency: key % 3 == 0 ? "EUR" : ""),
      revenue: key % 3 == 0 ? random.time(upTo: 9_000_000) : 0)
  }

  /// Copies in the same frame, in the next ones and hours later.
  private mutating func addCopies(_ random: inout SeededGenerator, _ now: inout Int64) {
    let events = (0..<30).map { Self.event(&random, now, key: $0 % 7, person: $0) }
    let sent = events.flatMap { Array(repeating: $0, count: Self.copyCount) }
      .shuffled(using: &random)
    var rest = sent[...]
    while !rest.isEmpty {
      now += random.time(upTo: random.once(in: 10) ? hour : second)
      let frame = rest.prefix(1 + random.below(80))
      frames.append(LoggedFrame(Array(frame), storedAt: now))
      rest = rest.dropFirst(frame.count)
    }
  }

  private mutating func addHotKey(_ random: inout SeededGenerator, _ now: inout Int64) {
    for _ in 0..<20 {
      now += random.time(upTo: 20 * second)
      let events = (0..<300).map { _ in
        let isHot = !random.once(in: 20)
        return Self.event(
          &random, now, key: isHot ? 0 : 1 + random.below(50), person: isHot ? 0 : random.below(50))
      }
      frames.append(LoggedFrame(events, storedAt: now))
    }
  }

  private mutating func addIdleKeys(_ random: inout SeededGenerator, _ now: inout Int64) {
    for _ in 0..<4 {
      for start in stride(from: 0, to: 300, by: 50) {
        now += random.time(upTo: second)
        let events = (start..<start + 50).map { Self.event(&random, now, key: $0, person: $0) }
        frames.append(LoggedFrame(events, storedAt: now))
      }
      // Longer than a day's window is in state.
      now += 2 * day
      frames.append(.heartbeat(storedAt: now))
    }
  }

  private mutating func addBomb(_ random: inout SeededGenerator, _ now: inout Int64) {
    let keys = (0..<5 * Self.bombTupleCountMax).shuffled(using: &random)
    for start in stride(from: 0, to: keys.count, by: 250) {
      now += random.time(upTo: 4 * second)
      let events = keys[start..<start + 250].map {
        Self.event(&random, now, key: $0, person: $0 % 300)
      }
      // Some of those that are in state come again.
      let known = keys.prefix(250).map { Self.event(&random, now, key: $0, person: $0 % 300) }
      frames.append(LoggedFrame(events + known, storedAt: now))
    }
  }
}
