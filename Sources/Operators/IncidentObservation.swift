import Events
import Statistics
import Views

// What a closed bin means to each key: evidence, incidents that begin, go on and end, and their groups.
extension IncidentBoard {
  /// An incident that begins.
  private struct Opening {
    var place: Int
    var kind: IncidentRow.Kind
    var evidence: Double
  }

  /// All keys take in what is pending.
  mutating func observe(_ start: Int64) {
    let gain = 1 - Elementary.exp(-Elementary.ln2 * Double(policy.bin) / Double(Self.day))
    let waves = Harmonics(at: start / 1_000_000)
    var openings: [Opening] = []
    for place in keys.indices {
      let counts = keys[place].pending
      keys[place].pending = IncidentCounts()
      let evidence = keys[place].series.observe(counts, at: start, waves)
      let binCount = keys[place].series.binCount
      keys[place].weight +=
        (counts.sum - keys[place].weight) * max(gain, 1 / Double(binCount))
      if !counts.isZero { keys[place].seenAt = start }
      guard let bin = keys[place].series.last else { continue }
      keys[place].shares.settle(
        counts, expected: bin.expected, isUsual: !keys[place].hasIncident)
      for kind in IncidentRow.Kind.allCases {
        let evidence = evidence[Int(kind.rawValue)]
        if follow(place, kind, evidence, bin) {
          openings.append(Opening(place: place, kind: kind, evidence: evidence))
        }
      }
    }
    open(openings)
  }

  /// - Returns: whether an incident begins.
  private mutating func follow(
    _ place: Int, _ kind: IncidentRow.Kind, _ evidence: Double, _ bin: IncidentSeries.Bin
  ) -> Bool {
    let index = Int(kind.rawValue)
    let incident = keys[place].episodes[index].incident
    // Nothing goes on, as mostly.
    if evidence < RateDetector.over {
      if incident != 0 { end(incident, place, kind, at: bin.start) }
      if keys[place].episodes[index].begin != nil { keys[place].episodes[index].end() }
      return false
    }
    if keys[place].episodes[index].begin == nil { keys[place].episodes[index].begin = bin.start }
    let quantity = kind.quantity
    keys[place].episodes[index].observed &+= bin.counts[quantity]
    keys[place].episodes[index].expected += bin.expected[quantity.rawValue]
    keys[place].episodes[index].variance += bin.variance[quantity.rawValue]
    if incident != 0 {
      update(incident, place, kind, evidence)
      return false
    }
    let episode = keys[place].episodes[index]
    let isKnown = keys[place].series.binCount * policy.bin >= Self.day
    return isKnown && !episode.isMuted
      && evidence >= min(Self.evidenceMax, policy.threshold + episode.raise)
  }

  // MARK: A row

  /// The quantities of a row, as they are now.
  private func refresh(
    _ row: inout IncidentRow, _ place: Int, _ evidence: Double
  ) {
    let episode = keys[place].episodes[Int(row.kind.rawValue)]
    row.evidence = max(row.evidence, evidence)
    row.observed = episode.observed
    row.expected = episode.expected
    // The normal deviate of 95 of 100.
    let reach = 1.96 * episode.variance.squareRoot()
    row.lower = max(0, episode.expected - reach)
    row.upper = episode.expected + reach
    row.severity = max(row.severity, Self.severity(row))
    row.series = keys[place].series.points(row.kind)
    if let contributor = keys[place].shares.contributor(row.kind) { row.contributor = contributor }
  }

  /// What is sure and large is worth waking somebody, what is sure enough and not small worth a look.
  ///
  /// Each nat of evidence makes false alarms rarer by e at most; the sizes are of what a person would call
  /// much.
  static func severity(_ row: IncidentRow) -> IncidentRow.Severity {
    let size = (Double(row.observed) - row.expected).magnitude
    let larger = max(Double(row.observed), row.expected)
    let share = larger > 0 ? size / larger : 0
    let unit = row.kind.quantity == .impressions ? 10.0 : 1.0
    if row.evidence >= 9, share >= 0.5, size >= 30 * unit { return .critical }
    if row.evidence >= 7, share >= 0.25, size >= 10 * unit { return .warning }
    return .info
  }

  private mutating func update(
    _ id: Int64, _ place: Int, _ kind: IncidentRow.Kind, _ evidence: Double
  ) {
    guard var row = incidents[id]?.row else { return }
    refresh(&row, place, evidence)
    write(row)
  }

  private mutating func end(_ id: Int64, _ place: Int, _ kind: IncidentRow.Kind, at time: Int64) {
    keys[place].episodes[Int(kind.rawValue)].incident = 0
    guard var row = incidents[id]?.row else { return }
    // The first of a group is over when all of it is.
    if row.group != id { row.end = time }
    row.series = keys[place].series.points(kind)
    write(row)
  }

  private mutating func write(_ row: IncidentRow) {
    var row = row
    row.revision &+= 1
    incidents[row.id]?.row = row
    changed[row.id] = row
  }

  // MARK: Groups

  private mutating func open(_ openings: [Opening]) {
    let ordered = openings.sorted { a, b in
      a.place == b.place ? a.kind.rawValue < b.kind.rawValue : precedes(a.place, b.place)
    }
    for opening in ordered { open(opening) }
  }

