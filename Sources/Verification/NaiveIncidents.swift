import Events
import Statistics
import Views

/// Incidents by definition: one bin after the other, one watched key after the other, in dictionaries, with
/// nothing carried on that can be summed up again.
///
/// It shares the detectors with the operator, which are statistics, and the form of a row; it has its own
/// roll-up, admission, shares, episodes, groups, feedback and forgetting. Sums of fractions are taken in order of
/// time in both, which is part of the definition: rows are compared to the last bit.
struct NaiveIncidents {
  /// The encoded values of site, campaign and content, as far as the level goes.
  struct Key: Hashable {
    var level: IncidentLevel
    var bytes: [UInt8]

    /// Wider keys first.
    static func precedes(_ a: Key, _ b: Key) -> Bool {
      a.level == b.level ? a.bytes.lexicographicallyPrecedes(b.bytes) : a.level < b.level
    }
  }

  /// What a person said, and of which site's incidents (encoded).
  struct Remark: Hashable {
    var feedback: IncidentFeedback
    var site: [UInt8]
  }

  private struct Incident {
    var row: IncidentRow
    var key: Key
    /// The encoded site.
    var site: [UInt8]
  }

  private struct Opening {
    var key: Key
    var kind: IncidentRow.Kind
    var begin: Int64
    var evidence: Double
  }

  private static let week: Int64 = 7 * 86_400_000_000
  private static let closedCountMax = 2_000
  private static let evidenceMax = 12.0

  private let policy: IncidentPolicy
  private var keys: [Key: NaiveIncidentKey] = [:]
  /// Those that feedback may still be about, or that may still be the first of a group.
  private var known: [Int64: Incident] = [:]
  /// All that there ever were, as they were left.
  private(set) var rows: [Int64: IncidentRow] = [:]

  init(_ policy: IncidentPolicy) { self.policy = policy }

  /// Closes the next bin.
  ///
  /// - Parameters:
  ///   - sums: impressions, clicks and conversions by encoded tuple.
  ///   - isKnown: false where the log has a hole in it.
  mutating func close(
    _ start: Int64, _ sums: [[UInt8]: SIMD3<Int64>], isKnown: Bool, remarks: Set<Remark>
  ) {
    if isKnown {
      admit(newcomers(sums), at: start)
      var openings: [Opening] = []
      for key in keys.keys { openings += observe(key, start) }
      openings.sort { a, b in
        a.key == b.key ? a.kind.rawValue < b.kind.rawValue : Key.precedes(a.key, b.key)
      }
      for opening in openings { open(opening) }
    }
    let ordered = remarks.sorted { a, b in
      let (x, y) = (a.feedback, b.feedback)
      if x.incident != y.incident { return x.incident < y.incident }
      if x.verdict != y.verdict { return x.verdict.rawValue < y.verdict.rawValue }
      return a.site.lexicographicallyPrecedes(b.site)
    }
    for remark in ordered { take(remark, at: start) }
    forgetKeys(at: start)
    for id in known.keys { settleHead(id, at: start) }
    forgetIncidents(at: start)
  }

  // MARK: Keys

  /// Sums of keys that are not watched; those of keys that are go to them, with what makes them up.
  private mutating func newcomers(_ sums: [[UInt8]: SIMD3<Int64>]) -> [Key: SIMD3<Int64>] {
    var newcomers: [Key: SIMD3<Int64>] = [:]
    for (tuple, counts) in sums {
      let values = Self.values(tuple)
      for level in policy.levels {
        let path = values.prefix(Int(level.rawValue) + 1)
        if level != .site, path.last?.isEmpty ?? true { continue }
        let key = Key(level: level, bytes: path.flatMap(Self.encoded))
        if keys[key] == nil {
          newcomers[key, default: .zero] &+= counts
        } else {
          keys[key]?.add(counts, values)
        }
      }
    }
    return newcomers
  }

