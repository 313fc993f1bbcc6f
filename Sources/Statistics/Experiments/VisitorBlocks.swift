/// Visitors of two arms in the blocks in which they are compared.
///
/// A block closes with 16 visitors and at least one in 200 of all so far, each arm having one. When it
/// closes hangs on visitors and time alone, never on what they did, so that in a block every assignment of its
/// conversions to its visitors stays equally likely. Small blocks of unequal arms lose information (about
/// 1/size), large ones delay a decision by as much.
struct VisitorBlocks: Sendable, Equatable {
  struct Block {
    let control: ArmCounts
    let treatment: ArmCounts

    var conversions: Int { control.conversions + treatment.conversions }
    var visitors: Int { control.visitors + treatment.visitors }
    /// Of each arm; of unequal arms their harmonic mean.
    var balanced: Double {
      2 * Double(control.visitors) * Double(treatment.visitors) / Double(visitors)
    }
    /// Whether it tells anything: someone converted and someone did not.
    var isInformative: Bool { conversions > 0 && conversions < visitors }
  }

  private(set) var control = ArmCounts()
  private(set) var treatment = ArmCounts()
  private(set) var pendingControl = ArmCounts()
  private(set) var pendingTreatment = ArmCounts()

  /// Takes counts that came since the last call; gives the block that they close.
  mutating func add(
    control moreControl: ArmCounts, treatment moreTreatment: ArmCounts
  ) throws(ExperimentError) -> Block? {
    try moreControl.check("control")
    try moreTreatment.check("treatment")
    control += moreControl
    treatment += moreTreatment
    pendingControl += moreControl
    pendingTreatment += moreTreatment
    let pending = pendingControl.visitors + pendingTreatment.visitors
    let all = control.visitors + treatment.visitors
    guard
      pendingControl.visitors > 0, pendingTreatment.visitors > 0, pending >= Self.visitorsMin,
      pending >= all / Self.share
    else { return nil }
    return close()
  }

  /// Closes the block that is open, whatever its size: who comes next is not to be compared with who is in it.
  ///
  /// - Returns: nil where an arm has no visitor; who is in it counts for nothing then.
  mutating func end() -> Block? {
    let isComparable = pendingControl.visitors > 0 && pendingTreatment.visitors > 0
    let block = close()
    return isComparable ? block : nil
  }

  private mutating func close() -> Block {
    let block = Block(control: pendingControl, treatment: pendingTreatment)
    pendingControl = ArmCounts()
    pendingTreatment = ArmCounts()
    return block
  }

  func put(into writer: inout SketchWriter) {
    for counts in [control, treatment, pendingControl, pendingTreatment] { writer.put(counts) }
  }

  init() {}

  init(from reader: inout SketchReader) throws(SketchError) {
    let begin = reader.place
    control = try reader.counts("control")
    treatment = try reader.counts("treatment")
    pendingControl = try reader.counts("pending control")
    pendingTreatment = try reader.counts("pending treatment")
    func holds(_ pending: ArmCounts, _ all: ArmCounts) -> Bool {
      pending.conversions <= all.conversions
        && pending.visitors - pending.conversions <= all.visitors - all.conversions
    }
    guard holds(pendingControl, control), holds(pendingTreatment, treatment) else {
      throw .damaged(field: "pending visitors", at: begin)
    }
  }

  private static let visitorsMin = 16
  private static let share = 200
}
