import Events
import States
import Statistics

/// What a ledger has, as it is stored. What follows from it is made anew: plan and version from the promotion, how many chances
/// there are from the entries.
extension PlanLedger: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(declared.version)
    try codec.check(entryCountMax)
    try DecisionPromotion.code(&promotion, &codec)
    if codec.isReading { try begin() }
    try codec.code(&promotionSaidAt)
    try codec.code(&versions)
    try codec.code(&sums)
    try codec.code(each: &heldOut)
    try codec.code(&soFar)
    for place in contextual.indices { try contextual[place]?.code(&codec) }
    try sticky?.code(&codec)
    try codec.code(&counts)
    try codec.code(&settling)
    try codec.code(&young)
    try codec.code(&told)
    try codec.code(&owed)
    try codec.code(&erased)
    try codec.code(&entries)
    try codec.code(&minutes)
    try codec.code(&timelines)
    try codec.code(&touched)
    try codec.code(&forgottenBefore)
    if codec.isReading { try end() }
  }

  /// Takes back what was told beforehand from what was learned already; what is still to be read is not learned.
  ///
  /// - Returns: false where some of it may be settled for good.
  mutating func tell(_ beforehand: OwedRetractions) -> Bool {
    told = told.adding(beforehand)
    for id in beforehand.decisions.sorted() {
      if !retract(id), settling.settled.forGood.mayContain(id.key) { return false }
      // Of one of which only a reward is known the decision is still to come.
      entries[id]?.isRetracted = true
    }
    for (person, until) in beforehand.persons.sorted(by: { $0.key < $1.key }) {
      if settling.settled.forGood.mayContain(person) { return false }
      retract(person: person, until: until)
    }
    return true
  }

  /// The plan as it is served, and what has its sizes.
  private mutating func begin() throws(StateError) {
    (plan, version) = (declared, declared.version)
    if let promotion {
      guard let place = declared.candidates.firstIndex(where: { $0.name == promotion.policy })
      else { throw .other("policy \(promotion.policy) is not one of plan \(declared.id)") }
      plan = declared.promoting(place, since: promotion.since)
      version = plan.version
    }
    settling.promote(plan)
    soFar = ShadowSums(arms: plan.arms.count, shadows: plan.shadows.count)
  }

  private mutating func end() throws(StateError) {
    let arms = plan.arms.indices
    guard entries.values.allSatisfy({ $0.facts.map { arms.contains($0.arm) } ?? true }) else {
      throw .malformed("a decision of plan \(declared.id) has an arm that the plan has not")
    }
    chanceCount = entries.values.reduce(0) { $0 + $1.chances.count }
    // What is answered from is made before anything else comes.
    isChanged = true
  }
}
