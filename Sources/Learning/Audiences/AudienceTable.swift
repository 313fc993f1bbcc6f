public import Analyses
public import Events
import Statistics

/// What people of each device, browser and country do on sites and campaigns, lately and usually: where an incident comes
/// from, beyond what tuples tell.
///
///     bins of five minutes, the last 48 ── older ──▶ sums that are forgotten over a day
///
/// A sum over the set of events: what comes late is added where it belongs. Of large frames the country of every eighth person is
/// looked for, and counts eight times. Cost: a look-up an event, and what it takes to look for a country; 3 KB for each value of a site or campaign. Fails where very
/// many small values deviate together: then no one of them contributes more than its share.
public struct AudienceTable: Sendable {
  public static let bin: Int64 = 300_000_000
  /// That are kept one by one, as those of an incident's series are.
  static let binCount: Int64 = 48
  static let keysMax = 500
  /// Of one dimension of one site or campaign; the rest is not told apart.
  static let valuesMax = 40
  private static let largeFrame = 64
  private static let sampling: UInt64 = 8
  fileprivate static let halfLife = 86_400_000_000 / Double(bin)
  /// A value that has no more than this share of a deviation beyond its usual one does not explain it.
  fileprivate static let excessMin = 0.15
  fileprivate static let shareMin = 0.3

  /// What is counted; the raw value is its place in sums.
  public enum Quantity: Int, Sendable {
    case impressions, clicks, conversions
  }

  /// A value with its part in a deviation.
  public struct Contribution: Sendable, Equatable {
    public var dimension: String
    public var value: String
    /// Of the deviation, 0 to 1.
    public var share: Double
    /// Of the quantity, otherwise.
    public var usual: Double
  }

  private struct Key: Hashable {
    let site: String
    /// Empty for the whole site.
    let campaign: String
  }

  fileprivate struct Value: Hashable {
    /// A place in ``dimensions``.
    let dimension: Int
    let text: String
  }

  fileprivate struct Cell {
    var recent: [Int64: SIMD3<Double>] = [:]
    /// Of what is older, as much of it as is left at ``slowAt``.
    var slow = SIMD3<Double>.zero

    func sum(_ bins: Range<Int64>) -> SIMD3<Double> {
      recent.reduce(.zero) { bins.contains($1.key) ? $0 + $1.value : $0 }
    }
  }

  fileprivate struct Group {
    var cells: [Value: Cell] = [:]
    var counts = [Int](repeating: 0, count: dimensions.count)
    /// The newest bin.
    var newest = Int64.min
    /// The bin that slow sums are of.
    var slowAt: Int64 = 0
  }

  fileprivate static let dimensions = ["device", "browser", "country"]

  private var groups: [Key: Group] = [:]
  private var facts = EventFacts()
  /// Events of sites and campaigns that there was no room for.
  public private(set) var turnedAway: UInt64 = 0

  public init() {}

  // MARK: Events

  public mutating func add(_ frame: FrameView, _ counted: borrowing CountedEvents) {
    var sums = FrameSums(frame)
    let isLarge = counted.count > Self.largeFrame
    for number in 0..<counted.count {
      let index = counted.index(number)
      var counts = SIMD3<Double>.zero
      switch EventKind(rawValue: frame.kind(index)) {
      case .impression: counts.x = 1
      case .click: counts.y = 1
      case .conversion: counts.z = 1
      default: continue
      }
      guard let place = sums.place(frame.tuple(index)) else { continue }
      let bin = Self.floor(counted.time(number))
      let part = FrameSums.Part(place: place, label: frame.agentLabel(index), bin: bin)
      sums.ofAgents[part, default: .zero] += counts
      guard !isLarge || frame.person(index).low % Self.sampling == 0 else { continue }
      let country = facts.read(frame.payload(index)).country
      let group = FrameSums.CountryPart(place: place, country: country, bin: bin)
      sums.ofCountries[group, default: .zero] += counts * (isLarge ? Double(Self.sampling) : 1)
    }
    for (part, counts) in sums.ofAgents {
      let agent =
        part.label < 0
        ? nil : Agent(label: String(decoding: frame.label(part.label), as: UTF8.self))
      add(
        counts, Value(dimension: 0, text: agent?.device.rawValue ?? ""), sums.places[part.place],
        part.bin)
      add(
        counts, Value(dimension: 1, text: agent?.browser ?? ""), sums.places[part.place], part.bin)
    }
    for (part, counts) in sums.ofCountries {
      add(counts, Value(dimension: 2, text: part.country), sums.places[part.place], part.bin)
    }
  }

  /// What a frame has, before it is added where it belongs: a look-up by numbers an event.
  private struct FrameSums {
    struct Part: Hashable {
      let place: Int
      let label: Int
      let bin: Int64
    }

    struct CountryPart: Hashable {
      let place: Int
      let country: String
      let bin: Int64
    }

    private let frame: FrameView
    private var numbers: [Key: Int] = [:]
    /// By tuple: not looked at, of bots, or the place.
    private var ofTuples: [Int??]
    /// Sites with their campaigns.
    private(set) var places: [Key] = []
    var ofAgents: [Part: SIMD3<Double>] = [:]
    var ofCountries: [CountryPart: SIMD3<Double>] = [:]

