import Events
public import States

extension DecisionLearner: SnapshotLearner {
  /// Raised when what is stored of decisions changes, or what is learned from the same events.
  static let format: UInt32 = 1

  public var snapshotKey: LearnerSnapshotKey {
    var declared: [UInt8] = []
    for ledger in ledgers {
      withUnsafeBytes(of: ledger.declared.version.littleEndian) { declared.append(contentsOf: $0) }
    }
    return LearnerSnapshotKey(name: "decisions", format: Self.format, declared: declared)
  }

  /// `@unchecked Sendable`: values that share nothing that anybody changes.
  private struct Frozen: @unchecked Sendable {
    var ledgers: [PlanLedger]
    var waiting: [DecisionID: DecisionEntry.Stated]
    var unreadable: UInt64
  }

  public func freeze() -> @Sendable () -> [UInt8] {
    let frozen = Frozen(ledgers: ledgers, waiting: waiting, unreadable: unreadable)
    return {
      var codec = StateCodec()
      var state = frozen
      do throws(StateError) {
        try Self.code(&state.ledgers, &state.waiting, &state.unreadable, &codec)
      } catch {
        preconditionFailure("writing never fails: \(error)")
      }
      return codec.finish()
    }
  }

  public func restore(_ bytes: [UInt8]) throws(StateError) {
    try restore(bytes) { _ throws(StateError) in }
  }

  public func restoreSuccessor(_ bytes: [UInt8]) throws(StateError) {
    let told = ledgers.map(\.told)
    try restore(bytes) { ledgers throws(StateError) in
      for index in ledgers.indices where !ledgers[index].tell(told[index]) {
        throw StateError.other("what is to be taken back was settled for good before")
      }
    }
  }

  private func restore(
    _ bytes: [UInt8], _ change: (inout [PlanLedger]) throws(StateError) -> Void
  ) throws(StateError) {
    var codec = StateCodec(bytes)
    var (ledgers, waiting, unreadable) = (ledgers, waiting, unreadable)
    try Self.code(&ledgers, &waiting, &unreadable, &codec)
    try codec.end()
    try change(&ledgers)
    (self.ledgers, self.waiting, self.unreadable) = (ledgers, waiting, unreadable)
  }

  private static func code(
    _ ledgers: inout [PlanLedger], _ waiting: inout [DecisionID: DecisionEntry.Stated],
    _ unreadable: inout UInt64, _ codec: inout StateCodec
  ) throws(StateError) {
    try codec.code(each: &ledgers)
    try codec.code(&waiting)
    try codec.code(&unreadable)
  }
}
