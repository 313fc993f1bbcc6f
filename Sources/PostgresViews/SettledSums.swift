import Dataflow
import Events
import PostgresClient
import Ports
import Synchronization
import Views

/// Sums of windows that have left state, kept in memory: they change by corrections alone, and those of the last
/// minutes are noted in the same transactions (``CorrectionTable``), so that they can be added.
///
///     range     ├── days ──┼─ hours ─┼─ minutes ─┤ seams ├─ not yet
///     pieces    ├──────────┼─────┼───┼───┼───┼───┤       read anew each time
///                            of a day  of an hour
///
/// A question that was asked before is answered as a whole; another one whose range has moved on takes the
/// pieces that it has in common with earlier ones, and reads the others. Every answer is that of the reader's
/// snapshot: what is kept holds where the snapshot has the same streams and none of them further back, with
/// what was corrected since. So it is the same as one that is read from rows, but where sums end at the ends of 64 bits.
///
/// Who shares a moment with others reads nothing for it: what was corrected since is known of that moment already
/// (``CorrectionLog``), and sums that are kept are brought to it.
///
/// Limits: ``groupCountMax`` groups, some 200 bytes each, those that were used longest ago go first; what was not
/// asked for in ``CorrectionTable/reach`` is read anew. Shared by the sessions of a reader. No help for ranges
/// that nobody asks for twice.
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
      texts = ([selection.site] + selection.filters.flatMap(\.values)).map { Array($0.utf8) }
      hash = selection.hashValue
    }

    func hash(into hasher: inout Hasher) { hasher.combine(hash) }
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    var size = 0
    var uses: UInt64 = 0
    var log = CorrectionLog()
    /// Whether ``CorrectionTable`` was seen; it stays.
    var hasCorrections = false
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

  /// What a read has to do with its snapshot.
  struct Snapshot {
    let session: PostgresConnection
    let schema: ViewSchema
    let moment: Moment
    /// Groups that one answer may have; one more is read.
    let groupCountMax: Int

    fileprivate func run(
      _ selection: ViewSelection, belowSeams: Bool, corrections: [Int32: UInt64]? = nil
    ) throws(PostgresError) -> [ViewGroup] {
      try SelectionStatement(
        selection, schema: schema, belowSeams: belowSeams, groupCountMax: groupCountMax,
        corrections: corrections
      ).run(session)
    }
  }

  /// Entries, and what was corrected since the oldest of their snapshots.
  private struct Held {
    var entries: [Key: Entry]
    var corrections: [CorrectionTable.Correction]
  }

  private static let groupCountMax = 200_000
  /// What an entry takes beside its groups, in groups.
  private static let entrySize = 8

  private let state = Mutex(State())

  /// The same as ``read(_:_:)`` where nothing has to be read for it: the selection is kept as a whole, none of it is
  /// corrected since, and nothing of it lies between seams. Nil where something has.
  func kept(_ selection: ViewSelection, _ moment: Moment) -> [ViewGroup]? {
    let sources = moment.sources(selection.measure)
    let (settled, rest) = Self.split(selection, sources)
    guard rest.segments.isEmpty else { return nil }
    if settled.segments.isEmpty { return [] }
    let sequences = Self.sequences(sources)
    let key = Key(settled)
    guard let entry = known([key], at: sequences, moment)[key],
      sources.allSatisfy({ $0.checkpoint.lastDeltaSequence <= entry.sequences[$0.source] ?? 0 })
    else { return nil }
    keep(entry.groups, key, sequences, moment)
    return entry.groups
  }

  /// The groups of windows before every seam as of a moment, from memory alone, in rising order of bucket and
  /// dimensions.
  func groups(_ selection: ViewSelection, at moment: Moment) -> KeptGroups {
    let sources = moment.sources(selection.measure)
    let settled = Self.split(selection, sources).settled
    if settled.segments.isEmpty { return .groups([]) }
    let sequences = Self.sequences(sources)
    let whole = Key(settled)
    let known = groups(whole, at: sequences, moment)
    if case .none = known {} else { return known }
    var parts: [[ViewGroup]] = []
    for piece in SettledPiece.all(of: settled) {
      let known = groups(Key(piece.selection), at: sequences, moment)
      guard case .groups(let groups) = known else { return known }
      parts.append(piece.placed(groups))
    }
    let groups = ViewGroup.merged(parts)
    keep(groups, whole, sequences, moment)
    return .groups(groups)
  }

  private func groups(
    _ key: Key, at sequences: [Int32: UInt64], _ moment: Moment
  ) -> KeptGroups {
    var slices: [ArraySlice<CorrectionLog.Row>] = []
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
      guard let rows = state.log.rows(from: entry.sequences, to: sequences) else { return .none }
      slices = rows
      return .groups(entry.groups)
    }
    guard case .groups(var groups) = found else { return found }
    if !slices.isEmpty {
      let added = CorrectionLog.Row.groups(slices, key.selection)
      if !added.isEmpty { groups = ViewGroup.merged([groups, added]) }
    }
    keep(groups, key, sequences, moment)
    return .groups(groups)
  }

  /// Takes in what was corrected up to a moment, in its snapshot.
  func note(
    _ moment: Moment, tuples: KnownTuples, in schema: ViewSchema, _ session: PostgresConnection
  ) throws(PostgresError) {
    let sources = moment.sources
    let (ends, hasTable) = state.withLock { state in
      (sources.map { state.log.end($0.source) }, state.hasCorrections)
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
      let rows =
        try exists
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
            sequence: row.sequence, measure: row.measure, level: level, start: row.start,
            tuple: tuple, counts: row.counts, revision: row.revision))
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
    }
  }

  /// The groups of windows below each stream's own seam, in rising order of bucket and dimensions.
  func read(
    _ selection: ViewSelection, _ snapshot: Snapshot
  ) throws(PostgresError) -> [ViewGroup] {
    let (settled, rest) = Self.split(selection, snapshot.moment.sources(selection.measure))
    var parts: [[ViewGroup]] = []
    if !settled.segments.isEmpty { parts.append(try sums(settled, snapshot)) }
    if !rest.segments.isEmpty { parts.append(try snapshot.run(rest, belowSeams: true)) }
    return ViewGroup.merged(parts)
  }

  /// What lies before every seam, and what lies between the first and the last one.
  private static func split(
    _ selection: ViewSelection, _ sources: [(source: Int32, checkpoint: Checkpoint)]
  ) -> (settled: ViewSelection, rest: ViewSelection) {
    var settled = selection
    var rest = selection
    settled.segments = []
    rest.segments = []
    for segment in selection.segments {
      let seams = sources.map { $0.checkpoint.seams[segment.level] }
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

  private static func sequences(
    _ sources: [(source: Int32, checkpoint: Checkpoint)]
  ) -> [Int32: UInt64] {
    Dictionary(uniqueKeysWithValues: sources.map { ($0.source, $0.checkpoint.sequence) })
  }

  private func sums(
    _ selection: ViewSelection, _ snapshot: Snapshot
  ) throws(PostgresError) -> [ViewGroup] {
    let whole = Key(selection)
    if let groups = try current(whole, try held([whole], snapshot), snapshot) { return groups }
    let pieces = SettledPiece.all(of: selection).map { (piece: $0, key: Key($0.selection)) }
    let held = try held(pieces.map(\.key), snapshot)
    let sequences = Self.sequences(snapshot.moment.sources(selection.measure))
    var parts: [[ViewGroup]] = []
    for (piece, key) in pieces {
      if let groups = try current(key, held, snapshot) {
        parts.append(piece.placed(groups))
      } else {
        let groups = try snapshot.run(piece.selection, belowSeams: false)
        // Too many are refused.
        if groups.count > snapshot.groupCountMax { return groups }
        keep(groups, key, sequences, snapshot.moment)
        parts.append(piece.placed(groups))
      }
    }
    let groups = ViewGroup.merged(parts)
    keep(groups, whole, sequences, snapshot.moment)
    return groups
  }

  /// The groups of an entry with what was corrected since; nil where there is none, or that is not known.
  private func current(
    _ key: Key, _ held: Held, _ snapshot: Snapshot
  ) throws(PostgresError) -> [ViewGroup]? {
    guard let entry = held.entries[key] else { return nil }
    let selection = key.selection
    let sources = snapshot.moment.sources(selection.measure)
    let later = held.corrections.filter { $0.sequence > entry.sequences[$0.source] ?? 0 }
    // A program of before corrections were noted may write beside this one.
    let isNoted = sources.allSatisfy { source, checkpoint in
      checkpoint.lastDeltaSequence <= entry.sequences[source] ?? 0
        || later.contains { $0.source == source }
    }
    guard isNoted, !later.contains(where: { $0.level == nil }) else { return nil }
    let isCorrected = later.contains { correction in
      correction.measure == selection.measure
        && selection.segments.contains {
          $0.level == correction.level
            && correction.range.overlaps($0.from..<$0.to)
        }
    }
    let added =
      try isCorrected
      ? snapshot.run(selection, belowSeams: false, corrections: entry.sequences) : []
    let groups = ViewGroup.merged([entry.groups, added])
    keep(groups, key, Self.sequences(sources), snapshot.moment)
    return groups
  }

  /// - Parameter keys: of selections of one measure.
  private func held(_ keys: [Key], _ snapshot: Snapshot) throws(PostgresError) -> Held {
    guard let measure = keys.first?.selection.measure else {
      return Held(entries: [:], corrections: [])
    }
    let sources = snapshot.moment.sources(measure)
    let entries = known(keys, at: Self.sequences(sources), snapshot.moment)
    return Held(
      entries: entries,
      corrections: try corrections(since: entries.values.map(\.sequences), snapshot, sources))
  }

  /// What was corrected since the oldest of some snapshots; mostly there is nothing to ask for.
  private func corrections(
    since snapshots: [[Int32: UInt64]], _ snapshot: Snapshot,
    _ sources: [(source: Int32, checkpoint: Checkpoint)]
  ) throws(PostgresError) -> [CorrectionTable.Correction] {
    var lowest: [Int32: UInt64] = [:]
    for (source, checkpoint) in sources {
      let oldest = snapshots.compactMap { $0[source] }.min() ?? .max
      if checkpoint.lastDeltaSequence > oldest { lowest[source] = oldest }
    }
    guard !lowest.isEmpty,
      try CorrectionTable.exists(in: snapshot.schema, snapshot.session)
    else { return [] }
    return try CorrectionTable.read(after: lowest, in: snapshot.schema, snapshot.session)
  }

  // MARK: What is kept

  /// Entries of snapshots with the same streams, none of them further on, and not long ago.
  private func known(
    _ keys: [Key], at sequences: [Int32: UInt64], _ moment: Moment
  ) -> [Key: Entry] {
    state.withLock { state in
      state.uses += 1
      var known: [Key: Entry] = [:]
      for key in keys {
        guard let entry = state.entries[key], entry.sequences.count == sequences.count,
          entry.sequences.allSatisfy({ $0.value <= sequences[$0.key] ?? 0 }),
          moment.asOf - entry.asOf < CorrectionTable.reach
        else { continue }
        state.entries[key]?.used = state.uses
        known[key] = entry
      }
      return known
    }
  }

  private func keep(
    _ groups: [ViewGroup], _ key: Key, _ sequences: [Int32: UInt64], _ moment: Moment
  ) {
    guard groups.count <= Self.groupCountMax / 4 else { return }
    state.withLock { state in
      state.uses += 1
      if let before = state.entries[key] {
        // Another session may have a later one.
        if before.asOf > moment.asOf { return }
        state.size -= before.groups.count + Self.entrySize
      }
      state.entries[key] = Entry(
        groups: groups, sequences: sequences, asOf: moment.asOf, used: state.uses)
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
}
