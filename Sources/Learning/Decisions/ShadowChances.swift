import States
import Statistics

/// The chances of all arms that a decision was made with, and would have been made with by the policies that decide
/// nothing: what estimates need that have a model of rewards. In 2^32ths, the greatest standing for 1 too.
struct ShadowChances: Equatable {
  /// Of each arm, as they were served.
  var served: [UInt32]
  /// Of each candidate of the plan those of each arm; empty of the one that decided and of those that were not asked.
  var candidates: [[UInt32]]

  static let none = ShadowChances(served: [], candidates: [])

  /// Chances of a decision that are more than this are not kept.
  static let countMax = 800
  /// Of all decisions of a plan whose rewards may still come.
  static let totalMax = 16_000_000

  var isEmpty: Bool { served.isEmpty }

  /// How many numbers they are.
  var count: Int { candidates.reduce(served.count) { $0 + $1.count } }

  init(served: [UInt32], candidates: [[UInt32]]) {
    self.served = served
    self.candidates = candidates
  }

  /// - Parameter candidates: names of the policies of the plan that may decide.
  /// - Returns: nothing where they are too many, or of other arms than the plan's.
  init(_ event: LoggedDecisionEvent, candidates names: [String], arms: Int) {
    guard event.token.propensities.count == arms, (event.shadows.count + 1) * arms <= Self.countMax
    else {
      self = .none
      return
    }
    served = (0..<arms).map { Self.part(event.token.propensities[$0]) }
    candidates = names.map { name in
      event.shadows.first { $0.name == name }?.chances.map(Self.part) ?? []
    }
  }

  private static func part(_ chance: Double) -> UInt32 {
    UInt32(clamping: Int64((chance * 0x1p32).rounded()))
  }

  static func chances(_ parts: [UInt32]) -> [Double] { parts.map { Double($0) * 0x1p-32 } }
}

/// A decision as estimates with a model of rewards see it.
struct ModelledDecision: Equatable {
  /// ``DecisionFeatures/digest``.
  var context: UInt32
  var arm: Int
  /// 2^32ths of each arm, as they were served.
  var served: [UInt32]
  /// Of each shadow the same.
  var shadows: [[UInt32]]
}

extension ShadowChances: CodedElement {
  static var blank: Self { .none }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&served)
    try codec.code(&candidates)
  }
}

extension ModelledDecision: CodedElement {
  static var blank: Self { Self(context: 0, arm: 0, served: [], shadows: []) }

  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&context)
    try codec.code(&arm)
    try codec.code(&served)
    try codec.code(&shadows)
  }
}
