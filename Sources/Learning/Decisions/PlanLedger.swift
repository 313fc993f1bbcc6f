import Events
import Statistics

/// The decisions of a plan whose rewards may still come, and the sums of what all of them earned.
///
///     forgotten │ turned away │          admitted            │
///     ──────────┼─────────────┼──────────────────────────────▶ log time
///               ◀── slack ──▶ ◀── reward window and grace ──▶
///
/// What is learned is a function of the set of events: every entry says what was seen of a decision, what the sums have
/// of it is a function of the entry, and where it changes the old one is taken back. Whether an event still counts
/// depends on its own stream's log time alone; entries are kept `slack` longer, for streams that are read less far.
/// Bounded: where there are too many, the oldest minutes are forgotten early, and counted.
struct PlanLedger {
  /// Beyond the reward window, for events that come late into the log.
  static let grace: Int64 = 120_000_000
  static let slack: Int64 = 600_000_000
  private static let minute: Int64 = 60_000_000

  let plan: DecisionPlan
  let entryCountMax: Int
  private let version: UInt32
  private(set) var sums: RewardBins
  private(set) var heldOut: [RewardBins.Cell]
  private(set) var shadows: ShadowScores
  /// Of the plan's policy and then of its shadows; nil for those without context.
  private var contextual: [ContextualLedger?]
  /// nil where the plan is not sticky.
  private(set) var sticky: StickyArms?
  private(set) var counts = PlanLearning.Counts()
  private(set) var entries: [DecisionID: DecisionEntry] = [:]
  /// By the minute of the decision.
  private var minutes: [Int64: [DecisionID]] = [:]
  private var timelines: [Key128: PersonTimeline] = [:]
  /// Persons with touches, by the minute of the touch.
  private var touched: [Int64: [Key128]] = [:]
  /// Decisions before it are settled and gone.
  private var forgottenBefore = Int64.min
  /// Whether anything has changed since somebody looked.
  private(set) var isChanged = true

  /// - Parameter replayed: a policy that is scored in place of the plan's shadows; its model comes last.
  init(_ plan: DecisionPlan, entryCountMax: Int, replaying replayed: DecisionPolicy? = nil) {
    self.plan = plan
    self.entryCountMax = entryCountMax
    sums = RewardBins(arms: plan.arms.count, memory: plan.memory)
    heldOut = [RewardBins.Cell](repeating: RewardBins.Cell(), count: plan.arms.count)
    shadows = ShadowScores(plan, count: replayed == nil ? plan.shadows.count : 1)
    let policies = [plan.policy] + plan.shadows.map(\.policy) + (replayed.map { [$0] } ?? [])
    contextual = policies.map { ContextualLedger($0) }
    sticky = plan.isSticky ? StickyArms() : nil
    version = plan.version
  }

  mutating func looked() { isChanged = false }

  mutating func countOtherPlan() { counts.otherPlan += 1 }

  // MARK: What comes

  /// A decision's own event.
  ///
  /// - Parameters:
  ///   - facts: with the arm as the plan has it now.
  ///   - logTime: of the event's stream.
  mutating func decide(
    _ id: DecisionID, _ facts: DecisionEntry.Facts, person: Key128, features: DecisionFeatures,
    shadows: [UInt32], logTime: Int64
  ) {
    guard isAdmitted(facts.time, logTime) else { return }
    counts.decisions += 1
    change(id, at: facts.time) { entry in
      if entry.facts == nil { entry.facts = facts }
      entry.isDecided = true
      entry.features = features
      entry.shadows = shadows
    }
    join(id, person)
  }

  /// An event that names a decision by its token.
  ///
  /// - Parameters:
  ///   - time: of the event.
  ///   - value: 65,536ths of a reward; nil for what is none.
  mutating func echo(
    _ id: DecisionID, _ facts: DecisionEntry.Facts, person: Key128, at time: Int64, value: Int64?,
    logTime: Int64
  ) {
    guard isAdmitted(facts.time, logTime) else { return }
    let isWithin = time - facts.time <= plan.rewardWindow
    if value != nil, isWithin { counts.rewards += 1 }
    let isNew = entries[id]?.facts == nil
    change(id, at: facts.time) { entry in
      if entry.facts == nil { entry.facts = facts }
      entry.echoedAt = min(entry.echoedAt, time)
      if let value, isWithin { entry.named.add(value, at: time) }
    }
    if isNew { counts.rebuilt += 1 }
    join(id, person)
  }

