import Events
import States
import Statistics

/// What is learned for good from decisions of which nothing comes any more, in the order in which they were settled: what
/// shadows would have earned, and policies that depend on the order. Taking one back has those learn again
/// (``SettledRerun``).
struct SettledLearning {
  private(set) var settled: SettledDecisions
  private(set) var shadows: ShadowScores
  /// Without the decisions that can still be taken back.
  private var shadowBase: ShadowScores
  private var rerun: SettledRerun?
  /// How often all have learned again.
  private(set) var rerunCount: UInt64 = 0

  init(_ plan: DecisionPlan, countMax: Int = SettledDecisions.countMax) {
    settled = SettledDecisions(countMax: countMax)
    shadows = ShadowScores(plan)
    shadowBase = shadows
  }

  /// Whether some learn again.
  var isRerunning: Bool { rerun != nil }

  /// Another policy decides: what was said of shadows was in comparison with the one before.
  mutating func promote(_ plan: DecisionPlan) {
    shadows = ShadowScores(plan)
    shadowBase = shadows
    settled.forgetScores()
    if rerun?.shadows != nil { rerun?.shadows = shadows }
  }

  mutating func add(
    _ one: SettledDecisions.Settled, _ contextual: inout [ContextualLedger?]
  ) {
    if let example = one.example {
      for place in contextual.indices { contextual[place]?.settle(example) }
    }
    if let scored = one.scored { shadows.add(scored) }
    letGo(settled.add(one), &contextual)
  }

  /// What cannot be taken back any more is part of what all learn again from.
  private mutating func letGo(
    _ gone: [SettledDecisions.Settled], _ contextual: inout [ContextualLedger?]
  ) {
    guard !gone.isEmpty else { return }
    for (place, one) in gone.enumerated() {
      if let rerun, rerun.shadows != nil, place >= rerun.next, !rerun.leavesOut(one) {
        learnAgain(one, &contextual)
      }
      guard one.takenBackAt == nil else { continue }
      if let scored = one.scored { shadowBase.add(scored) }
      if let example = one.example {
        for place in contextual.indices { contextual[place]?.keepForGood(example) }
      }
    }
    if let next = rerun?.next { rerun?.next = max(0, next - gone.count) }
  }

  /// - Returns: nil where it is not among the latest, or was taken back before.
  mutating func takeBack(_ id: DecisionID, at logTime: Int64) -> SettledDecisions.Settled? {
    let one = settled.takeBack(id, at: logTime)
    if let one, one.isOrdered, rerun == nil { rerun = SettledRerun(takenBackAt: logTime) }
    return one
  }

  private mutating func learnAgain(
    _ one: SettledDecisions.Settled, _ contextual: inout [ContextualLedger?]
  ) {
    if let scored = one.scored { rerun?.shadows?.add(scored) }
    if let example = one.example {
      for place in contextual.indices { contextual[place]?.learnAgain(example) }
    }
  }

  /// Goes on with what is learned again.
  ///
  /// - Returns: whether it has come into effect.
  mutating func advance(to logTime: Int64, _ contextual: inout [ContextualLedger?]) -> Bool {
    let before = rerunCount
    while let present = rerun, logTime >= present.closesAt {
      if present.shadows == nil {
        rerun?.shadows = shadowBase
        for place in contextual.indices { contextual[place]?.beginAgain() }
      }
      let isDue = logTime >= present.takesEffectAt
      let end =
        isDue ? settled.all.count : min(settled.all.count, present.next + SettledRerun.stepCount)
      for place in present.next..<max(present.next, end) {
        let one = settled.all[place]
        if !present.leavesOut(one) { learnAgain(one, &contextual) }
      }
      rerun?.next = end
      guard isDue else { break }
      if let again = rerun?.shadows { shadows = again }
      for place in contextual.indices { contextual[place]?.takeAgain() }
      settled.removeTakenBack(until: present.closesAt)
      rerunCount += 1
      rerun = settled.takenBackSince.map { SettledRerun(takenBackAt: $0) }
    }
    return rerunCount != before
  }
}

extension SettledLearning: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&settled)
    try codec.code(&shadows)
    try codec.code(&shadowBase)
    try codec.code(&rerunCount)
    var isRerunning = rerun != nil
    try codec.code(&isRerunning)
    guard isRerunning else {
      rerun = nil
      return
    }
    var present = rerun ?? SettledRerun(takenBackAt: 0)
    try present.code(&codec, over: shadowBase)
    rerun = present
  }
}