  private mutating func open(_ opening: Opening) {
    let key = keys[opening.place]
    guard let begin = key.episodes[Int(opening.kind.rawValue)].begin else { return }
    let id = IncidentRow.identifier(
      level: key.level, key: key.bytes, kind: opening.kind, begin: begin)
    let values = key.bytes.withUnsafeBytes { bytes in
      EncodedTuple.fields(bytes).map {
        String(decoding: UnsafeRawBufferPointer(rebasing: bytes[$0]), as: UTF8.self)
      }
    }
    // Groups that go on, began at the same time and move the same way.
    let near = incidents.values.filter {
      $0.row.group == $0.row.id && $0.row.end == nil && $0.row.kind.isDown == opening.kind.isDown
        && ($0.row.begin - begin).magnitude <= UInt64(Self.groupReach * policy.bin)
    }
    // The nearest in time, then the one that is written first everywhere.
    let head = near.filter { key.bytes.starts(with: $0.key) }.min { a, b in
      let (x, y) = ((a.row.begin - begin).magnitude, (b.row.begin - begin).magnitude)
      return (x, a.row.begin, a.row.id) < (y, b.row.begin, b.row.id)
    }
    if head == nil {
      for narrower in near where narrower.key.starts(with: key.bytes) {
        move(narrower.row.id, to: id)
      }
    }
    var row = IncidentRow(
      id: id, site: values[0], campaign: values.count > 1 ? values[1] : "",
      content: values.count > 2 ? values[2] : "", kind: opening.kind, begin: begin, evidence: 0,
      severity: .info, observed: 0, expected: 0, lower: 0, upper: 0, group: head?.row.id ?? id,
      revision: 0)
    refresh(&row, opening.place, opening.evidence)
    incidents[id] = Incident(row: row, level: key.level)
    keys[opening.place].episodes[Int(opening.kind.rawValue)].incident = id
    write(row)
  }

  /// All of a group belongs to another one from now on.
  private mutating func move(_ group: Int64, to head: Int64) {
    for var row in incidents.values.map(\.row) where row.group == group {
      row.group = head
      write(row)
    }
  }

  /// The first of a group, by which people are told of it, is as grave as any of it ever was, and goes on for as
  /// long as any of it does.
  mutating func settleGroups(_ start: Int64) {
    var groups: [Int64: [IncidentRow]] = [:]
    for row in incidents.values.map(\.row) where row.group != row.id {
      groups[row.group, default: []].append(row)
    }
    for incident in Array(incidents.values)
    where incident.row.group == incident.row.id && incident.row.end == nil {
      let members = groups[incident.row.id] ?? []
      var row = incident.row
      row.severity = max(row.severity, members.map(\.severity).max() ?? .info)
      if !isObserved(incident), members.allSatisfy({ $0.end != nil }) {
        row.end = max(start, members.compactMap(\.end).max() ?? start)
      }
      if row != incident.row { write(row) }
    }
  }

  /// Whether it has not ended by itself.
  private func isObserved(_ incident: Incident) -> Bool {
    guard
      let place = places[incident.key.withUnsafeBytes { IncidentKey.hash(incident.level, $0) }]
    else { return false }
    return keys[place].episodes[Int(incident.row.kind.rawValue)].incident == incident.row.id
  }

  // MARK: Feedback

  /// Takes feedback in; that about the first of a group is about all of the group.
  mutating func take(_ remark: Remark, _ start: Int64) {
    let id = remark.feedback.incident
    var site: [UInt8] = []
    if let row = incidents[id]?.row { DimensionTuple.append(row.site, to: &site) }
    guard site == remark.site else {
      unknownFeedback += 1
      return
    }
    for member in incidents.values.filter({ $0.row.id == id || $0.row.group == id })
      .map(\.row.id).sorted()
    {
      settle(member, remark.feedback.verdict, start)
    }
  }

  private mutating func settle(
    _ id: Int64, _ verdict: IncidentFeedback.Verdict, _ start: Int64
  ) {
    guard let incident = incidents[id], incident.row.feedback != verdict else { return }
    var row = incident.row
    row.feedback = verdict
    let index = Int(row.kind.rawValue)
    if let place = places[incident.key.withUnsafeBytes { IncidentKey.hash(incident.level, $0) }] {
      if verdict == .notAnAnomaly {
        keys[place].episodes[index].raise = min(
          Self.evidenceMax - policy.threshold, keys[place].episodes[index].raise + 1)
      }
      if keys[place].episodes[index].incident == id {
        keys[place].episodes[index].incident = 0
        keys[place].episodes[index].isMuted = true
      }
    }
    if row.end == nil { row.end = start + policy.bin }
    write(row)
  }

  // MARK: Forgetting

  /// Forgets keys to which nothing has happened for long.
  mutating func forgetKeys(_ start: Int64) {
    let oldest = start - Self.keep
    var place = 0
    while place < keys.count {
      if keys[place].seenAt >= oldest {
        place += 1
        continue
      }
      for kind in IncidentRow.Kind.allCases {
        let id = keys[place].episodes[Int(kind.rawValue)].incident
        if id != 0 { end(id, place, kind, at: start) }
      }
      places[keys[place].hash] = nil
      let last = keys.removeLast()
      if place < keys.count {
        keys[place] = last
        places[last.hash] = place
      }
    }
  }

  /// Forgets incidents that were over long ago.
  mutating func forgetIncidents(_ start: Int64) {
    let oldest = start - Self.keep
    let closed = incidents.values.filter { $0.row.end != nil }
    for incident in closed where incident.row.end ?? .max < oldest {
      incidents[incident.row.id] = nil
    }
    let left = incidents.values.filter { $0.row.end != nil }
    if left.count <= Self.closedCountMax { return }
    let ordered = left.sorted { a, b in
      (a.row.end ?? .max, a.row.id) < (b.row.end ?? .max, b.row.id)
    }
    for incident in ordered.prefix(left.count - Self.closedCountMax) {
      incidents[incident.row.id] = nil
    }
  }
}
