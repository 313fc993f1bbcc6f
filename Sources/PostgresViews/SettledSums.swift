import Dataflow
import Events
import PostgresClient
import Ports
import Synchronization
import Views

/// Sums of windows that have left state, kept in memory. They change by corrections alone, and those of the last minutes are
/// noted in the same transactions (``CorrectionTable``), so that they can be added; and they grow by windows that leave
/// state, whose rows are read once for all (``SettledWindows``).
///
///     range     ├── days ──┼─ hours ─┼─ minutes ─┤ seams ├─ not yet
///     pieces    ├──────────┼─────┼───┼───┼───┼───┤       read anew each time
///
/// A question that was asked before is answered as a whole; another one whose range has moved on takes the pieces that it has
/// in common with earlier ones (``SettledPiece``), and reads the others. Every answer is that of the reader's
/// snapshot: what is kept holds where the snapshot has the same streams and none of them further back, with
/// what was corrected since (``CorrectionLog``). So it is the same as one that is read from rows, but where sums end at the
/// ends of 64 bits.
///
/// Who shares a moment with others reads nothing for it: sums that are kept are brought to that moment.
///
/// Limits: ``groupCountMax`` groups, some 200 bytes each, those that were used longest ago go first; where nobody has asked for
/// ``CorrectionTable/reach``, what was corrected meanwhile is read anew. Shared by the sessions of a reader. No help for
/// ranges that nobody asks for twice.
final class SettledSums: Sendable {
  private struct Entry {
    /// In rising order of bucket and dimensions.
    var groups: [ViewGroup]
    /// By source, those of the snapshot that it is of.
    var sequences: [Int32: UInt64]
    var asOf: ContinuousClock.Instant
    var used: UInt64 = 0
  }

  /// A selection, and its texts as bytes: texts are equal strings where Unicode takes them for the same.
  private struct Key: Hashable {
    let selection: ViewSelection
    private let texts: [[UInt8]]
    /// There may be thousands of buckets, and a key is looked up several times.
    private let hash: Int

    init(_ selection: ViewSelection) {
      self.selection = selection
      texts = ([selection.site] + selection.allFilters.flatMap(\.values)).map { Array($0.utf8) }
      hash = selection.hashValue
    }

    func hash(into hasher: inout Hasher) { hasher.combine(hash) }
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    var size = 0
    var uses: UInt64 = 0
    var log = CorrectionLog()
    /// When ``log`` was brought to a moment last.
    var logged: ContinuousClock.Instant?
    /// Whether ``CorrectionTable`` was seen; it stays.
    var hasCorrections = false
    var windows = SettledWindows()
  }

  /// What a reader's snapshot says of the streams.
  struct Moment {
    let checkpoints: [StreamPartition: Checkpoint]
    /// Before it was taken.
    let asOf: ContinuousClock.Instant

    /// Streams that have rows of a measure.
    func sources(_ measure: Measure) -> [(source: Int32, checkpoint: Checkpoint)] {
      checkpoints.compactMap { stream, checkpoint in
        let isOwn = (stream.role == .events) == (measure == .activity)
        return isOwn && checkpoint.sequence > 0 ? stream.source.map { ($0, checkpoint) } : nil
      }
    }

    fileprivate var sources: [(source: Int32, checkpoint: Checkpoint)] {
      sources(.activity) + sources(.outcomes)
    }
  }

  /// A moment of the streams that have rows of one measure.
  private struct Reach {
    let sources: [(source: Int32, checkpoint: Checkpoint)]
    /// By source.
    let sequences: [Int32: UInt64]
    let asOf: ContinuousClock.Instant

    init(_ measure: Measure, _ moment: Moment) {
      sources = moment.sources(measure)
      sequences = Dictionary(
        uniqueKeysWithValues: sources.map { ($0.source, $0.checkpoint.sequence) })
      asOf = moment.asOf
    }

