/// What one fault did: a line of the timeline.
struct Record: Sendable {
  var fault: Fault
  /// Seconds since the run began.
  var at: Double
  /// From the fault's beginning to its lifting, seconds.
  var lasted: Double
  /// From the lifting until fresh events could be queried in every partition, and until everything
  /// was ready besides; nil where that did not happen. Seconds.
  var queryable: Double?
  var recovered: Double?
  var note: String

  /// What DESIGN promises for this kind, in seconds.
  static let goalSeconds = 5.0
  static let processorGoalSeconds = 2.0

  var goal: Double {
    fault.kind == .killProcess ? Self.processorGoalSeconds : Self.goalSeconds
  }
}
