/// A bin that is still open: sums by tuple, which parts of it the log has frames of, and what people said.
struct IncidentBin: ~Copyable {
  let start: Int64
  /// By slot of the tuple.
  var rows = FlatTable<IncidentCounts>()
  var changedRows = ChangeMarks()
  /// One bit for each part of the bin in which the log has a frame.
  var parts: UInt16 = 0
  var remarks: Set<IncidentBoard.Remark> = []

  init(start: Int64) { self.start = start }
}