  /// An event of a person that names no decision.
  mutating func touch(
    _ person: Key128, at time: Int64, key: Key128, value: Int64, arm: Int?, logTime: Int64
  ) {
    guard isAdmitted(time, logTime) else { return }
    counts.rewards += 1
    let touch = PersonTimeline.Touch(time: time, key: key, value: value, arm: arm)
    if !timelines[person, default: PersonTimeline()].add(touch) { counts.crowded += 1 }
    touched[time / Self.minute, default: []].append(person)
    attribute(person)
  }

  /// A reward that was stated of a decision, which may not be known yet.
  mutating func state(_ id: DecisionID, _ stated: DecisionEntry.Stated, logTime: Int64) {
    let decided = entries[id]?.facts?.time ?? stated.time
    guard isAdmitted(decided, logTime) else { return }
    counts.rewards += 1
    change(id, at: decided) { entry in
      if let other = entry.stated, (other.time, other.key) >= (stated.time, stated.key) { return }
      entry.stated = stated
    }
  }

  /// Takes the update of a decision back: the sums are as if it had never been made.
  ///
  /// - Returns: false where it is not known any more.
  @discardableResult
  mutating func retract(_ id: DecisionID) -> Bool {
    guard let time = entries[id]?.facts?.time else { return false }
    change(id, at: time) { $0.isRetracted = true }
    return true
  }

  /// Takes back what was learned from a person, as far as it is in the ledger.
  mutating func retract(person: Key128) {
    for decision in timelines[person]?.decisions ?? [] { retract(decision.id) }
  }

  // MARK: Entries

  private mutating func isAdmitted(_ time: Int64, _ logTime: Int64) -> Bool {
    guard time >= forgottenBefore, time >= logTime - plan.rewardWindow - Self.grace else {
      counts.tooLate += 1
      return false
    }
    return true
  }

  private mutating func change(
    _ id: DecisionID, at time: Int64, _ change: (inout DecisionEntry) -> Void
  ) {
    let known = entries[id]
    if known == nil { minutes[time / Self.minute, default: []].append(id) }
    let before = known?.contribution(plan)
    var entry = known ?? DecisionEntry()
    change(&entry)
    if known != nil, known?.facts == nil, let facts = entry.facts {
      // It was kept by the time of its reward; it is settled with the other decisions of its minute.
      minutes[facts.time / Self.minute, default: []].append(id)
    }
    let after = entry.contribution(plan)
    entries[id] = entry
    if isContextual, before != after || known?.isDecided != entry.isDecided {
      isChanged = true
      changeExample(from: known, to: entry)
    }
    guard before != after else { return }
    isChanged = true
    if let before { add(before, sign: -1) }
    if let after { add(after, sign: 1) }
  }

  private var isContextual: Bool { contextual.contains { $0 != nil } }

  private mutating func changeExample(from known: DecisionEntry?, to entry: DecisionEntry) {
    guard contextual.contains(where: { $0?.isAdditive ?? false }) else { return }
    let before = known.flatMap { ContextualLedger.Example($0, plan) }
    let after = ContextualLedger.Example(entry, plan)
    for place in contextual.indices { contextual[place]?.change(from: before, to: after) }
  }

  /// What the policies with context have learned, the plan's first and then its shadows'; nil for those without.
  func contextualModels() -> [(any ContextualPolicy)?] {
    guard isContextual else { return [] }
    var pending: [ContextualLedger.Example] = []
    if isOrdered {
      pending = Self.inOrder(entries.map { (id: $0.key, entry: $0.value) }).compactMap {
        ContextualLedger.Example($0.entry, plan)
      }
    }
    return contextual.map { $0?.model(pending) }
  }

  /// Whether some policy depends on the order of decisions.
  private var isOrdered: Bool { contextual.contains { $0.map { !$0.isAdditive } ?? false } }

  /// Microseconds of log time between two of its models: those that learn all that is pending again take their time.
  var modelInterval: Int64 {
    isOrdered ? min(60_000_000, Int64(entries.count) * 1_000) : 0
  }

