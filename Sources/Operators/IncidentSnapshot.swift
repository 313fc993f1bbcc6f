import Events
import Views

// A section: time and counters, the open bins in order of their starts, each with its sums in order of their tuples,
// then the board: keys in order of level and bytes, incidents in order of their ids. The board changes as a whole
// when a bin is closed: an increment since then is complete; another one has only what changed in open bins.
extension IncidentWatch {
  private static var sectionID: UInt16 { 45 }
  private static var sectionVersion: UInt16 { 1 }

  public var stateSize: StateSize {
    let byteCount = bins.reduce(0) { $0 + $1.pointee.rows.byteCount }
    return StateSize(
      keyCount: board.keys.count, keyCountMax: policy.keyCountMax,
      byteCount: tuples.byteCount + byteCount + board.byteCount)
  }

  /// About how many bytes the changes take.
  public var changeByteCount: Int {
    bins.reduce(hasClosed ? board.byteCount : 64) {
      $0 + (hasClosed ? $1.pointee.rows.count : $1.pointee.changedRows.count) * 100
    }
  }

  /// Forgets what has changed, as if a snapshot had been taken.
  public mutating func forgetChanges() {
    hasClosed = false
    for bin in bins { bin.pointee.changedRows.removeAll() }
  }

  /// Writes all of the state, or what changed since the last snapshot or restore.
  public mutating func snapshot(isComplete: Bool, into writer: inout SnapshotWriter) {
    let isComplete = isComplete || hasClosed
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(UInt8(isComplete ? 1 : 0))
    writer.put(watermark)
    writer.put(late)
    writer.put(overflowed)
    writer.put(refused)
    writer.put(UInt64(bins.count))
    for bin in bins { write(bin, isComplete: isComplete, into: &writer) }
    if isComplete { board.write(to: &writer) }
    writer.end()
    forgetChanges()
  }

  private func write(
    _ bin: UnsafeMutablePointer<IncidentBin>, isComplete: Bool, into writer: inout SnapshotWriter
  ) {
    writer.put(bin.pointee.start)
    writer.put(bin.pointee.parts)
    writer.put(UInt64(bin.pointee.remarks.count))
    for remark in bin.pointee.remarks.sorted() {
      writer.put(remark.feedback.incident)
      writer.put(remark.feedback.verdict.rawValue)
      writer.put(UInt16(truncatingIfNeeded: remark.site.count))
      remark.site.withUnsafeBytes { writer.put($0) }
    }
    let rows =
      isComplete
      ? Array(0..<UInt32(bin.pointee.rows.count)) : bin.pointee.changedRows.indices
    let entries = bin.pointee.rows.entries
    let ordered = rows.sorted {
      tuples.bytes(Int(entries[Int($0)].key)).lexicographicallyPrecedes(
        tuples.bytes(Int(entries[Int($1)].key)))
    }
    writer.put(UInt64(ordered.count))
    for index in ordered {
      let row = entries[Int(index)]
      let tuple = tuples.bytes(Int(row.key))
      writer.put(UInt32(tuple.count))
      writer.put(tuple)
      writer.put(row.value.impressions)
      writer.put(row.value.clicks)
      writer.put(row.value.conversions)
    }
  }

  // MARK: Restoring

  /// Reads a section: all of the state, or changes of what was restored before.
  public mutating func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    let isComplete = try reader.get(UInt8.self) == 1
    let stored = try reader.get(Int64.self)
    guard
      stored == .min
        || (stored >= 2 * TimeRange.earliest - TimeRange.latest && stored <= TimeRange.latest),
      stored >= watermark
    else { throw reader.malformed("the watermark goes back, or lies outside the years 1 to 9999") }
    watermark = stored
    late = try reader.get(Int64.self)
    overflowed = try reader.get(Int64.self)
    refused = try reader.get(Int64.self)
    if isComplete { while !bins.isEmpty { removeFirstBin() } }
    var previous = Int64.min
    for _ in 0..<(try reader.getCount(elementByteCount: 26)) {
      let start = try reader.get(Int64.self)
      guard TimeRange.clamp(start) == start, start == policy.floor(start), start > previous,
        start + policy.bin > watermark
      else { throw reader.malformed("bins are not in order, not at their places, or closed") }
      previous = start
      try readBin(start, &reader)
    }
    if isComplete {
      board = try IncidentBoard(from: &reader, policy: policy)
    }
    try reader.close()
    forgetChanges()
  }

  private mutating func readBin(
    _ start: Int64, _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    let bin = bin(startingAt: start)
    bin.pointee.parts = try reader.get(UInt16.self)
    guard bin.pointee.parts < 1 << UInt16(IncidentPolicy.partCount) else {
      throw reader.malformed("a bin has more parts than there are")
    }
    bin.pointee.remarks.removeAll()
    for _ in 0..<(try reader.getCount(elementByteCount: 11)) {
      let incident = try reader.get(Int64.self)
      let verdict = IncidentFeedback.Verdict(rawValue: try reader.get(UInt8.self))
      let site = Array(try reader.get(byteCount: Int(try reader.get(UInt16.self))))
      guard let verdict, bin.pointee.remarks.count < Self.remarkCountMax else {
        throw reader.malformed("feedback that is none, or too much")
      }
      bin.pointee.remarks.insert(
        IncidentBoard.Remark(
          feedback: IncidentFeedback(incident: incident, verdict: verdict), site: site))
    }
    for _ in 0..<(try reader.getCount(elementByteCount: 28)) {
      let bytes = Array(try reader.get(byteCount: Int(try reader.get(UInt32.self))))
      guard bytes.withUnsafeBytes({ EncodedTuple.isOfPeople($0) }) else {
        throw reader.malformed("a tuple is none, or one of bots")
      }
      let slot = bytes.withUnsafeBytes { tuples.intern($0) }
      var row = bin.pointee.rows.find(UInt64(slot))
      if row < 0 {
        row = bin.pointee.rows.insert(UInt64(slot), IncidentCounts())
        tuples.retainLive(slot)
      }
      bin.pointee.rows.entries[row].value = IncidentCounts(
        impressions: try reader.get(Int64.self), clicks: try reader.get(Int64.self),
        conversions: try reader.get(Int64.self))
    }
    tuples.releaseUnused()
  }
}

