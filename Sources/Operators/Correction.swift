import Views

/// What frames have added to an expired window of one tuple since the last commit drain.
struct Correction: BitwiseCopyable {
  var counts = Counts()
  /// The number of those frames.
  var revision: Int32 = 0
  /// Changed by the present frame.
  var isRevised = false
}

/// A row as it was when its window expired.
struct RetiredRow {
  var row: HotRow
  /// Changed since the last hot drain.
  var isChanged: Bool
}
