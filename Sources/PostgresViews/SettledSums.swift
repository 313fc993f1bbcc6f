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
/// Limits: ``groupCountMax`` groups, some 200 bytes each, those that were used longest ago go first; what was not
/// asked for in ``CorrectionTable/reach`` is read anew. Shared by the sessions of a reader. No help for ranges
/// that nobody asks for twice.
final class SettledSums: Sendable {
  private struct Entry {
    var groups: [ViewGroup]
    /// By source, those of the snapshot that it is of.
    var sequences: [Int32: UInt64]
    var asOf: ContinuousClock.Instant
    var used: UInt64 = 0
  }

  /// A selection, and its texts as bytes: texts are equal strings where Unicode takes them for the same.
  private struct Key: Hashable {
    var selection: ViewSelection
    var texts: [[UInt8]]

    init(_ selection: ViewSelection) {
      self.selection = selection
      texts = ([selection.site] + selection.filters.flatMap(\.values)).map { Array($0.utf8) }
    }
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    var size = 0
    var uses: UInt64 = 0
  }

  /// What a read has to do with its snapshot.
  struct Snapshot {
    let session: PostgresConnection
    let schema: ViewSchema
    let checkpoints: [StreamPartition: Checkpoint]
    /// Groups that one answer may have; one more is read.
    let groupCountMax: Int
    /// Before it was taken.
    let asOf: ContinuousClock.Instant

    /// Streams that have rows of a measure.
    fileprivate func sources(_ measure: Measure) -> [(source: Int32, checkpoint: Checkpoint)] {
      checkpoints.compactMap { stream, checkpoint in
        let isOwn = (stream.role == .events) == (measure == .activity)
        return isOwn && checkpoint.sequence > 0 ? stream.source.map { ($0, checkpoint) } : nil
      }
    }

    fileprivate func run(
      _ selection: ViewSelection, belowSeams: Bool, corrections: [Int32: UInt64]? = nil
    ) throws(PostgresError) -> [ViewGroup] {
      try SelectionStatement(
        selection, schema: schema, belowSeams: belowSeams, groupCountMax: groupCountMax,
        corrections: corrections
      ).run(session)
    }
  }

  private static let groupCountMax = 200_000
  /// What an entry takes beside its groups, in groups.
  private static let entrySize = 8

  private let state = Mutex(State())

  /// The groups of windows below each stream's own seam, in rising order of bucket and dimensions.
  func read(
    _ selection: ViewSelection, _ snapshot: Snapshot
  ) throws(PostgresError) -> [ViewGroup] {
    let sources = snapshot.sources(selection.measure)
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
    var parts: [[ViewGroup]] = []
    if !settled.segments.isEmpty { parts.append(try sums(settled, snapshot)) }
    if !rest.segments.isEmpty { parts.append(try snapshot.run(rest, belowSeams: true)) }
    return Self.merged(parts)
  }

  private func sums(
    _ selection: ViewSelection, _ snapshot: Snapshot
  ) throws(PostgresError) -> [ViewGroup] {
    let sources = snapshot.sources(selection.measure)
    let sequences = Dictionary(
      uniqueKeysWithValues: sources.map { ($0.source, $0.checkpoint.sequence) })
    let pieces = Self.pieces(of: selection)
    let known = known([selection] + pieces.map(\.selection), at: sequences, snapshot)
    let corrections = try corrections(since: known.values.map(\.sequences), snapshot, sources)
    func current(_ selection: ViewSelection) throws(PostgresError) -> [ViewGroup]? {
      guard let entry = known[Key(selection)] else { return nil }
      let later = corrections.filter { $0.sequence > entry.sequences[$0.source] ?? 0 }
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
      let groups = added.isEmpty ? entry.groups : Self.merged([entry.groups, added])
      keep(groups, selection, sequences, snapshot)
      return groups
    }
    if let groups = try current(selection) { return groups }
    var parts: [[ViewGroup]] = []
    for piece in pieces {
      if let groups = try current(piece.selection) {
        parts.append(piece.placed(groups))
      } else {
        let groups = try snapshot.run(piece.selection, belowSeams: false)
        // Too many are refused.
        if groups.count > snapshot.groupCountMax { return groups }
        keep(groups, piece.selection, sequences, snapshot)
        parts.append(piece.placed(groups))
      }
    }
    let groups = Self.merged(parts)
    keep(groups, selection, sequences, snapshot)
    return groups
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
    _ selections: [ViewSelection], at sequences: [Int32: UInt64], _ snapshot: Snapshot
  ) -> [Key: Entry] {
    let keys = selections.map { Key($0) }
    return state.withLock { state in
      state.uses += 1
      var known: [Key: Entry] = [:]
      for key in keys {
        guard let entry = state.entries[key], entry.sequences.count == sequences.count,
          entry.sequences.allSatisfy({ $0.value <= sequences[$0.key] ?? 0 }),
          snapshot.asOf - entry.asOf < CorrectionTable.reach
        else { continue }
        state.entries[key]?.used = state.uses
        known[key] = entry
      }
      return known
    }
  }

