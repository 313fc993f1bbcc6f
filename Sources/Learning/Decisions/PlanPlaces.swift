import Events

/// Which plan something belongs to: a token, a decision's event, or the campaign of an event.
struct PlanPlaces {
  /// A plan whose campaign an event is of.
  struct Match {
    var plan: Int
    /// The variant that it names; nil where it names none.
    var arm: Int?
  }

  /// What a combination of dimensions comes to.
  private struct Place {
    var isOfSite = false
    var currency = ""
    var matches: [Match] = []
  }

  private let plans: [DecisionPlan]
  private let fingerprints: [UInt32: Int]
  /// Arms of plans as they were before, by fingerprint: what they are now.
  private var earlier: [UInt32: (plan: Int, arms: [Int?])] = [:]
  private var places: [[UInt8]: Place] = [:]
  /// Of the tuples of the frame at hand.
  private var frame: [Place] = []

  init(_ plans: [DecisionPlan]) {
    self.plans = plans
    fingerprints = Dictionary(
      plans.enumerated().map { ($0.element.fingerprint, $0.offset) },
      uniquingKeysWith: { a, _ in a })
  }

  // MARK: Dimensions

  /// Works out what the tuples of a frame come to.
  mutating func begin(_ view: FrameView) {
    frame.removeAll(keepingCapacity: true)
    if places.count > Self.placeCountMax { places.removeAll() }
    for tuple in 0..<view.tupleCount {
      let bytes = Array(view.tupleBytes(tuple))
      if let known = places[bytes] {
        frame.append(known)
      } else {
        let place = place(bytes)
        places[bytes] = place
        frame.append(place)
      }
    }
  }

  /// It only saves time: where it is full it begins anew.
  private static let placeCountMax = 10_000

  private func place(_ bytes: [UInt8]) -> Place {
    guard let tuple = bytes.withUnsafeBytes({ DimensionTuple(encoded: $0) }), tuple.traffic.isEmpty
    else { return Place() }
    var place = Place()
    place.currency = tuple.currency
    for (index, plan) in plans.enumerated() where plan.site == tuple.site {
      place.isOfSite = true
      guard plan.campaign == tuple.campaign else { continue }
      let arm = plan.arms.firstIndex(of: tuple.variant)
      // A variant that is none of the arms is somebody else's.
      if arm != nil || tuple.variant.isEmpty { place.matches.append(Match(plan: index, arm: arm)) }
    }
    return place
  }

  /// Whether an event with the tuple can have to do with any plan.
  func isOfSite(_ tuple: Int) -> Bool { frame[tuple].isOfSite }

  func matches(_ tuple: Int) -> [Match] { frame[tuple].matches }

  func currency(_ tuple: Int) -> String { frame[tuple].currency }

  // MARK: Tokens

  func plan(of fingerprint: UInt32) -> Int? {
    fingerprints[fingerprint] ?? earlier[fingerprint]?.plan
  }

  /// The plan of a decision's event; arms of a plan as it was before are found again by name.
  mutating func plan(of event: LoggedDecisionEvent) -> Int? {
    if let plan = plan(of: event.token.plan) { return plan }
    for (index, plan) in plans.enumerated() where plan.id == event.plan {
      let fingerprint = DecisionPlan.fingerprint(
        site: plan.site, id: event.plan, arms: event.arms)
      guard fingerprint == event.token.plan, earlier.count < Self.earlierCountMax else { continue }
      earlier[fingerprint] = (
        index, event.arms.map { name in plan.arms.firstIndex(of: name) }
      )
      return index
    }
    return nil
  }

  private static let earlierCountMax = 1_000

  /// The arm of a token in its plan as that is now.
  func arm(_ arm: Int, of fingerprint: UInt32, _ plan: Int) -> Int? {
    if fingerprints[fingerprint] == plan {
      return plans[plan].arms.indices.contains(arm) ? arm : nil
    }
    guard let arms = earlier[fingerprint]?.arms, arms.indices.contains(arm) else { return nil }
    return arms[arm]
  }
}
