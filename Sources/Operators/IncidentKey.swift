import Events
import Views

/// A watched key with all that is known of it.
struct IncidentKey {
  /// What goes on of one kind.
  struct Episode {
    /// Start of the first bin of the evidence; nil while there is none.
    var begin: Int64?
    /// The open incident; 0 for none.
    var incident: Int64 = 0
    /// Nothing is reported until it is over.
    var isMuted = false
    /// What feedback has added to the threshold, nats.
    var raise = 0.0
    /// Since the begin.
    var observed: Int64 = 0
    var expected = 0.0
    var variance = 0.0

    /// Forgets what went on.
    mutating func end() { self = Episode(raise: raise) }
  }

  let level: IncidentLevel
  /// The encoded values of site, campaign and content up to the level.
  let bytes: [UInt8]
  var series: IncidentSeries
  var shares: IncidentShares
  /// By ``IncidentRow/Kind/rawValue``.
  var episodes = [Episode](repeating: Episode(), count: IncidentRow.Kind.allCases.count)
  /// Events of a bin, a mean over about a day.
  var weight = 0.0
  /// Start of the last bin with anything in it.
  var seenAt: Int64
  /// Of the bin that is being closed.
  var pending = IncidentCounts()

  init(level: IncidentLevel, bytes: [UInt8], policy: IncidentPolicy, seenAt: Int64) {
    self.level = level
    self.bytes = bytes
    self.seenAt = seenAt
    series = IncidentSeries(policy: policy)
    shares = IncidentShares(policy: policy)
  }

  var hash: Key128 { bytes.withUnsafeBytes { Self.hash(level, $0) } }

  static func hash(_ level: IncidentLevel, _ bytes: UnsafeRawBufferPointer) -> Key128 {
    var hash = SipHash128()
    hash.update(byte: level.rawValue)
    hash.update(bytes)
    return hash.finalize()
  }

  /// Events of a bin, usually or now.
  var heat: Double { max(weight, pending.sum) }

  var hasIncident: Bool { episodes.contains { $0.incident != 0 } }

  /// Wider keys first.
  static func precedes(
    _ a: (level: IncidentLevel, bytes: [UInt8]), _ b: (level: IncidentLevel, bytes: [UInt8])
  ) -> Bool {
    a.level != b.level ? a.level < b.level : a.bytes.lexicographicallyPrecedes(b.bytes)
  }

  /// Dimensions that tell where a deviation of a key of the level comes from.
  static func finer(_ level: IncidentLevel) -> [Dimension] {
    switch level {
    case .site: [.campaign, .variant, .channel]
    case .campaign: [.content, .variant, .channel]
    case .content: [.variant, .channel]
    }
  }

  // MARK: Snapshots

  func write(to writer: inout SnapshotWriter) {
    writer.put(level.rawValue)
    writer.put(UInt16(truncatingIfNeeded: bytes.count))
    bytes.withUnsafeBytes { writer.put($0) }
    writer.put(weight)
    writer.put(seenAt)
    for episode in episodes {
      writer.put(episode.begin ?? .min)
      writer.put(episode.incident)
      writer.put(UInt8(episode.isMuted ? 1 : 0))
      writer.put(episode.raise)
      writer.put(episode.observed)
      writer.put(episode.expected)
      writer.put(episode.variance)
    }
    series.write(to: &writer)
    shares.write(to: &writer)
  }

  init(
    from reader: inout SnapshotReader, policy: IncidentPolicy
  ) throws(SnapshotFormatError) {
    guard let level = IncidentLevel(rawValue: try reader.get(UInt8.self)) else {
      throw reader.malformed("a key of no level")
    }
    self.level = level
    bytes = Array(try reader.get(byteCount: Int(try reader.get(UInt16.self))))
    let isWhole = bytes.withUnsafeBytes { Self.isPrefix($0, of: Int(level.rawValue) + 1) }
    guard isWhole else { throw reader.malformed("a key is not of its level") }
    weight = try reader.getDouble()
    seenAt = try reader.get(Int64.self)
    for index in episodes.indices {
      let begin = try reader.get(Int64.self)
      episodes[index].begin = begin == .min ? nil : begin
      episodes[index].incident = try reader.get(Int64.self)
      episodes[index].isMuted = try reader.get(UInt8.self) != 0
      episodes[index].raise = try reader.getDouble()
      episodes[index].observed = try reader.get(Int64.self)
      episodes[index].expected = try reader.getDouble()
      episodes[index].variance = try reader.getDouble()
    }
    series = try IncidentSeries(from: &reader, policy: policy)
    shares = IncidentShares(policy: policy)
    try shares.read(&reader)
  }

  /// Whether bytes are so many encoded values.
  private static func isPrefix(_ bytes: UnsafeRawBufferPointer, of count: Int) -> Bool {
    var offset = 0
    for _ in 0..<count {
      guard offset + 2 <= bytes.count else { return false }
      offset += 2 + (Int(bytes[offset]) | Int(bytes[offset + 1]) << 8)
    }
    return offset == bytes.count
  }
}
