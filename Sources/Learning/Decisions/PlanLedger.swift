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

  /// As it is served: as it was declared, or with the policy that was promoted last.
  var plan: DecisionPlan
  let entryCountMax: Int
  let declared: DecisionPlan
  var version: UInt32
  /// Of the plan as it was declared, and with every promotion that was read.
  var versions: Set<UInt32>
  var promotion: DecisionPromotion?
  /// When the promotion was said last, microseconds since the epoch.
  var promotionSaidAt = Int64.min
  var sums: RewardBins
  var heldOut: [RewardBins.Cell]
  var soFar: ShadowSums
  /// Of the declared plan's candidates, and then of a policy that only a replay knows; nil for those without context.
  var contextual: [ContextualLedger?]
  /// nil where the plan is not sticky.
  var sticky: StickyArms?
  var counts = PlanLearning.Counts()
  var entries: [DecisionID: DecisionEntry] = [:]
  /// Numbers in ``DecisionEntry/chances`` of all entries, and the last ones, which the next decision often shares.
  var chanceCount = 0
  private var lastChances = ShadowChances.none
  var settling: SettledLearning
  var young = YoungDecisions()
  /// Persons of whom nothing is learned that was decided until a time, microseconds since the epoch.
  var erased: [Key128: Int64]
  /// What was taken back before it began to read, and what came too late to be taken back since.
  var told: OwedRetractions
  var owed = OwedRetractions()
  /// Retractions since somebody looked.
  private var freshRetractions = 0
  /// By the minute of the decision.
  var minutes: [Int64: [DecisionID]] = [:]
  var timelines: [Key128: PersonTimeline] = [:]
  /// Persons with touches, by the minute of the touch.
  var touched: [Int64: [Key128]] = [:]
  /// Decisions before it are settled and gone.
  var forgottenBefore = Int64.min
  /// Whether anything has changed since somebody looked.
  var isChanged = true
  /// What became of decisions that were settled since the last call of ``takeOutcomes()``; nil where nobody asks.
  private var outcomes: [Outcome]?

  /// - Parameters:
  ///   - replayed: a policy that only a replay knows; its model comes last, and outcomes are kept.
  ///   - told: nothing is learned from these.
  init(
    _ plan: DecisionPlan, entryCountMax: Int, settledCountMax: Int = SettledDecisions.countMax,
    replaying replayed: DecisionPolicy? = nil, told: OwedRetractions = OwedRetractions()
  ) {
    self.plan = plan
    declared = plan
    self.entryCountMax = entryCountMax
    sums = RewardBins(arms: plan.arms.count, memory: plan.memory)
    heldOut = [RewardBins.Cell](repeating: RewardBins.Cell(), count: plan.arms.count)
    settling = SettledLearning(plan, countMax: settledCountMax)
    self.told = told
    // Of who was erased nothing comes, and what comes later is of somebody nobody knows.
    erased = told.persons.filter { $0.value != .max }
    soFar = ShadowSums(arms: plan.arms.count, shadows: plan.shadows.count)
    let policies = plan.candidates.map(\.policy) + (replayed.map { [$0] } ?? [])
    contextual = policies.map { ContextualLedger($0) }
    sticky = plan.isSticky ? StickyArms() : nil
    version = plan.version
    versions = [version]
    outcomes = replayed == nil ? nil : []
  }

  mutating func takeOutcomes() -> [Outcome] {
    defer { if outcomes != nil { outcomes = [] } }
    return outcomes ?? []
  }

  var declaredVersion: UInt32 { declared.version }

  mutating func looked() { (isChanged, freshRetractions) = (false, 0) }

  /// Retractions that the newest model, or the newest intervals of shadows, do not know of yet.
  var pendingRetractions: Int { freshRetractions + settling.settled.takenBackCount + owed.count }

  var isRerunning: Bool { settling.isRerunning }

  var rerunCount: UInt64 { settling.rerunCount }

  /// What is said of shadows for good.
  var shadows: ShadowScores { settling.shadows }

  mutating func countOtherPlan() { counts.otherPlan += 1 }

  // MARK: What comes

  /// A decision's own event.
  ///
  /// - Parameters:
  ///   - facts: with the arm as the plan has it now.
  ///   - shadows: of the arm, with each candidate.
  ///   - chances: of all arms.
  ///   - logTime: of the event's stream.
  mutating func decide(
    _ id: DecisionID, _ facts: DecisionEntry.Facts, person: Key128, features: DecisionFeatures,
    shadows: [Double], chances: ShadowChances = .none, logTime: Int64
  ) {
    guard isAdmitted(facts.time, logTime) else { return }
    counts.decisions += 1
    let chances = keep(chances, of: id)
    change(id, at: facts.time) { entry in
      if entry.facts == nil { entry.facts = facts }
      entry.isDecided = true
      entry.features = features
      entry.shadows = shadows
      entry.chances = chances
    }
    join(id, person)
  }

  /// As many chances of all arms as there is room for.
  private mutating func keep(_ chances: ShadowChances, of id: DecisionID) -> ShadowChances {
    chanceCount -= entries[id]?.chances.count ?? 0
    guard chanceCount + chances.count <= ShadowChances.totalMax else { return .none }
    chanceCount += chances.count
    if chances != lastChances { lastChances = chances }
    return lastChances
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

  /// Takes the update of a decision back: the sums are as if it had never been made. Of one that is settled that is done as long
  /// as it is among the latest; policies that depend on the order learn again from the snapshot before these. What is settled
  /// longer is owed.
  ///
  /// - Parameter logTime: of the retraction's stream; nil: the ledger's own.
  /// - Returns: false where it is not known, or not any more.
  @discardableResult
  mutating func retract(_ id: DecisionID, logTime: Int64? = nil) -> Bool {
    if let entry = entries[id] {
      guard let time = entry.facts?.time, !entry.isRetracted else { return entry.isRetracted }
      counts.retracted += 1
      freshRetractions += 1
      change(id, at: time) { $0.isRetracted = true }
      return true
    }
    let time = logTime ?? sums.now
    guard let gone = settling.takeBack(id, at: time) else {
      if settling.settled.forGood.mayContain(id.key), !told.knows(id) {
        counts.retractedTooLate += 1
        owed.owe(id, at: time)
      }
      return false
    }
    counts.retracted += 1
    isChanged = true
    add(gone.part, sign: -1)
    if let score = gone.score { soFar.add(score, sign: -1) }
    if let example = gone.example {
      for place in contextual.indices { contextual[place]?.change(from: example, to: nil) }
    }
    if !gone.isOrdered { freshRetractions += 1 }
    return true
  }

  /// Takes back a decision whose own event may be still to come.
  ///
  /// - Parameter time: of the retraction.
  mutating func retract(_ id: DecisionID, at time: Int64, logTime: Int64) {
    if retract(id, logTime: logTime) || settling.settled.forGood.mayContain(id.key) { return }
    guard entries[id] != nil || isAdmitted(time, logTime) else { return }
    change(id, at: time) { $0.isRetracted = true }
  }

  /// Takes back what was learned from the decisions of a person, those that are still to be read among them.
  ///
  /// - Parameters:
  ///   - time: nothing that was decided later is taken back.
  ///   - logTime: of the retraction's stream; nil: the ledger's own.
  mutating func retract(person: Key128, until time: Int64 = .max, logTime: Int64? = nil) {
    for id in pending(of: person) where (entries[id]?.facts?.time ?? .min) <= time { retract(id) }
    for id in settling.settled.decisions(of: person, until: time) { retract(id, logTime: logTime) }
    if settling.settled.forGood.mayContain(person), !told.knows(person, until: time) {
      counts.retractedTooLate += 1
      owed.owe(person, until: time, at: logTime ?? sums.now)
    }
    guard time != .max else { return }
    if erased[person] == nil, erased.count >= Self.erasedCountMax { counts.crowded += 1 }
    if erased[person] != nil || erased.count < Self.erasedCountMax {
      erased[person] = max(erased[person] ?? .min, time)
    }
  }

  /// Decisions of a person whose rewards may still come.
  private func pending(of person: Key128) -> [DecisionID] {
    let latest = timelines[person]?.decisions.map(\.id) ?? []
    // A timeline keeps the latest alone.
    guard latest.count >= PersonTimeline.decisionCountMax else { return latest }
    return entries.filter { $0.value.persons.contains(person) }.map(\.key).sorted()
  }

  private static let erasedCountMax = 100_000

  /// Keeps nothing of a person who was erased, and takes back what was learned from the person's decisions.
  mutating func forget(person: Key128, logTime: Int64? = nil) {
    retract(person: person, logTime: logTime)
    for id in pending(of: person) { entries[id]?.persons.removeAll { $0 == person } }
    timelines[person] = nil
    sticky?.forget(person)
  }

  // MARK: Promotions

  /// Another of the plan's policies is to decide. What was said of the shadows until now was in comparison with the policy
  /// that decided: it begins anew.
  ///
  /// - Parameter time: of the event.
  mutating func promote(_ event: DecisionPromotion, at time: Int64) {
    guard event.version == declared.version,
      let place = declared.candidates.firstIndex(where: { $0.name == event.policy })
    else { return }
    let promoted = declared.promoting(place, since: event.since)
    let version = promoted.version
    if versions.insert(version).inserted { noteSticky(of: version) }
    if event == promotion { promotionSaidAt = max(promotionSaidAt, time) }
    if let promotion, !event.follows(promotion) { return }
    (promotion, promotionSaidAt) = (event, time)
    (plan, self.version) = (promoted, version)
    settling.promote(promoted)
    soFar = ShadowSums(arms: plan.arms.count, shadows: plan.shadows.count)
    for entry in entries.values { score(from: nil, to: entry) }
    isChanged = true
  }

  /// Decisions may be read before the promotion that they were made after.
  private mutating func noteSticky(of version: UInt32) {
    guard sticky != nil else { return }
    for (id, entry) in entries {
      guard let facts = entry.facts, facts.version == version else { continue }
      for person in entry.persons { noteSticky(person, facts, id) }
    }
  }

  private mutating func noteSticky(
    _ person: Key128, _ facts: DecisionEntry.Facts, _ id: DecisionID
  ) {
    guard versions.contains(facts.version) else { return }
    if !(sticky?.note(person, facts.arm, at: facts.time, id) ?? true) { counts.crowded += 1 }
  }

  /// What is known of the shadows so far has an entry in the place of what it was.
  private mutating func score(from before: DecisionEntry?, to after: DecisionEntry) {
    guard !declared.shadows.isEmpty else { return }
    let (old, new) = (before.flatMap(scorePart), scorePart(after))
    guard old != new else { return }
    if let old { soFar.add(old, sign: -1) }
    if let new { soFar.add(new, sign: 1) }
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
    var entry = known ?? DecisionEntry(isRetracted: told.knows(id))
    change(&entry)
    if known != nil, known?.facts == nil, let facts = entry.facts {
      // It was kept by the time of its reward; it is settled with the other decisions of its minute.
      minutes[facts.time / Self.minute, default: []].append(id)
    }
    let after = entry.contribution(plan)
    entries[id] = entry
    if isContextual, before != after || known?.isDecided != entry.isDecided {
      isChanged = true
      changeExample(id, from: known, to: entry)
    }
    score(from: known, to: entry)
    guard before != after else { return }
    isChanged = true
    if let before { add(before, sign: -1) }
    if let after { add(after, sign: 1) }
  }

  var isContextual: Bool { contextual.contains { $0 != nil } }

  private mutating func changeExample(
    _ id: DecisionID, from known: DecisionEntry?, to entry: DecisionEntry
  ) {
    // Of those without a reward it is decided when a model is made how many have a say.
    let before =
      known.flatMap { ContextualLedger.Example($0, plan) }
      .flatMap { $0.reward > 0 || young.hasSay(id) ? $0 : nil }
    let example = ContextualLedger.Example(entry, plan)
    young.forget(id)
    if let example, example.reward == 0 { young.add(id, at: entry.facts?.time ?? 0) }
    let after = example.flatMap { $0.reward > 0 ? $0 : nil }
    for place in contextual.indices { contextual[place]?.change(from: before, to: after) }
  }

  /// Decides how many of the young decisions without a reward have a say, as of the ledger's time: before models are made.
  mutating func weigh() {
    guard isContextual, sums.now != .min else { return }
    let (shares, known) = (YoungShares(sums), entries)
    for id in young.changes(shares, now: sums.now, arm: { known[$0]?.facts?.arm }) {
      guard let entry = known[id], let example = ContextualLedger.Example(entry, plan) else {
        continue
      }
      let hasSay = young.hasSay(id)
      for place in contextual.indices {
        contextual[place]?.change(from: hasSay ? nil : example, to: hasSay ? example : nil)
      }
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
    if let until = erased[person], facts.time <= until { retract(id) }
    noteSticky(person, facts, id)
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
    sticky?.forget(before: logTime - plan.memory - plan.rewardWindow)
    if settling.advance(to: logTime, &contextual) { isChanged = true }
    if !erased.isEmpty { erased = erased.filter { $0.value >= forgottenBefore } }
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
        outcomes?.append(
          Outcome(id: id, facts: facts, features: entry.features, reward: part.reward))
      }
      keep(id, entry)
      for person in entry.persons {
        timelines[person]?.remove(id)
        if timelines[person]?.isEmpty ?? false { timelines[person] = nil }
      }
      chanceCount -= entry.chances.count
      entries[id] = nil
    }
  }

  private mutating func keep(_ id: DecisionID, _ entry: DecisionEntry) {
    guard let facts = entry.facts, let part = entry.contribution(plan) else { return }
    let example = isContextual ? ContextualLedger.Example(entry, plan) : nil
    if let example, example.reward == 0, !young.hasSay(id) {
      // It had no say for want of a reward, and none will come.
      for place in contextual.indices { contextual[place]?.change(from: nil, to: example) }
    }
    young.forget(id)
    let scored = ShadowScores.Scored(
      facts, reward: part.reward, chances: shadowChances(entry), modelled: modelled(entry))
    settling.add(
      SettledDecisions.Settled(
        id: id, persons: entry.persons, part: part, score: scorePart(entry), scored: scored,
        example: example, isOrdered: scored != nil || (example != nil && isOrdered)), &contextual)
  }

  var entryCount: Int { entries.count }

  var timelineCount: Int { timelines.count }
}
