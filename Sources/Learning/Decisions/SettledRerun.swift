import States

/// When those that depend on the order learn settled decisions again, after some were taken back.
///
///     taken back         closed                  in effect
///     ────┼─────────────────┼───────────────────────┼──────▶ log time
///         ◀──  5 s: more  ──▶◀── 5 s: in steps ─────▶
///
/// What was taken back until it is closed is left out; what comes later waits for the next one. It takes effect at a log
/// time that follows from the log, so that a replay has the same models; what is left of it then is learned at once.
struct SettledRerun {
  static let collects: Int64 = 5_000_000
  static let learns: Int64 = 5_000_000
  /// Decisions that are learned with each publication, so that it takes some milliseconds.
  static let stepCount = 500

  private(set) var closesAt: Int64
  /// What the intervals of shadows have come to; nil before it is closed.
  var shadows: ShadowScores?
  /// Of the latest settled decisions the next one to learn.
  var next = 0

  init(takenBackAt time: Int64) { closesAt = time + Self.collects }

  var takesEffectAt: Int64 { closesAt + Self.learns }

  func leavesOut(_ settled: SettledDecisions.Settled) -> Bool {
    settled.takenBackAt.map { $0 <= closesAt } ?? false
  }
}

extension SettledRerun {
  /// - Parameter shadows: whose intervals are of the same plan; they are read over.
  mutating func code(_ codec: inout StateCodec, over shadows: ShadowScores) throws(StateError) {
    try codec.code(&closesAt)
    try codec.code(&next)
    var hasBegun = self.shadows != nil
    try codec.code(&hasBegun)
    guard hasBegun else { return }
    var scores = self.shadows ?? shadows
    try codec.code(&scores)
    self.shadows = scores
  }
}
