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
  }

  /// What a reader's snapshot says of the streams.
  struct Moment {
    let checkpoints: [StreamPartition: Checkpoint]
    /// Before it was taken.
    let asOf: ContinuousClock.Instant

    /// Streams that have rows of a measure.
    fileprivate func sources(_ measure: Measure) -> [(source: Int32, checkpoint: Checkpoint)] {
      checkpoints.compactMap { stream, checkpoint in
        let isOwn = (stream.role == .events) == (measure == .activity)
        return isOwn && checkpoint.sequence > 0 ? stream.source.map { ($0, checkpoint) } : nil
      }
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

  /// The groups of windows below each stream's own seam, in rising order of bucket and dimensions.
  func read(
    _ selection: ViewSelection, _ snapshot: Snapshot
  ) throws(PostgresError) -> [ViewGroup] {
    let (settled, rest) = Self.split(selection, snapshot.moment.sources(selection.measure))
    var parts: [[ViewGroup]] = []
    if !settled.segments.isEmpty { parts.append(try sums(settled, snapshot)) }
    if !rest.segments.isEmpty { parts.append(try snapshot.run(rest, belowSeams: true)) }
    return Self.merged(parts)
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
    let pieces = Self.pieces(of: selection).map { (piece: $0, key: Key($0.selection)) }
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
    let groups = Self.merged(parts)
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
    let groups = Self.merged([entry.groups, added])
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
  ///
  /// - Parameter parts: each in rising order.
  static func merged(_ parts: [[ViewGroup]]) -> [ViewGroup] {
    var parts = parts.filter { !$0.isEmpty }
    while parts.count > 1 {
      parts = stride(from: 0, to: parts.count, by: 2).map { index in
        index + 1 < parts.count ? merged(parts[index], parts[index + 1]) : parts[index]
      }
    }
    return parts.first ?? []
  }

  private static func merged(_ a: [ViewGroup], _ b: [ViewGroup]) -> [ViewGroup] {
    guard let last = a.last, let first = b.first else { return a + b }
    // Mostly one stretch of time comes after the other.
    if order(last, first) < 0 { return a + b }
    var groups: [ViewGroup] = []
    groups.reserveCapacity(a.count + b.count)
    var (i, j) = (0, 0)
    while i < a.count && j < b.count {
      let order = order(a[i], b[j])
      if order == 0 {
        var sum = a[i]
        sum.counts += b[j].counts
        sum.revision = max(sum.revision, b[j].revision)
        groups.append(sum)
      } else {
        groups.append(order < 0 ? a[i] : b[j])
      }
      if order <= 0 { i += 1 }
      if order >= 0 { j += 1 }
    }
    groups += a[i...]
    groups += b[j...]
    return groups
  }

  /// Below 0 where `a` comes first, 0 where they are of the same bucket, dimensions and currency.
  private static func order(_ a: ViewGroup, _ b: ViewGroup) -> Int {
    if a.bucket != b.bucket { return a.bucket - b.bucket }
    for index in a.dimensions.indices {
      let order = TextBytes.order(a.dimensions[index], b.dimensions[index])
      if order != 0 { return order }
    }
    return TextBytes.order(a.currency, b.currency)
  }
}
