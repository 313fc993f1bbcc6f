import Events

/// The chances that a decision was drawn from, as an event says by its token.
struct TokenChances: Sendable {
  private let plans: [DecisionPlan]
  private let fingerprints: [UInt32: Int]
  private let isAuthentic: @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool

  init(
    _ plans: [DecisionPlan],
    isAuthentic: @escaping @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool
  ) {
    self.plans = plans
    self.isAuthentic = isAuthentic
    fingerprints = Dictionary(
      plans.enumerated().map { ($0.element.fingerprint, $0.offset) },
      uniquingKeysWith: { first, _ in first })
  }

  /// - Returns: nil where the event echoes no decision of its campaign that came to its variant.
  func chances(_ tuple: DimensionTuple, _ payload: UnsafeRawBufferPointer) -> LoggedAllocation? {
    guard plans.contains(where: { $0.site == tuple.site && $0.campaign == tuple.campaign }) else {
      return nil
    }
    for text in DecisionEcho.find(in: payload) {
      let token: DecisionToken
      do throws(DecisionTokenError) {
        token = try DecisionToken(text: text, isAuthentic: isAuthentic)
      } catch {
        continue
      }
      guard let plan = fingerprints[token.plan].map({ plans[$0] }), plan.site == tuple.site,
        plan.campaign == tuple.campaign, plan.arms.indices.contains(token.chosen),
        plan.arms[token.chosen] == tuple.variant, !token.flags.contains(.repeated)
      else { continue }
      let scale = LoggedAllocation.one / Double(token.propensities.whole)
      return LoggedAllocation(
        zip(plan.arms, token.propensities.parts).map {
          (variant: $0, part: UInt32(Double($1) * scale))
        })
    }
    return nil
  }
}