    init(_ frame: FrameView) {
      self.frame = frame
      ofTuples = Array(repeating: nil, count: frame.tupleCount)
    }

    /// - Returns: nil for bots.
    mutating func place(_ tuple: Int) -> Int? {
      if let known = ofTuples[tuple] { return known }
      let found = DimensionTuple(encoded: frame.tupleBytes(tuple)).flatMap { values -> Int? in
        guard values.traffic.isEmpty else { return nil }
        let key = Key(site: values.site, campaign: values.campaign)
        if let number = numbers[key] { return number }
        numbers[key] = places.count
        places.append(key)
        return places.count - 1
      }
      ofTuples[tuple] = .some(found)
      return found
    }
  }

  private static func floor(_ time: Int64) -> Int64 {
    time >= 0 ? time / bin : (time - bin + 1) / bin
  }

  /// To the campaign and to all of the site.
  private mutating func add(
    _ counts: SIMD3<Double>, _ value: Value, _ key: Key, _ bin: Int64
  ) {
    let keys = key.campaign.isEmpty ? [key] : [key, Key(site: key.site, campaign: "")]
    for key in keys {
      guard groups[key] != nil || groups.count < Self.keysMax else {
        turnedAway += 1
        continue
      }
      groups[key, default: Group()].add(counts, value, bin)
    }
  }

  /// Forgets sites and campaigns to which nothing has happened for a week, once in a while.
  public mutating func advance(to now: Int64) {
    let oldest = Self.floor(now) - 7 * 288
    groups = groups.filter { $0.value.newest >= oldest }
  }

  // MARK: Answers

  /// The value of each dimension that has the largest share of a deviation, where that is clearly more than its usual one.
  ///
  /// - Parameters:
  ///   - campaign: empty for the whole site.
  ///   - from: of the deviation, microseconds since the epoch.
  ///   - until: exclusive.
  ///   - expected: of the quantity within that time, if all were as usual.
  public func contributions(
    site: String, campaign: String, _ quantity: Quantity, from: Int64, until: Int64,
    expected: Double
  ) -> [Contribution] {
    guard let group = groups[Key(site: site, campaign: campaign)] else { return [] }
    let bins = Self.floor(from)..<max(Self.floor(from) + 1, Self.floor(until - 1) + 1)
    return Self.dimensions.indices.compactMap { dimension in
      group.contribution(
        dimension, quantity, bins, expected: expected, name: Self.dimensions[dimension])
    }
  }
}

extension AudienceTable.Group {
  fileprivate mutating func add(
    _ counts: SIMD3<Double>, _ value: AudienceTable.Value, _ bin: Int64
  ) {
    if cells[value] == nil {
      guard self.counts[value.dimension] < AudienceTable.valuesMax else { return }
      self.counts[value.dimension] += 1
    }
    if bin > newest { move(to: bin) }
    if bin > newest - AudienceTable.binCount {
      cells[value, default: AudienceTable.Cell()].recent[bin, default: .zero] += counts
    } else {
      cells[value, default: AudienceTable.Cell()].slow += counts * AudienceTable.left(slowAt - bin)
    }
  }

  /// Bins that are not recent any more go into slow sums.
  private mutating func move(to bin: Int64) {
    let fade = newest == .min ? 1 : AudienceTable.left(bin - slowAt)
    for value in cells.keys {
      guard var cell = cells[value] else { continue }
      cell.slow *= fade
      for (old, counts) in cell.recent where old <= bin - AudienceTable.binCount {
        cell.slow += counts * AudienceTable.left(bin - old)
        cell.recent[old] = nil
      }
      cells[value] = cell
    }
    (newest, slowAt) = (bin, bin)
  }

  fileprivate func contribution(
    _ dimension: Int, _ quantity: AudienceTable.Quantity, _ bins: Range<Int64>, expected: Double,
    name: String
  ) -> AudienceTable.Contribution? {
    let place = quantity.rawValue
    let before = Int64.min..<bins.lowerBound
    var lately: [(text: String, now: Double, usual: Double)] = []
    var (now, usual) = (0.0, 0.0)
    for (value, cell) in cells where value.dimension == dimension {
      let own = (cell.sum(bins)[place], (cell.slow + cell.sum(before))[place])
      lately.append((value.text, own.0, own.1))
      now += own.0
      usual += own.1
    }
    let deviation = now - expected
    guard usual > 0, deviation != 0 else { return nil }
    let found = lately.map { value in
      AudienceTable.Contribution(
        dimension: name, value: value.text,
        share: (value.now - value.usual / usual * expected) / deviation,
        usual: value.usual / usual)
    }.filter {
      $0.share >= AudienceTable.shareMin && $0.share >= $0.usual + AudienceTable.excessMin
    }
    return found.min { a, b in a.share != b.share ? a.share > b.share : a.value < b.value }
      .map { contribution in
        var bounded = contribution
        bounded.share = min(1, bounded.share)
        return bounded
      }
  }
}

extension AudienceTable {
  /// What is left of a sum after so many bins.
  fileprivate static func left(_ bins: Int64) -> Double {
    Elementary.exp(-Elementary.ln2 * Double(max(0, bins)) / halfLife)
  }
}