  private static func inOrder(
    _ entries: [(id: DecisionID, entry: DecisionEntry)]
  ) -> [(id: DecisionID, entry: DecisionEntry)] {
    entries.sorted {
      ($0.entry.facts?.time ?? 0, $0.id) < ($1.entry.facts?.time ?? 0, $1.id)
    }
  }

  private mutating func add(_ part: DecisionEntry.Contribution, sign: Int64) {
    if part.isHeldOut {
      heldOut[part.arm].add(trials: 1, reward: part.reward, sign: sign)
    } else {
      sums.add(
        arm: part.arm, time: part.time, reward: part.reward, delay: part.delay, sign: sign)
    }
  }

  /// Puts a decision into the timeline of a person.
  private mutating func join(_ id: DecisionID, _ person: Key128) {
    guard var entry = entries[id], let facts = entry.facts, !entry.persons.contains(person),
      entry.persons.count < Self.personCountMax
    else { return }
    entry.persons.append(person)
    entries[id] = entry
    if facts.version == version, !(sticky?.note(person, facts.arm, at: facts.time, id) ?? true) {
      counts.crowded += 1
    }
    let shown = PersonTimeline.Shown(time: facts.time, id: id, arm: facts.arm)
    if !timelines[person, default: PersonTimeline()].add(shown) { counts.crowded += 1 }
    attribute(person)
  }

  /// A token that is shared by more is not one person's.
  private static let personCountMax = 4

  private mutating func attribute(_ person: Key128) {
    guard let timeline = timelines[person], !timeline.touches.isEmpty else { return }
    for decision in timeline.decisions {
      guard let entry = entries[decision.id] else { continue }
      var attributed = DecisionEntry.Earned()
      for person in entry.persons {
        let touches =
          timelines[person]?.touches(of: decision.id, within: plan.rewardWindow) ?? []
        for touch in touches { attributed.add(touch.value, at: touch.time) }
      }
      guard attributed != entry.attributed else { continue }
      change(decision.id, at: decision.time) { $0.attributed = attributed }
    }
  }

  // MARK: Time

  /// Settles and forgets what has had its time.
  mutating func advance(to logTime: Int64) {
    let before = sums.bins.count
    sums.advance(to: logTime)
    if sums.bins.count != before { isChanged = true }
    guard logTime != .min else { return }
    forget(before: logTime - plan.rewardWindow - Self.grace - Self.slack)
    evict()
  }

  private mutating func evict() {
    while entries.count > entryCountMax, let oldest = minutes.keys.min() {
      counts.evicted += UInt64(minutes[oldest]?.count ?? 0)
      forget(before: (oldest + 1) * Self.minute)
    }
  }

  private mutating func forget(before time: Int64) {
    let minute = time / Self.minute
    guard minute > forgottenBefore / Self.minute else { return }
    forgottenBefore = minute * Self.minute
    for old in minutes.keys.filter({ $0 < minute }).sorted() {
      settle(minutes.removeValue(forKey: old) ?? [])
    }
    for old in touched.keys.filter({ $0 < minute }) {
      for person in touched.removeValue(forKey: old) ?? [] {
        timelines[person]?.forgetTouches(before: forgottenBefore)
        if timelines[person]?.isEmpty ?? false { timelines[person] = nil }
      }
    }
  }

  /// In order of time and id, because intervals that hold at any time take decisions one after the other.
  private mutating func settle(_ ids: [DecisionID]) {
    let order = Self.inOrder(ids.compactMap { id in entries[id].map { (id: id, entry: $0) } })
    for (id, entry) in order {
      if let facts = entry.facts, let part = entry.contribution(plan) {
        shadows.add(facts, reward: part.reward, chances: entry.shadows)
      }
      if isContextual, let example = ContextualLedger.Example(entry, plan) {
        for place in contextual.indices { contextual[place]?.settle(example) }
      }
      for person in entry.persons {
        timelines[person]?.remove(id)
        if timelines[person]?.isEmpty ?? false { timelines[person] = nil }
      }
      entries[id] = nil
    }
  }

  var entryCount: Int { entries.count }

  var timelineCount: Int { timelines.count }
}
