public import Analyses
public import Events
public import Statistics

/// How many persons came to each variant of a campaign by which logged chances: what the sample ratio is checked by where
/// something other than declared weights assigns them, such as a bandit.
///
/// A person counts by its first touch that shows a variant, and only where that one says the chances: by `allocation`
/// (``LoggedAllocation``), or by the token of a decision that it echoes. A function of the set of events, as long as tables
/// have room; who is turned away is counted. Campaigns of which no event says chances cost nothing.
public struct AllocationBook: Sendable {
  /// How far back it looks, microseconds.
  public static let memory: Int64 = 30 * 86_400_000_000
  static let personsMax = 1_000_000
  static let vectorsMax = 100_000
  /// Microseconds; of experiments' shortest cohorts.
  private static let window: Int64 = 10_000_000

  private struct Campaign: Hashable {
    let site: String
    let name: String
  }

  private struct Row: Hashable {
    let window: Int64
    let channel: String
    /// The number of the chances; −1 for none.
    let vector: Int32
    let variant: String
  }

  private struct Seen {
    let time: Int64
    let key: Key128
    let row: Row
  }

  private struct Counts {
    var persons: [Key128: Seen] = [:]
    var rows: [Row: Int] = [:]
    var vectors: [[String: UInt32]] = []
    var numbers: [[String: UInt32]: Int32] = [:]
  }

  private var campaigns: [Campaign: Counts] = [:]
  private var personCount = 0
  private var decisions: TokenChances
  private var nextSweep = Int64.min
  public private(set) var turnedAway: UInt64 = 0

  /// - Parameters:
  ///   - plans: whose tokens are known.
  ///   - isAuthentic: see ``DecisionToken/init(text:isAuthentic:)``.
  public init(
    _ plans: [DecisionPlan],
    isAuthentic: @escaping @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool
  ) {
    decisions = TokenChances(plans, isAuthentic: isAuthentic)
  }

  // MARK: Events

  public mutating func add(_ frame: FrameView, _ counted: borrowing CountedEvents) {
    var tuples = [DimensionTuple??](repeating: nil, count: frame.tupleCount)
    for number in 0..<counted.count {
      let index = counted.index(number)
      let kind = frame.kind(index)
      // As experiments count exposures.
      guard kind <= EventKind.view.rawValue || kind == EventKind.exposure.rawValue else { continue }
      let place = frame.tuple(index)
      let tuple = tuples[place] ?? DimensionTuple(encoded: frame.tupleBytes(place))
      tuples[place] = .some(tuple)
      guard let tuple, !tuple.campaign.isEmpty, !tuple.variant.isEmpty, tuple.traffic.isEmpty else {
        continue
      }
      take(frame, index, tuple, at: counted.time(number))
    }
  }

  private mutating func take(
    _ frame: FrameView, _ index: Int, _ tuple: DimensionTuple, at time: Int64
  ) {
    let campaign = Campaign(site: tuple.site, name: tuple.campaign)
    let payload = frame.payload(index)
    let chances = LoggedAllocation(payload: payload) ?? decisions.chances(tuple, payload)
    guard chances != nil || campaigns[campaign] != nil else { return }
    let user = frame.user(index)
    let person = user == .zero ? frame.person(index) : user
    var counts = campaigns.removeValue(forKey: campaign) ?? Counts()
    defer { campaigns[campaign] = counts }
    let known = counts.persons[person]
    if let known, (known.time, known.key) <= (time, frame.key(index)) { return }
    guard known != nil || personCount < Self.personsMax,
      let vector = Self.number(of: chances, &counts)
    else {
      turnedAway += 1
      return
    }
    if let known { Self.count(known.row, -1, &counts) } else { personCount += 1 }
    let row = Row(
      window: time / Self.window, channel: tuple.channel, vector: vector, variant: tuple.variant)
    counts.persons[person] = Seen(time: time, key: frame.key(index), row: row)
    Self.count(row, 1, &counts)
  }