  /// The values of a tuple, by the place of their dimension.
  private static func values(_ tuple: [UInt8]) -> [[UInt8]] {
    var values: [[UInt8]] = []
    var rest = tuple[...]
    while rest.count >= 2 {
      let count = Int(rest.removeFirst()) + 256 * Int(rest.removeFirst())
      values.append(Array(rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
    return values
  }

  private static func encoded(_ value: [UInt8]) -> [UInt8] {
    [UInt8(value.count % 256), UInt8(value.count / 256)] + value
  }

  /// The largest newcomers take free places, then those of keys with half as many events or fewer.
  private mutating func admit(_ newcomers: [Key: SIMD3<Int64>], at start: Int64) {
    let ordered = newcomers.sorted { a, b in
      let (x, y) = (a.value.wrappedSum(), b.value.wrappedSum())
      return x == y ? Key.precedes(a.key, b.key) : x > y
    }
    var entered: Set<Key> = []
    for (key, counts) in ordered {
      if keys.count >= policy.keyCountMax {
        let weakest = keys.values.filter { !$0.hasIncident && !entered.contains($0.key) }
          .min { a, b in a.heat == b.heat ? Key.precedes(a.key, b.key) : a.heat < b.heat }
        // Those that follow have fewer still.
        guard let weakest, Double(counts.wrappedSum()) > 2 * weakest.heat else { return }
        keys[weakest.key] = nil
        entered.insert(key)
      }
      keys[key] = NaiveIncidentKey(key, policy, counts, at: start)
    }
  }

  // MARK: Incidents

  /// A key takes the bin in.
  private mutating func observe(_ key: Key, _ start: Int64) -> [Opening] {
    guard var state = keys[key] else { return [] }
    let evidence = state.observe(start, policy)
    var openings: [Opening] = []
    for kind in IncidentRow.Kind.allCases {
      let evidence = evidence[Int(kind.rawValue)]
      let incident = state.episodes[kind]?.incident
      guard evidence >= RateDetector.over else {
        if let incident { end(incident, state, at: start) }
        state.episodes[kind] = nil
        continue
      }
      var episode = state.episodes[kind] ?? NaiveIncidentKey.Episode()
      if let bin = state.bins.last { episode.bins.append(bin) }
      state.episodes[kind] = episode
      if let incident {
        refresh(incident, state, evidence)
      } else if !episode.isMuted, Int64(state.binCount) * policy.bin >= 86_400_000_000,
        evidence >= min(Self.evidenceMax, policy.threshold + state.raises[kind, default: 0]),
        let begin = episode.bins.first?.start
      {
        openings.append(Opening(key: key, kind: kind, begin: begin, evidence: evidence))
      }
    }
    keys[key] = state
    return openings
  }

  private mutating func open(_ opening: Opening) {
    guard var state = keys[opening.key] else { return }
    let id = IncidentRow.identifier(
      level: opening.key.level, key: opening.key.bytes, kind: opening.kind, begin: opening.begin)
    let values = Self.values(opening.key.bytes)
    let texts = values.map { String(decoding: $0, as: UTF8.self) } + ["", ""]
    let site = Self.encoded(values[0])
    // Of the first ones of open groups that move the same way, within two bins: the nearest that is about as much.
    let near = known.values.filter {
      $0.row.group == $0.row.id && $0.row.end == nil
        && $0.row.kind.isDown == opening.kind.isDown
        && abs($0.row.begin - opening.begin) <= 2 * policy.bin
    }
    let head = near.filter { Self.contains($0.key, opening.key) }.min { a, b in
      (abs(a.row.begin - opening.begin), a.row.begin, a.row.id)
        < (abs(b.row.begin - opening.begin), b.row.begin, b.row.id)
    }
    // One that is about more than others becomes the first of their groups.
    let narrower = near.filter { head == nil && Self.contains(opening.key, $0.key) }.map(\.row.id)
    for var row in known.values.map(\.row) where narrower.contains(row.group) {
      row.group = id
      write(row)
    }
    let row = IncidentRow(
      id: id, site: texts[0], campaign: texts[1], content: texts[2], kind: opening.kind,
      begin: opening.begin, evidence: 0, severity: .info, observed: 0, expected: 0, lower: 0,
      upper: 0, group: head?.row.id ?? id, revision: 0)
    known[id] = Incident(row: row, key: opening.key, site: site)
    state.episodes[opening.kind]?.incident = id
    keys[opening.key] = state
    refresh(id, state, opening.evidence)
  }

  /// Whether what is of the second is of the first too.
  private static func contains(_ a: Key, _ b: Key) -> Bool {
    let (a, b) = (values(a.bytes), values(b.bytes))
    return a.count <= b.count && zip(a, b).allSatisfy { $0 == $1 }
  }

  /// The first of a group is as grave as any member, and goes on until all of them are over.
  private mutating func settleHead(_ id: Int64, at start: Int64) {
    guard let head = known[id], head.row.group == id, head.row.end == nil else { return }
    let group = known.values.map(\.row).filter { $0.group == id }
    var row = head.row
    row.severity = group.map(\.severity).max() ?? row.severity
    let goesOn =
      keys[head.key]?.episodes[row.kind]?.incident == id
      || group.contains { $0.id != id && $0.end == nil }
    if !goesOn { row.end = group.compactMap(\.end).reduce(start, max) }
    if row != head.row { write(row) }
  }

  /// What the row says, from all of its bins.
  private mutating func refresh(_ id: Int64, _ state: NaiveIncidentKey, _ evidence: Double) {
    guard var row = known[id]?.row, let episode = state.episodes[row.kind] else { return }
    let place = NaiveIncidentKey.place(row.kind)
    row.evidence = max(row.evidence, evidence)
    row.observed = episode.bins.reduce(0) { $0 + $1.counts[place] }
    row.expected = episode.bins.reduce(0) { $0 + $1.expected[place] }
    let reach = 1.96 * episode.bins.reduce(0) { $0 + $1.variance[place] }.squareRoot()
    row.lower = max(0, row.expected - reach)
    row.upper = row.expected + reach
    row.severity = max(row.severity, Self.severity(row))
    row.series = state.series(row.kind)
    row.contributor = state.contributor(row.kind) ?? row.contributor
    write(row)
  }

  private static func severity(_ row: IncidentRow) -> IncidentRow.Severity {
    let size = abs(Double(row.observed) - row.expected)
    let share = size == 0 ? 0 : size / max(Double(row.observed), row.expected)
    let isTraffic = row.kind == .trafficDown || row.kind == .trafficUp
    if row.evidence >= 9, share >= 0.5, size >= (isTraffic ? 300 : 30) { return .critical }
    if row.evidence >= 7, share >= 0.25, size >= (isTraffic ? 100 : 10) { return .warning }
    return .info
  }

  private mutating func end(_ id: Int64, _ state: NaiveIncidentKey, at time: Int64) {
    guard var row = known[id]?.row else { return }
    if row.group != id { row.end = time }
    row.series = state.series(row.kind)
    write(row)
  }

  private mutating func write(_ row: IncidentRow) {
    var row = row
    row.revision += 1
    known[row.id]?.row = row
    rows[row.id] = row
  }

  // MARK: Feedback and forgetting

  /// What is said of the first of a group is said of all its members.
  private mutating func take(_ remark: Remark, at start: Int64) {
    let (id, verdict) = (remark.feedback.incident, remark.feedback.verdict)
    guard known[id]?.site == remark.site else { return }
    for incident in known.values where incident.row.id == id || incident.row.group == id {
      guard incident.row.feedback != verdict else { continue }
      var row = incident.row
      if var state = keys[incident.key] {
        if verdict == .notAnAnomaly {
          state.raises[row.kind] = min(
            Self.evidenceMax - policy.threshold, state.raises[row.kind, default: 0] + 1)
        }
        if state.episodes[row.kind]?.incident == row.id {
          state.episodes[row.kind]?.incident = nil
          state.episodes[row.kind]?.isMuted = true
        }
        keys[incident.key] = state
      }
      row.feedback = verdict
      row.end = row.end ?? start + policy.bin
      write(row)
    }
  }

  private mutating func forgetKeys(at start: Int64) {
    let oldest = start - Self.week
    for (key, state) in keys where state.seenAt < oldest {
      for incident in state.episodes.values.compactMap(\.incident) {
        end(incident, state, at: start)
      }
      keys[key] = nil
    }
  }

  private mutating func forgetIncidents(at start: Int64) {
    let oldest = start - Self.week
    let closed = known.values.filter { $0.row.end != nil }.sorted { a, b in
      (a.row.end ?? .max, a.row.id) < (b.row.end ?? .max, b.row.id)
    }
    let left = closed.filter { ($0.row.end ?? .max) >= oldest }.suffix(Self.closedCountMax)
    for incident in closed { known[incident.row.id] = nil }
    for incident in left { known[incident.row.id] = incident }
  }
}
