public import Events
public import Learning
public import Metrics
import Synchronization

/// Profiles, segments and clusters as they were handed over last, for those who answer.
///
/// A lock is held for a look-up and while an update is put in; profiles share their memory with the learner's until it
/// changes them.
public final class ProfileBoard: Sendable {
  public let policy: ProfilePolicy
  private let metrics: ProfileMetrics
  private let state = Mutex(State())

  static let changesMax = 1_000

  struct State {
    var progress: LearningProgress?
    var profiles: [Key128: Profile] = [:]
    var names: [String] = []
    var counts: [Int] = []
    /// The latest last.
    var changes: [SegmentChange] = []
    var clusters: ProfileClusters?
    var turnedAway: UInt64 = 0
  }

  public init(_ policy: ProfilePolicy, registry: MetricRegistry) {
    self.policy = policy
    metrics = ProfileMetrics(registry)
  }

  public func take(_ update: ProfileUpdate) {
    let persons = state.withLock { state in
      for person in update.removed { state.profiles[person] = nil }
      for profile in update.changed { state.profiles[profile.person] = profile }
      state.names += update.newNames
      state.counts = update.counts
      state.changes += update.changes
      if state.changes.count > Self.changesMax {
        state.changes.removeFirst(state.changes.count - Self.changesMax)
      }
      if let clusters = update.clusters { state.clusters = clusters }
      state.turnedAway = update.turnedAway
      state.progress = update.progress
      return state.profiles.count
    }
    metrics.took(update, of: persons, policy)
  }

  /// What decisions may know of a person, by the names that segments use too; empty where nobody knows the person.
  /// What is served is what is logged with the decision, so that training sees the same values.
  public func features(of person: Key128) -> [(name: String, value: Double)] {
    guard let (profile, now) = read({ state in state.profiles[person] }) else { return [] }
    let view = profile.view(at: now, policy)
    var features = ProfileField.plain.map { plain in
      (name: "profile.\(plain.name)", value: plain.field.value(in: view) { _ in nil })
    }
    for (index, part) in ProfileField.parts.enumerated() {
      features.append(
        ("profile.part.\(part)", ProfileField.part(index).value(in: view) { _ in nil }))
    }
    for (index, rule) in policy.segments.enumerated() {
      features.append(("profile.segment.\(rule.id)", profile.isIn(index) ? 1 : 0))
    }
    return features
  }

  /// Persons who are in a segment, some of them where there are many, those with the smallest keys; nil where no segment
  /// has the id. A person is of one site, whose key its own is made with.
  public func members(of segment: String, countMax: Int = 500) -> [Key128]? {
    guard let index = policy.segments.firstIndex(where: { $0.id == segment }) else { return nil }
    let members = state.withLock { state in
      state.profiles.values.lazy.filter { $0.isIn(index) }.map(\.person)
    }
    return Array(members.sorted { ($0.high, $0.low) < ($1.high, $1.low) }.prefix(countMax))
  }

  /// Something of the state with the log's time; nil where it is not there, or nothing was read yet.
  private func read<Value: Sendable>(_ body: (State) -> Value?) -> (Value, Int64)? {
    state.withLock { state in
      guard let progress = state.progress, let value = body(state) else { return nil }
      return (value, progress.logTime)
    }
  }

  /// Nil before the first update.
  var progress: LearningProgress? { state.withLock { $0.progress } }

  struct Found {
    let profile: Profile
    let view: ProfileView
    /// By the place of each preference's number.
    let names: [String]
    let clusters: ProfileClusters?
    let progress: LearningProgress
  }

  func find(_ person: Key128) -> Found? {
    state.withLock { state in
      guard let progress = state.progress, let profile = state.profiles[person] else { return nil }
      return Found(
        profile: profile, view: profile.view(at: progress.logTime, policy),
        names: state.names, clusters: state.clusters, progress: progress)
    }
  }

  struct Summary {
    let progress: LearningProgress
    let persons: Int
    let counts: [Int]
    let changes: [SegmentChange]
    let clusters: ProfileClusters?
    let turnedAway: UInt64
  }

  var summary: Summary? {
    state.withLock { state in
      state.progress.map {
        Summary(
          progress: $0, persons: state.profiles.count, counts: state.counts,
          changes: state.changes, clusters: state.clusters, turnedAway: state.turnedAway)
      }
    }
  }
}