extension IncidentBoard {
  var byteCount: Int {
    keys.reduce(incidents.count * 3_072) {
      $0 + $1.bytes.count + $1.series.byteCount + $1.shares.byteCount
        + $1.episodes.count * MemoryLayout<IncidentKey.Episode>.stride
    }
  }

  func write(to writer: inout SnapshotWriter) {
    writer.put(unwatched)
    writer.put(unknownFeedback)
    writer.put(UInt64(keys.count))
    let ordered = keys.indices.sorted { precedes($0, $1) }
    for place in ordered { keys[place].write(to: &writer) }
    writer.put(UInt64(incidents.count))
    for incident in incidents.values.sorted(by: { $0.row.id < $1.row.id }) {
      writer.put(incident.level.rawValue)
      Self.write(incident.row, to: &writer)
    }
  }

  init(
    from reader: inout SnapshotReader, policy: IncidentPolicy
  ) throws(SnapshotFormatError) {
    self.init(policy: policy)
    unwatched = try reader.get(Int64.self)
    unknownFeedback = try reader.get(Int64.self)
    let keyCount = try reader.getCount(elementByteCount: 300)
    guard keyCount <= policy.keyCountMax else { throw reader.malformed("there are too many keys") }
    for _ in 0..<keyCount {
      let key = try IncidentKey(from: &reader, policy: policy)
      if let last = keys.last,
        !IncidentKey.precedes((last.level, last.bytes), (key.level, key.bytes))
      {
        throw reader.malformed("keys are not in order")
      }
      places[key.hash] = keys.count
      keys.append(key)
    }
    var previous: Int64 = 0
    for _ in 0..<(try reader.getCount(elementByteCount: 100)) {
      guard let level = IncidentLevel(rawValue: try reader.get(UInt8.self)) else {
        throw reader.malformed("an incident of no level")
      }
      let row = try Self.readRow(&reader)
      guard row.id > previous else { throw reader.malformed("incidents are not in order") }
      previous = row.id
      incidents[row.id] = Incident(row: row, level: level)
    }
  }

  private static func write(_ row: IncidentRow, to writer: inout SnapshotWriter) {
    writer.put(row.id)
    for text in [row.site, row.campaign, row.content] { writer.put(text: text) }
    writer.put(row.kind.rawValue)
    writer.put(row.begin)
    writer.put(row.end ?? .min)
    writer.put(row.severity.rawValue)
    writer.put(row.observed)
    for value in [row.evidence, row.expected, row.lower, row.upper] { writer.put(value) }
    writer.put(UInt64(row.series.count))
    for point in row.series {
      writer.put(point.start)
      writer.put(point.observed)
      writer.put(point.expected)
    }
    writer.put(UInt8(truncatingIfNeeded: row.contributor.map { $0.dimension.rawValue + 1 } ?? 0))
    writer.put(text: row.contributor?.value ?? "")
    writer.put(row.contributor?.share ?? 0)
    writer.put(row.group)
    writer.put(row.feedback?.rawValue ?? 0)
    writer.put(row.revision)
  }

  private static func readRow(
    _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> IncidentRow {
    let id = try reader.get(Int64.self)
    let (site, campaign, content) = (
      try reader.getText(), try reader.getText(), try reader.getText()
    )
    guard let kind = IncidentRow.Kind(rawValue: try reader.get(UInt8.self)) else {
      throw reader.malformed("an incident of no kind")
    }
    let begin = try reader.get(Int64.self)
    let end = try reader.get(Int64.self)
    guard let severity = IncidentRow.Severity(rawValue: try reader.get(UInt8.self)) else {
      throw reader.malformed("an incident of no severity")
    }
    var row = IncidentRow(
      id: id, site: site, campaign: campaign, content: content, kind: kind, begin: begin,
      end: end == .min ? nil : end, evidence: 0, severity: severity,
      observed: try reader.get(Int64.self), expected: 0, lower: 0, upper: 0, group: id)
    row.evidence = try reader.getDouble()
    row.expected = try reader.getDouble()
    row.lower = try reader.getDouble()
    row.upper = try reader.getDouble()
    let count = try reader.getCount(elementByteCount: 24)
    guard count <= IncidentRow.seriesCountMax else {
      throw reader.malformed("a series is too long")
    }
    for _ in 0..<count {
      row.series.append(
        IncidentRow.Point(
          start: try reader.get(Int64.self), observed: try reader.get(Int64.self),
          expected: try reader.getDouble()))
    }
    let dimension = Int(try reader.get(UInt8.self))
    let value = try reader.getText()
    let share = try reader.getDouble()
    if dimension > 0 {
      guard let dimension = Dimension(rawValue: dimension - 1) else {
        throw reader.malformed("a contributor of no dimension")
      }
      row.contributor = IncidentRow.Contributor(dimension: dimension, value: value, share: share)
    }
    row.group = try reader.get(Int64.self)
    let feedback = try reader.get(UInt8.self)
    row.feedback = IncidentFeedback.Verdict(rawValue: feedback)
    guard feedback == 0 || row.feedback != nil else {
      throw reader.malformed("feedback of no verdict")
    }
    row.revision = try reader.get(Int32.self)
    return row
  }
}
