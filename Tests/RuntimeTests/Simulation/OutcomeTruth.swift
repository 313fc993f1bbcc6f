import Events
import Oracles
import Verification
import Views

/// The touches that a log's events come to, and who they are of, by the rules and one after the other.
///
/// Touches of a device are its own until a user signs in on it, who takes over its last sessions and
/// what follows until the device is unlinked; events with a user are the user's. A link that nothing
/// uses is forgotten.
struct OutcomeTruth {
  private struct Held {
    var fact: NaiveOutcomes.Fact
    /// The device whose own touch it still is.
    var device: Int?
  }

  private var held: [Held] = []
  private var links: [Int: (user: Int, usedHour: Int64)] = [:]
  private let policy: PersonPolicy
  /// What users are exposed to by touches of their devices that stay the devices' own.
  private(set) var anchors: [NaiveExposures.Anchor] = []

  var facts: [NaiveOutcomes.Fact] { held.map(\.fact) }

  init(_ policy: PersonPolicy) { self.policy = policy }

  /// Adds the events of one partition, in the order of the log.
  mutating func add(_ entries: [LogEntry], disorder: Int64, lateness: Int64?) {
    entries.forEachCounted(disorder: disorder, lateness: lateness) { follow($0, $1) }
  }

  private mutating func follow(_ event: TestEvent, _ watermark: Int64) {
    var user = event.user
    let hour = watermark / 3_600_000_000
    let oldest = hour - (policy.takeOver / 3_600_000_000 + 1)
    if let device = event.device {
      let known = links[device].flatMap { $0.usedHour >= oldest ? $0.user : nil }
      if event.kind == .unlink {
        if user == nil || user == known { links[device] = nil }
        return
      }
      if let user, known != user {
        takeOver(device, user, watermark)
        anchor(device, user, watermark)
      }
      if let linked = user ?? known {
        links[device] = (linked, hour)
        user = linked
      }
    }
    guard event.kind.rawValue <= EventKind.conversion.rawValue || event.kind == .exposure,
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

  private mutating func anchor(_ device: Int, _ user: Int, _ watermark: Int64) {
    guard let experiments = policy.experiments else { return }
    let left = NaiveExposures.ordered(held.filter { $0.device == device }.map(\.fact))
    anchors += NaiveExposures.exposing(left, experiments, anchors: []).map {
      NaiveExposures.Anchor(
        person: user, campaign: NaiveExposures.Campaign($0.tuple), time: $0.time,
        from: NaiveOutcomes.step(watermark) * 10_000_000 - policy.takeOver)
    }
  }

  private mutating func takeOver(_ device: Int, _ user: Int, _ watermark: Int64) {
    let own = held.indices.filter { held[$0].device == device }.sorted {
      held[$0].fact.time < held[$1].fact.time
    }
    var session: [Int] = []
    func settle(_ truth: inout OutcomeTruth) {
      guard let first = session.first else { return }
      let start = truth.held[first].fact.time
      let isTakenOver =
        NaiveOutcomes.step(start + truth.policy.takeOver) >= NaiveOutcomes.step(watermark)
      for index in session where isTakenOver {
        truth.held[index].device = nil
        truth.held[index].fact.person = user
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
}