    /// Those of its streams that have corrected something past other sequences, as far as it reaches.
    func corrected(since earlier: [Int32: UInt64]) -> [Int32: UInt64] {
      var corrected: [Int32: UInt64] = [:]
      for (source, checkpoint) in sources
      where checkpoint.lastDeltaSequence > earlier[source] ?? 0 {
        corrected[source] = checkpoint.sequence
      }
      return corrected
    }
  }

  /// What a read has to do with its snapshot.
  struct Snapshot {
    let session: PostgresConnection
    let schema: ViewSchema
    let tuples: KnownTuples
    let moment: Moment
    /// Groups that one answer may have; one more is read.
    let groupCountMax: Int

    fileprivate func run(
      _ selection: ViewSelection, belowSeams: Bool
    ) throws(PostgresError) -> [ViewGroup] {
      try SelectionStatement(
        selection, schema: schema, belowSeams: belowSeams, groupCountMax: groupCountMax
      ).run(session)
    }
  }

  private static let groupCountMax = 200_000
  /// What an entry takes beside its groups, in groups.
  private static let entrySize = 8

  private let state = Mutex(State())

  // MARK: Answers

  /// The same as ``read(_:_:)`` where nothing has to be read for it: the selection is kept as a whole, and nothing of it
  /// lies between seams. Nil where something has.
  func kept(_ selection: ViewSelection, _ moment: Moment) -> [ViewGroup]? {
    let reach = Reach(selection.measure, moment)
    let (settled, rest) = Self.split(selection, reach)
    guard rest.segments.isEmpty else { return nil }
    if settled.segments.isEmpty { return [] }
    guard case .groups(let groups) = entry(Key(settled), at: reach) else { return nil }
    return groups
  }

  /// The groups of windows before every seam as of a moment, from memory alone, in rising order of bucket and
  /// dimensions.
  func groups(_ selection: ViewSelection, at moment: Moment) -> KeptGroups {
    let reach = Reach(selection.measure, moment)
    let settled = Self.split(selection, reach).settled
    if settled.segments.isEmpty { return .groups([]) }
    let whole = Key(settled)
    let known = entry(whole, at: reach)
    if case .none = known {} else { return known }
    var parts: [[ViewGroup]] = []
    for piece in SettledPiece.all(of: settled) {
      let known = groups(piece, at: reach)
      guard case .groups(let kept) = known else { return known }
      parts.append(piece.placed(kept))
    }
    let sums = ViewGroup.merged(parts)
    keep(sums, whole, reach.sequences, reach.asOf)
    return .groups(sums)
  }

  /// The groups of windows below each stream's own seam, in rising order of bucket and dimensions.
  func read(
    _ selection: ViewSelection, _ snapshot: Snapshot
  ) throws(PostgresError) -> [ViewGroup] {
    let reach = Reach(selection.measure, snapshot.moment)
    let (settled, rest) = Self.split(selection, reach)
    var parts: [[ViewGroup]] = []
    if !settled.segments.isEmpty {
      try note(snapshot.moment, tuples: snapshot.tuples, in: snapshot.schema, snapshot.session)
      parts.append(try sums(settled, at: reach, snapshot))
    }
    if !rest.segments.isEmpty { parts.append(try snapshot.run(rest, belowSeams: true)) }
    return ViewGroup.merged(parts)
  }

  /// What lies before every seam, and what lies between the first and the last one.
  private static func split(
    _ selection: ViewSelection, _ reach: Reach
  ) -> (settled: ViewSelection, rest: ViewSelection) {
    var settled = selection
    var rest = selection
    settled.segments = []
    rest.segments = []
    for segment in selection.segments {
      let seams = reach.sources.map { $0.checkpoint.seams[segment.level] }
      let end = min(segment.to, seams.min() ?? .min)
      if segment.from < end {
        settled.segments.append(Segment(level: segment.level, from: segment.from, to: end))
      }
      let begin = max(segment.from, end)
      if begin < min(segment.to, seams.max() ?? .min) {
        rest.segments.append(Segment(level: segment.level, from: begin, to: segment.to))
      }
    }
    return (settled, rest)
  }