  private static func number(of chances: LoggedAllocation?, _ counts: inout Counts) -> Int32? {
    guard let chances else { return -1 }
    let vector = Dictionary(
      chances.chances.map { ($0.variant, $0.part) }, uniquingKeysWith: { first, _ in first })
    if let number = counts.numbers[vector] { return number }
    guard counts.vectors.count < vectorsMax else { return nil }
    let number = Int32(counts.vectors.count)
    counts.vectors.append(vector)
    counts.numbers[vector] = number
    return number
  }

  private static func count(_ row: Row, _ sign: Int, _ counts: inout Counts) {
    guard row.vector >= 0 else { return }
    let count = (counts.rows[row] ?? 0) + sign
    counts.rows[row] = count == 0 ? nil : count
  }

  // MARK: Forgetting

  public mutating func forget(_ person: Key128) {
    for campaign in Array(campaigns.keys) { forget(person, campaign) }
  }

  private mutating func forget(_ person: Key128, _ campaign: Campaign) {
    guard let seen = campaigns[campaign]?.persons.removeValue(forKey: person) else { return }
    personCount -= 1
    Self.count(seen.row, -1, &campaigns[campaign, default: Counts()])
  }

  /// Once an hour of the log's time.
  public mutating func advance(to now: Int64) {
    guard now >= nextSweep else { return }
    nextSweep = now + 360 * Self.window
    for (campaign, counts) in campaigns {
      for (person, seen) in counts.persons where seen.time < now - Self.memory {
        forget(person, campaign)
      }
      if campaigns[campaign]?.persons.isEmpty ?? false { campaigns[campaign] = nil }
      Self.compact(&campaigns[campaign])
    }
  }

  /// Lets go of chances by which nobody came who is still remembered; once there are many.
  private static func compact(_ counts: inout Counts?) {
    guard var kept = counts, kept.vectors.count > vectorsMax / 2 else { return }
    let used = Set(kept.persons.values.map(\.row.vector)).filter { $0 >= 0 }.sorted()
    let places = Dictionary(
      uniqueKeysWithValues: used.enumerated().map { ($0.element, Int32($0.offset)) })
    func moved(_ row: Row) -> Row {
      Row(
        window: row.window, channel: row.channel, vector: places[row.vector] ?? -1,
        variant: row.variant)
    }
    kept.vectors = used.map { kept.vectors[Int($0)] }
    kept.numbers = Dictionary(
      uniqueKeysWithValues: kept.vectors.enumerated().map { ($0.element, Int32($0.offset)) })
    kept.persons = kept.persons.mapValues {
      Seen(time: $0.time, key: $0.key, row: moved($0.row))
    }
    kept.rows = Dictionary(uniqueKeysWithValues: kept.rows.map { (moved($0.key), $0.value) })
    counts = kept
  }

  // MARK: Answers

  /// In order of time: what each window of 10 s and channel brought by each of the chances, as chances among these variants.
  ///
  /// - Parameter times: of the exposures; only whole windows within count.
  public func steps(
    site: String, campaign: String, variants: [String], times: Range<Int64>
  ) -> [SampleRatioStep] {
    guard let counts = campaigns[Campaign(site: site, name: campaign)] else { return [] }
    struct Place: Hashable, Comparable {
      let window: Int64
      let channel: String
      let chances: [UInt32]

      static func < (a: Self, b: Self) -> Bool {
        if a.window != b.window { return a.window < b.window }
        if a.channel != b.channel { return a.channel < b.channel }
        return a.chances.lexicographicallyPrecedes(b.chances)
      }
    }
    var steps: [Place: [Int]] = [:]
    for (row, count) in counts.rows {
      guard row.window * Self.window >= times.lowerBound,
        (row.window + 1) * Self.window <= times.upperBound,
        let variant = variants.firstIndex(of: row.variant)
      else { continue }
      let vector = counts.vectors[Int(row.vector)]
      let chances = variants.map { vector[$0] ?? 0 }
      guard chances.contains(where: { $0 > 0 }) else { continue }
      let place = Place(window: row.window, channel: row.channel, chances: chances)
      steps[place, default: [Int](repeating: 0, count: variants.count)][variant] += count
    }
    return steps.sorted { $0.key < $1.key }.map { place, visitors in
      SampleRatioStep(
        start: place.window * Self.window, channel: place.channel, visitors: visitors,
        probabilities: place.chances.map { Double($0) / LoggedAllocation.one })
    }
  }
}
