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
  /// Whether no other fault was made with it, and no process stood still before.
  var isAlone = true

  /// Of any faults, and of a killed processor by itself, in seconds.
  static let goalSeconds = 5.0
  static let processorGoalSeconds = 2.0

  var goal: Double {
    fault.kind == .killProcess && isAlone ? Self.processorGoalSeconds : Self.goalSeconds
  }
}