  private func sums(
    _ selection: ViewSelection, at reach: Reach, _ snapshot: Snapshot
  ) throws(PostgresError) -> [ViewGroup] {
    let whole = Key(selection)
    if case .groups(let groups) = entry(whole, at: reach) { return groups }
    let pieces = SettledPiece.all(of: selection)
    var found = pieces.map { piece -> [ViewGroup]? in
      let known = groups(piece, at: reach)
      guard case .groups(let kept) = known else { return nil }
      return kept
    }
    let missing = found.map { $0 == nil }
    var place = 0
    while let first = missing[place...].firstIndex(of: true) {
      place = SettledPiece.endOfRun(from: first, pieces, missing)
      let run = pieces[first..<place]
      let read = try snapshot.run(SettledPiece.joined(run), belowSeams: false)
      // Too many are refused.
      if read.count > snapshot.groupCountMax { return read }
      for (index, part) in zip(first..<place, SettledPiece.parted(read, run)) {
        keep(part, Key(pieces[index].selection), reach.sequences, reach.asOf)
        found[index] = part
      }
    }
    let sums = ViewGroup.merged(zip(pieces, found).map { $0.placed($1 ?? []) })
    keep(sums, whole, reach.sequences, reach.asOf)
    return sums
  }

  // MARK: What is kept

  /// The groups of a piece as of a moment: those that are kept, or what follows from rows that have left state of late, from
  /// a longer piece or from shorter ones.
  private func groups(_ piece: SettledPiece, at reach: Reach) -> KeptGroups {
    let key = Key(piece.selection)
    let known = entry(key, at: reach)
    if case .none = known {} else { return known }
    if let block = state.withLock({ $0.windows.block(of: piece.selection) }) {
      keep(
        SettledRow.groups(block.rows, piece.selection), key, block.sequences, block.asOf)
      let known = entry(key, at: reach)
      if case .none = known {} else { return known }
    }
    for (selection, place) in piece.wider {
      guard case .groups(let wide) = entry(Key(selection), at: reach) else { continue }
      return .groups(
        wide.compactMap { group in
          guard place.contains(group.bucket) else { return nil }
          var group = group
          group.bucket -= place.lowerBound
          return group
        })
    }
    guard let parts = piece.parts else { return .none }
    var sums: [[ViewGroup]] = []
    for part in parts {
      let known = groups(part, at: reach)
      guard case .groups(let kept) = known else { return known }
      sums.append(part.placed(kept))
    }
    let merged = ViewGroup.merged(sums)
    keep(merged, key, reach.sequences, reach.asOf)
    return .groups(merged)
  }

  /// What is kept under a key, brought to a moment by what was corrected since.
  private func entry(_ key: Key, at reach: Reach) -> KeptGroups {
    var slices: [ArraySlice<CorrectionLog.Row>] = []
    let sequences = reach.sequences
    let found = state.withLock { state -> KeptGroups in
      guard let entry = state.entries[key], entry.sequences.count == sequences.count else {
        return .none
      }
      state.uses += 1
      state.entries[key]?.used = state.uses
      if entry.sequences == sequences { return .groups(entry.groups) }
      guard sequences.allSatisfy({ $0.value >= entry.sequences[$0.key] ?? .max }) else {
        return .later
      }
      let corrected = reach.corrected(since: entry.sequences)
      guard let rows = state.log.rows(from: entry.sequences, to: corrected) else { return .none }
      slices = rows
      return .groups(entry.groups)
    }
    guard case .groups(var groups) = found else { return found }
    if !slices.isEmpty {
      let added = SettledRow.groups(slices.joined().lazy.map(\.added), key.selection)
      if !added.isEmpty { groups = ViewGroup.merged([groups, added]) }
    }
    keep(groups, key, sequences, reach.asOf)
    return .groups(groups)
  }

