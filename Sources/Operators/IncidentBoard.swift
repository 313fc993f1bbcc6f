import Events
public import Views

/// The watched keys and their incidents: what is made of one bin after the other.
///
/// A bin's sums come by tuple and are rolled up to keys: the site, the campaign, the content, as declared.
/// Every watched key observes the bin, with zeros where nothing happened. Evidence of a kind that reaches the
/// threshold opens an incident, whose begin is the bin in which that evidence arose; it is over when the
/// evidence has gone (``IncidentKey/Episode``):
///
///     evidence   0 ── 1.5 ──────── threshold ────── 12 ─── … ── below 1.5
///                      └ begin      └ the row is written, then with every bin ┘ end
///
/// A key is silent in its first day, which it learns from. What begins within two bins of an incident that goes
/// on, moves the same way and is about the same or about part of it belongs to that one's group; if it is about
/// more, the other one belongs to its group from then on. So the first of a group is about all of it, and it is
/// as grave as any of it and goes on for as long. Where there are too many keys those with the most events stay:
/// a newcomer takes the place of a key that has half as many or fewer. A key without any event for a week
/// is forgotten, with what feedback has made of it.
///
/// A pure function of the bins, whatever order their sums are in. Cost: 13 ms a bin of 2,000 keys and 7,600 tuples.
/// Memory: some 14 kB a key, 3 kB an incident of the last week.
public struct IncidentBoard {
  /// A tuple's sums in a bin.
  public typealias Sum = (tuple: [UInt8], counts: IncidentCounts)

  /// Feedback as it came: its event's site, encoded, decides which incidents it may be about.
  public struct Remark: Hashable, Comparable, Sendable {
    public var feedback: IncidentFeedback
    public var site: [UInt8]

    public init(feedback: IncidentFeedback, site: [UInt8]) {
      self.feedback = feedback
      self.site = site
    }

    public static func < (a: Remark, b: Remark) -> Bool {
      let (x, y) = (a.feedback, b.feedback)
      if x.incident != y.incident { return x.incident < y.incident }
      if x.verdict != y.verdict { return x.verdict.rawValue < y.verdict.rawValue }
      return a.site.lexicographicallyPrecedes(b.site)
    }
  }

  struct Incident {
    var row: IncidentRow
    var level: IncidentLevel

    /// The encoded values of its key.
    var key: [UInt8] {
      var bytes: [UInt8] = []
      for value in [row.site, row.campaign, row.content].prefix(Int(level.rawValue) + 1) {
        DimensionTuple.append(value, to: &bytes)
      }
      return bytes
    }
  }

  static let day: Int64 = 86_400_000_000
  /// How long what nothing happens to is remembered, microseconds of event time.
  static let keep = 7 * day
  /// Closed incidents that are remembered, for feedback and groups.
  static let closedCountMax = 2_000
  /// There is no more evidence than that, nats.
  static let evidenceMax = 12.0
  /// In bins.
  static let groupReach: Int64 = 2
  /// A newcomer has more events than this times those of the key whose place it takes.
  static let displacement = 2.0

  let policy: IncidentPolicy
  var keys: [IncidentKey] = []
  var places: [Key128: Int] = [:]
  var incidents: [Int64: Incident] = [:]
  /// Rows that have changed since they were taken last.
  var changed: [Int64: IncidentRow] = [:]
  /// Keys of bins that were not looked at, because there were too many.
  public internal(set) var unwatched: Int64 = 0
  /// Feedback about incidents that are not known, or no longer.
  public internal(set) var unknownFeedback: Int64 = 0

  public init(policy: IncidentPolicy) { self.policy = policy }

  /// Rows that wait to be taken.
  public var changedCount: Int { changed.count }

  /// The rows that have changed since the last time, in order of their ids.
  public mutating func takeChanged() -> [IncidentRow] {
    defer { changed.removeAll(keepingCapacity: true) }
    return changed.values.sorted { $0.id < $1.id }
  }

  // MARK: A bin

  /// Closes a bin, after all before it.
  ///
  /// - Parameters:
  ///   - start: of the bin, microseconds since the epoch.
  ///   - isWhole: false where collectors were away meanwhile: the bin tells nothing of the keys.
  ///   - remarks: feedback that came within the bin.
  ///   - isSilent: rows of it have been written before.
  public mutating func close(
    _ start: Int64, _ sums: [Sum], isWhole: Bool, remarks: some Collection<Remark>,
    isSilent: Bool = false
  ) {
    if isWhole {
      admit(rollUp(sums, start), start)
      observe(start)
    }
    for remark in remarks.sorted() { take(remark, start) }
    forgetKeys(start)
    settleGroups(start)
    forgetIncidents(start)
    if isSilent { changed.removeAll() }
  }