  private func keep(
    _ groups: [ViewGroup], _ selection: ViewSelection, _ sequences: [Int32: UInt64],
    _ snapshot: Snapshot
  ) {
    guard groups.count <= Self.groupCountMax / 4 else { return }
    let key = Key(selection)
    state.withLock { state in
      state.uses += 1
      if let before = state.entries[key] {
        // Another session may have a later one.
        if before.asOf > snapshot.asOf { return }
        state.size -= before.groups.count + Self.entrySize
      }
      state.entries[key] = Entry(
        groups: groups, sequences: sequences, asOf: snapshot.asOf, used: state.uses)
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

  // MARK: Pieces

  /// A part of a selection that others have, too.
  private struct Piece {
    var selection: ViewSelection
    /// The selection's bucket of each of the piece's own.
    var buckets: [Int]

    func placed(_ groups: [ViewGroup]) -> [ViewGroup] {
      groups.map { group in
        var group = group
        group.bucket = buckets[group.bucket]
        return group
      }
    }
  }

  /// Segments cut at full hours, those of hours at full days.
  private static func pieces(of selection: ViewSelection) -> [Piece] {
    var pieces: [Piece] = []
    for segment in selection.segments {
      var from = segment.from
      while from < segment.to {
        var to = segment.to
        if let unit = unit(segment.level) { to = min(to, unit.start(of: from) + unit.length) }
        pieces.append(piece(of: selection, Segment(level: segment.level, from: from, to: to)))
        from = to
      }
    }
    return pieces
  }

  private static func unit(_ level: WindowLevel) -> WindowLevel? {
    switch level {
    case .tenSeconds, .minute: .hour
    case .hour: .day
    case .day: nil
    }
  }

  /// Its buckets begin where it does, so that they are the same in every selection that has them.
  private static func piece(of selection: ViewSelection, _ segment: Segment) -> Piece {
    var own = selection
    own.segments = [segment]
    if selection.buckets.isEmpty { return Piece(selection: own, buckets: [0]) }
    let starts = selection.buckets
    let first = max(0, (starts.firstIndex { $0 > segment.from } ?? starts.count) - 1)
    let end = starts[first...].firstIndex { $0 >= segment.to } ?? starts.count
    let last = max(first + 1, end)
    own.buckets = [segment.from] + starts[first + 1..<last]
    return Piece(selection: own, buckets: Array(first..<last))
  }

  /// Adds up groups of the same bucket, dimensions and currency.
  private static func merged(_ parts: [[ViewGroup]]) -> [ViewGroup] {
    if parts.count <= 1 { return parts.first ?? [] }
    var groups: [ViewGroup] = []
    for group in parts.joined().sorted(by: precedes) {
      if let last = groups.last, !precedes(last, group) {
        groups[groups.count - 1].counts += group.counts
        groups[groups.count - 1].revision = max(last.revision, group.revision)
      } else {
        groups.append(group)
      }
    }
    return groups
  }

  private static func precedes(_ a: ViewGroup, _ b: ViewGroup) -> Bool {
    if a.bucket != b.bucket { return a.bucket < b.bucket }
    for (x, y) in zip(a.dimensions + [a.currency], b.dimensions + [b.currency])
    where !x.utf8.elementsEqual(y.utf8) {
      return x.utf8.lexicographicallyPrecedes(y.utf8)
    }
    return false
  }
}