  /// - Parameter asOf: before the snapshot of `sequences` was taken.
  private func keep(
    _ groups: [ViewGroup], _ key: Key, _ sequences: [Int32: UInt64],
    _ asOf: ContinuousClock.Instant
  ) {
    guard groups.count <= Self.groupCountMax / 4 else { return }
    state.withLock { state in
      state.uses += 1
      if let before = state.entries[key] {
        // Another session may have a later one.
        if before.asOf > asOf { return }
        state.size -= before.groups.count + Self.entrySize
      }
      state.entries[key] = Entry(
        groups: groups, sequences: sequences, asOf: asOf, used: state.uses)
      state.size += groups.count + Self.entrySize
      guard state.size > Self.groupCountMax else { return }
      // Half at once, so that it is seldom.
      for (old, entry) in state.entries.sorted(by: { $0.value.used < $1.value.used }) {
        if state.size <= Self.groupCountMax / 2 { break }
        state.entries[old] = nil
        state.size -= entry.groups.count + Self.entrySize
      }
    }
  }

  // MARK: What is new

  /// Takes in what was corrected up to a moment, in its snapshot.
  func note(
    _ moment: Moment, tuples: KnownTuples, in schema: ViewSchema, _ session: PostgresConnection
  ) throws(PostgresError) {
    let sources = moment.sources
    let (ends, hasTable, logged) = state.withLock { state in
      (sources.map { state.log.end($0.source) }, state.hasCorrections, state.logged)
    }
    var sinces: [Int32: UInt64] = [:]
    for ((source, checkpoint), end) in zip(sources, ends) {
      if let end, checkpoint.lastDeltaSequence > end { sinces[source] = end }
    }
    var noted: [Int32: [CorrectionLog.Row]] = [:]
    // Of these not everything is known.
    var unknown: Set<Int32> = []
    if !sinces.isEmpty {
      var exists = hasTable
      if !exists {
        exists = try CorrectionTable.exists(in: schema, session)
        if exists { state.withLock { $0.hasCorrections = true } }
      }
      // What was noted longer ago may be gone.
      let isInReach = logged.map { moment.asOf - $0 < CorrectionTable.reach } ?? false
      let rows =
        try exists && isInReach
        ? CorrectionTable.rows(
          after: sinces, rowCountMax: CorrectionLog.rowCountMax / 2, in: schema, session) : nil
      let texts = try tuples.read(rows?.map(\.dimensionID) ?? [], in: schema, session)
      for row in rows ?? [] {
        guard let level = row.level, let tuple = texts[row.dimensionID] else {
          unknown.insert(row.source)
          continue
        }
        noted[row.source, default: []].append(
          CorrectionLog.Row(
            sequence: row.sequence,
            added: SettledRow(
              measure: row.measure, level: level, start: row.start, tuple: tuple,
              counts: row.counts, revision: row.revision)))
      }
      // A program of before corrections were noted may write beside this one.
      for source in sinces.keys where noted[source] == nil { unknown.insert(source) }
    }
    state.withLock { state in
      for ((source, checkpoint), end) in zip(sources, ends) {
        state.log.add(
          unknown.contains(source) ? nil : noted[source] ?? [], of: source, from: end,
          to: checkpoint.sequence)
      }
      state.logged = max(state.logged ?? moment.asOf, moment.asOf)
    }
  }

  /// Takes in windows of a level that have left every stream's state up to a moment, in its snapshot.
  ///
  /// - Parameter rows: reads the rows of windows that start in a range; nil where there are too many.
  func note(
    _ measure: Measure, _ level: WindowLevel, leftBy moment: Moment,
    _ rows: (Range<Int64>) throws(PostgresError) -> [SettledRow]?
  ) throws(PostgresError) {
    let reach = Reach(measure, moment)
    let end = reach.sources.map { $0.checkpoint.seams[level] }.min() ?? .min
    let range = state.withLock { $0.windows.range(measure, level, to: end) }
    var block: SettledWindows.Block?
    if let range, let rows = try rows(range) {
      block = SettledWindows.Block(
        measure: measure, level: level, range: range, sequences: reach.sequences,
        asOf: reach.asOf, rows: rows)
    }
    state.withLock { [block] state in state.windows.add(block, measure, level, to: end) }
  }
}
