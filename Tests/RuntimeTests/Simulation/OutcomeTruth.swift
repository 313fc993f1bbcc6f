import Events
import Oracles
import Verification
import Views

/// The touches that a log's events come to, and who they are of, by the rules and one after the other.
///
/// Touches of a device are its own until a user signs in on it, who takes over what is still kept and
/// what follows; events with a user are the user's. A link that nothing uses is forgotten.
///
/// Touches that are taken over may be older than anything else that is let in. Where the user's own
/// touches near them have left state by then, what they come to depends on what was settled before (see
/// `PersonHistories`), which no set of touches says: ``isSettledInPart``.
struct OutcomeTruth {
  private struct Held {
    var fact: NaiveOutcomes.Fact
    /// The device whose own touch it still is.
    var device: Int?
  }

  private var held: [Held] = []
  private var links: [Int: (user: Int, usedHour: Int64)] = [:]
  private(set) var isSettledInPart = false
  private let policy: PersonPolicy

  var facts: [NaiveOutcomes.Fact] { held.map(\.fact) }

  init(_ policy: PersonPolicy) { self.policy = policy }

  /// Adds the events of one partition, in the order of the log.
  mutating func add(_ entries: [LogEntry], disorder: Int64, lateness: Int64?) {
    var logTime = Int64.min
    var seen: Set<UInt64> = []
    for entry in entries {
      logTime = max(logTime, entry.storedAt)
      guard case .events(let events) = entry.content else { continue }
      let watermark = logTime - disorder
      for event in events where seen.insert(event.id).inserted {
        let end = WindowLevel.tenSeconds.start(of: event.time) + WindowLevel.tenSeconds.length
        if let lateness, end <= watermark, end + lateness <= watermark { continue }
        follow(event, watermark)
      }
    }
  }

  private mutating func follow(_ event: TestEvent, _ watermark: Int64) {
    var user = event.user
    let hour = watermark / 3_600_000_000
    let oldest = hour - (policy.keep / 3_600_000_000 + 1)
    if let device = event.device {
      let known = links[device].flatMap { $0.usedHour >= oldest ? $0.user : nil }
      if let user, known != user { takeOver(device, user, watermark) }
      if let linked = user ?? known {
        links[device] = (linked, hour)
        user = linked
      }
    }
    guard event.kind.rawValue <= EventKind.conversion.rawValue,
      event.time >= watermark - policy.lateness
    else { return }
    guard let tuple = event.tuple.withUnsafeBytes({ DimensionTuple(encoded: $0) }) else { return }
    let own = user == nil ? event.device ?? -Int(event.id % 4) - 1 : nil
    held.append(
      Held(
        fact: NaiveOutcomes.Fact(
          person: user ?? 1000 + (own ?? 0), time: event.time,
          key: Key128(low: event.id, high: 7), kind: event.kind, tuple: tuple,
          revenue: event.revenue),
        device: own))
  }

  private mutating func takeOver(_ device: Int, _ user: Int, _ watermark: Int64) {
    let own = held.indices.filter { held[$0].device == device }.sorted {
      held[$0].fact.time < held[$1].fact.time
    }
    var session: [Int] = []
    func settle(_ truth: inout OutcomeTruth) {
      guard let last = session.last else { return }
      let end = truth.held[last].fact.time
      let isKept =
        NaiveOutcomes.step(end + truth.policy.keep) >= NaiveOutcomes.step(watermark)
      if isKept { truth.noteSettled(near: session, of: user, watermark) }
      for index in session {
        truth.held[index].device = nil
        if isKept { truth.held[index].fact.person = user }
      }
      session = []
    }
    for index in own {
      if let last = session.last,
        held[index].fact.time - held[last].fact.time > policy.sessionGap
      {
        settle(&self)
      }
      session.append(index)
    }
    settle(&self)
  }

  /// Touches that come to the user while others close to them may have left state.
  private mutating func noteSettled(near session: [Int], of user: Int, _ watermark: Int64) {
    let reach = max(policy.sessionGap, policy.clickLookBack, policy.impressionLookBack)
    let left = held.lazy.map(\.fact).filter { [policy] fact in
      fact.person == user
        && NaiveOutcomes.step(fact.time + policy.keep) < NaiveOutcomes.step(watermark)
    }
    if left.contains(where: { fact in
      session.contains { abs(held[$0].fact.time - fact.time) <= reach }
    }) {
      isSettledInPart = true
    }
  }
}
