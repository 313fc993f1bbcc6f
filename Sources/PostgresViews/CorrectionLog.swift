/// What was corrected of late, in memory: sums that are kept are brought to a later moment with it, and nobody has to be
/// asked for it.
///
/// Of each stream everything between two sequences is known: what commits past the first one have noted
/// (``CorrectionTable``), up to the second. Whoever reads what was noted since adds it; a stream of which something
/// was not noted, or too much, begins anew, and sums of before are read again.
///
///     sequences of a stream   ──── from ═══════ rows ═══════ to ────▶
///                                       ↑ sums as of            ↑ the moment that they are brought to
///
/// Limits: ``rowCountMax`` rows, some 200 bytes each; the oldest half goes at once.
struct CorrectionLog {
  /// What a commit has added to a row.
  struct Row {
    var sequence: UInt64
    var added: SettledRow
  }

  private struct Source {
    var from: UInt64
    var to: UInt64
    /// By rising sequence.
    var rows: [Row] = []
  }

  static let rowCountMax = 40_000

  private var sources: [Int32: Source] = [:]
  private(set) var rowCount = 0

  /// The sequence past which a stream's corrections are not known yet; nil where nothing is known of it.
  func end(_ source: Int32) -> UInt64? { sources[source]?.to }

  /// Adds what was read of a stream.
  ///
  /// - Parameters:
  ///   - rows: everything past `from`, by rising sequence; nil where that is not known.
  ///   - from: what ``end(_:)`` was when they were asked for; nil where it was nothing.
  ///   - to: the stream's checkpoint in the snapshot that they are of.
  mutating func add(_ rows: [Row]?, of source: Int32, from: UInt64?, to: UInt64) {
    // Somebody else may have read further.
    if let known = sources[source], known.to >= to { return }
    guard var known = sources[source], let from, from <= known.to, let rows else {
      rowCount -= sources[source]?.rows.count ?? 0
      sources[source] = Source(from: to, to: to)
      return
    }
    sources[source] = nil
    let later = rows.drop { $0.sequence <= known.to }
    known.rows += later
    known.to = to
    rowCount += later.count
    sources[source] = known
    if rowCount > Self.rowCountMax { halve() }
  }

  /// What has to be added to sums of one moment to make them those of another one; nil where that is not known.
  ///
  /// - Parameters:
  ///   - earlier: by source, the checkpoints' sequences.
  ///   - later: of the same sources, none of them further back.
  func rows(from earlier: [Int32: UInt64], to later: [Int32: UInt64]) -> [ArraySlice<Row>]? {
    var slices: [ArraySlice<Row>] = []
    for (source, end) in later {
      guard let known = sources[source], let begin = earlier[source], known.from <= begin,
        end <= known.to
      else { return nil }
      let first = Self.place(after: begin, known.rows)
      let last = Self.place(after: end, known.rows)
      if first < last { slices.append(known.rows[first..<last]) }
    }
    return slices
  }

  /// The place of the first row past a sequence.
  private static func place(after sequence: UInt64, _ rows: [Row]) -> Int {
    var low = 0
    var high = rows.count
    while low < high {
      let middle = (low + high) / 2
      if rows[middle].sequence <= sequence { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private mutating func halve() {
    for (id, source) in sources where !source.rows.isEmpty {
      // All of a commit or nothing.
      let last = source.rows[source.rows.count / 2].sequence
      let rest = source.rows.drop { $0.sequence <= last }
      rowCount -= source.rows.count - rest.count
      sources[id] = Source(from: last, to: source.to, rows: Array(rest))
    }
  }
}
