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

  let closesAt: Int64
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