  /// The key of a level that the last tuple was of: neighbours have it in common, mostly.
  private struct Found {
    var end = -1
    var hash = Key128.zero
    var place: Int?
  }

  private mutating func rollUp(_ sums: [Sum], _ start: Int64) -> [Key128: Newcomer] {
    var newcomers: [Key128: Newcomer] = [:]
    var found = [Found](repeating: Found(), count: IncidentLevel.allCases.count)
    var hashes = [UInt64?](repeating: nil, count: Dimension.allCases.count)
    var before: [UInt8] = []
    for (tuple, counts) in sums {
      let common = Self.common(before, tuple)
      before = tuple
      tuple.withUnsafeBytes { bytes in
        let fields = EncodedTuple.fields(bytes)
        for index in hashes.indices { hashes[index] = nil }
        for level in policy.levels {
          let last = Dimension.site.rawValue + Int(level.rawValue)
          // What has no campaign or content is of none.
          if level > .site && fields[last].isEmpty { continue }
          let end = fields[last].upperBound
          let index = Int(level.rawValue)
          if found[index].end != end || common < end {
            let hash = IncidentKey.hash(level, UnsafeRawBufferPointer(rebasing: bytes[..<end]))
            found[index] = Found(end: end, hash: hash, place: places[hash])
          }
          guard let place = found[index].place else {
            newcomers[
              found[index].hash, default: Newcomer(level: level, bytes: Array(bytes[..<end]))
            ].counts += counts
            continue
          }
          keys[place].pending += counts
          for dimension in IncidentKey.finer(level) where !fields[dimension.rawValue].isEmpty {
            let text = UnsafeRawBufferPointer(rebasing: bytes[fields[dimension.rawValue]])
            let hash = hashes[dimension.rawValue] ?? IncidentShares.hash(dimension, text)
            hashes[dimension.rawValue] = hash
            keys[place].shares.add(counts, dimension: dimension, text: text, hash: hash)
          }
        }
      }
    }
    return newcomers
  }

  /// The number of bytes that two texts begin with alike.
  private static func common(_ a: [UInt8], _ b: [UInt8]) -> Int {
    let count = min(a.count, b.count)
    var index = 0
    while index < count && a[index] == b[index] { index += 1 }
    return index
  }

  // MARK: Keys

  private struct Newcomer {
    var level: IncidentLevel
    var bytes: [UInt8]
    var counts = IncidentCounts()
  }

  private mutating func admit(_ newcomers: [Key128: Newcomer], _ start: Int64) {
    if newcomers.isEmpty { return }
    let ordered = newcomers.values.sorted { a, b in
      let (x, y) = (a.counts.sum, b.counts.sum)
      return x != y
        ? x > y : IncidentKey.precedes((a.level, a.bytes), (b.level, b.bytes))
    }
    var victims: [Int]?
    for newcomer in ordered {
      var key = IncidentKey(
        level: newcomer.level, bytes: newcomer.bytes, policy: policy, seenAt: start)
      key.pending = newcomer.counts
      key.weight = newcomer.counts.sum
      if keys.count < policy.keyCountMax {
        places[key.hash] = keys.count
        keys.append(key)
        continue
      }
      // The smallest last, so that it is taken first.
      var left = victims ?? displaceable()
      if let place = left.last, newcomer.counts.sum > Self.displacement * keys[place].heat {
        left.removeLast()
        places[keys[place].hash] = nil
        places[key.hash] = place
        keys[place] = key
      } else {
        unwatched += 1
      }
      victims = left
    }
  }

  /// Keys that may give up their places, those with the most events first.
  private func displaceable() -> [Int] {
    keys.indices.filter { !keys[$0].hasIncident }.sorted { a, b in
      let (x, y) = (keys[a].heat, keys[b].heat)
      return x != y ? x > y : precedes(b, a)
    }
  }

  /// Wider keys first.
  func precedes(_ a: Int, _ b: Int) -> Bool {
    IncidentKey.precedes((keys[a].level, keys[a].bytes), (keys[b].level, keys[b].bytes))
  }
}
