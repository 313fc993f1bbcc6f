import Events
import States

/// What a person was decided and did, as far as rewards may still be attributed: each reward that no token names
/// belongs to the latest decision before it.
///
///     decision a      decision b
///     ───●───────────────●──────────▶
///              click ◀┘       click ◀┘ (of b)
///           (of a)
///
/// A function of the set: a decision that turns up later between a decision and a click gets the click.
struct PersonTimeline {
  struct Touch: Equatable {
    var time: Int64
    var key: Key128
    /// 65,536ths of a reward.
    var value: Int64
    /// That it names; nil for any.
    var arm: Int?
  }

  struct Shown: Equatable {
    var time: Int64
    var id: DecisionID
    var arm: Int
  }

  static let decisionCountMax = 32
  static let touchCountMax = 64

  private(set) var decisions: [Shown] = []
  private(set) var touches: [Touch] = []

  var isEmpty: Bool { decisions.isEmpty && touches.isEmpty }

  /// - Returns: false where there was no room, so that the oldest has gone.
  mutating func add(_ decision: Shown) -> Bool {
    guard !decisions.contains(where: { $0.id == decision.id }) else { return true }
    let place =
      decisions.lastIndex { ($0.time, $0.id) < (decision.time, decision.id) }.map { $0 + 1 } ?? 0
    decisions.insert(decision, at: place)
    guard decisions.count > Self.decisionCountMax else { return true }
    decisions.removeFirst()
    return false
  }

  /// - Returns: false where there was no room, so that the oldest has gone.
  mutating func add(_ touch: Touch) -> Bool {
    let place =
      touches.lastIndex { ($0.time, $0.key) < (touch.time, touch.key) }.map { $0 + 1 } ?? 0
    touches.insert(touch, at: place)
    guard touches.count > Self.touchCountMax else { return true }
    touches.removeFirst()
    return false
  }

  mutating func remove(_ id: DecisionID) { decisions.removeAll { $0.id == id } }

  mutating func forgetTouches(before time: Int64) { touches.removeAll { $0.time < time } }

  /// The touches that belong to a decision.
  ///
  /// - Parameter window: microseconds after it.
  func touches(of id: DecisionID, within window: Int64) -> [Touch] {
    guard !touches.isEmpty, let place = decisions.firstIndex(where: { $0.id == id }) else {
      return []
    }
    let decision = decisions[place]
    return touches.filter { touch in
      guard touch.time >= decision.time, touch.time - decision.time <= window,
        touch.arm == nil || touch.arm == decision.arm
      else { return false }
      return !decisions[(place + 1)...].contains { later in
        later.time <= touch.time && (touch.arm == nil || touch.arm == later.arm)
      }
    }
  }
}

extension PersonTimeline: CodedElement {
  static var blank: Self { Self() }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&decisions)
    try codec.code(&touches)
  }
}

extension PersonTimeline.Touch: CodedElement {
  static var blank: Self { Self(time: 0, key: .zero, value: 0, arm: nil) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&time)
    try codec.code(&key)
    try codec.code(&value)
    try codec.code(&arm)
  }
}

extension PersonTimeline.Shown: CodedElement {
  static var blank: Self { Self(time: 0, id: .blank, arm: 0) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&time)
    try codec.code(&id)
    try codec.code(&arm)
  }
}
