public import Analyses
public import Events
import Statistics

/// What people of each device, browser and country do on sites, campaigns and contents, lately and usually: where an
/// incident comes from, beyond what tuples tell.
///
///     bins of five minutes, the last 48 ── older ──▶ sums that are forgotten over a day
///
/// A sum over the set of events: what comes late is added where it belongs. Of large frames the country of every eighth person is
/// looked for, and counts eight times. Where there are many contents those with the fewest events give up their places once an hour.
/// Cost: a look-up an event, and what it takes to look for a country; 3 KB for each value of a site, campaign or content that
/// something happens to in every bin. Fails where very many small values deviate together: then no one of them contributes more
/// than its share.
public struct AudienceTable: Sendable {
  public static let bin: Int64 = 300_000_000
  /// That are kept one by one, as those of an incident's series are.
  static let binCount: Int64 = 48
  /// Sites and campaigns.
  static let keysMax = 500
  static let contentsMax = 1_000
  /// Of one dimension of one site or campaign; the rest is one together.
  static let valuesMax = 40
  /// The same of a content.
  static let contentValuesMax = 8
  /// Values that there was no room for, together.
  fileprivate static let other = "(other)"
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

  private struct Key: Hashable, Comparable {
    let site: String
    /// Empty for the whole site.
    let campaign: String
    /// Empty for the whole campaign.
    var content = ""

    static func < (a: Self, b: Self) -> Bool {
      (a.site, a.campaign, a.content) < (b.site, b.campaign, b.content)
    }
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
    /// Of one dimension.
    let valuesMax: Int
    var cells: [Value: Cell] = [:]
    var counts = [Int](repeating: 0, count: dimensions.count)
    /// The newest bin.
    var newest = Int64.min
    /// The bin that slow sums are of.
    var slowAt: Int64 = 0
  }

  fileprivate static let dimensions = ["device", "browser", "country"]

  /// Places in ``groups``.
  private var numbers: [Key: Int] = [:]
  private var groups: [Group] = []
  private var contentCount = 0
  private var facts = EventFacts()
  /// Sites, campaigns and contents of frames that there was no room for.
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
      guard let place = place(frame.tuple(index), of: frame, &sums) else { continue }
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
      let device = Value(dimension: 0, text: agent?.device.rawValue ?? "")
      let browser = Value(dimension: 1, text: agent?.browser ?? "")
      for group in sums.places[part.place] {
        groups[group].add(counts, device, part.bin)
        groups[group].add(counts, browser, part.bin)
      }
    }
    for (part, counts) in sums.ofCountries {
      let country = Value(dimension: 2, text: part.country)
      for group in sums.places[part.place] { groups[group].add(counts, country, part.bin) }
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

    var known: [Key: Int] = [:]
    /// By tuple: not looked at, of bots, or the place.
    var ofTuples: [Int??]
    /// Numbers of the site, its campaign and its content.
    var places: [[Int]] = []
    var ofAgents: [Part: SIMD3<Double>] = [:]
    var ofCountries: [CountryPart: SIMD3<Double>] = [:]

    init(_ frame: FrameView) { ofTuples = Array(repeating: nil, count: frame.tupleCount) }
  }

  /// - Returns: nil for bots.
  private mutating func place(_ tuple: Int, of frame: FrameView, _ sums: inout FrameSums) -> Int? {
    if let known = sums.ofTuples[tuple] { return known }
    var place: Int?
    if let values = DimensionTuple(encoded: frame.tupleBytes(tuple)), values.traffic.isEmpty {
      let key = Key(site: values.site, campaign: values.campaign, content: values.content)
      place = sums.known[key]
      if place == nil {
        place = sums.places.count
        sums.known[key] = place
        sums.places.append(numbers(of: key))
      }
    }
    sums.ofTuples[tuple] = .some(place)
    return place
  }

  /// Of a site, and the campaign and content, where there is one.
  private mutating func numbers(of key: Key) -> [Int] {
    var keys = [Key(site: key.site, campaign: "")]
    if !key.campaign.isEmpty { keys.append(Key(site: key.site, campaign: key.campaign)) }
    if !key.content.isEmpty { keys.append(key) }
    return keys.compactMap { key in
      if let number = numbers[key] { return number }
      let isContent = !key.content.isEmpty
      let hasRoom =
        isContent
        ? contentCount < Self.contentsMax : numbers.count - contentCount < Self.keysMax
      guard hasRoom else {
        turnedAway += 1
        return nil
      }
      numbers[key] = groups.count
      groups.append(Group(valuesMax: isContent ? Self.contentValuesMax : Self.valuesMax))
      if isContent { contentCount += 1 }
      return groups.count - 1
    }
  }

  private static func floor(_ time: Int64) -> Int64 {
    time >= 0 ? time / bin : (time - bin + 1) / bin
  }

  /// Forgets, once in a while, what nothing has happened to for a week, and the contents with the fewest events where there is
  /// little room for others.
  public mutating func advance(to now: Int64) {
    let oldest = Self.floor(now) - 7 * 288
    var kept = numbers.filter { groups[$0.value].newest >= oldest }
    let contents = kept.filter { !$0.key.content.isEmpty }
    if contents.count > Self.contentsMax * 3 / 4 {
      let ordered = contents.map { ($0.key, groups[$0.value].weight) }.sorted { a, b in
        a.1 != b.1 ? a.1 < b.1 : a.0 < b.0
      }
      for (key, _) in ordered.prefix(contents.count - Self.contentsMax / 2) { kept[key] = nil }
    }
    guard kept.count < numbers.count else { return }
    let old = groups
    groups = []
    numbers = [:]
    for (key, number) in kept {
      numbers[key] = groups.count
      groups.append(old[number])
    }
    contentCount = numbers.keys.count { !$0.content.isEmpty }
  }

  // MARK: Answers

  /// The value of each dimension that has the largest share of a deviation, where that is clearly more than its usual one.
  ///
  /// - Parameters:
  ///   - campaign: empty for the whole site.
  ///   - content: empty for the whole campaign.
  ///   - from: of the deviation, microseconds since the epoch.
  ///   - until: exclusive.
  ///   - expected: of the quantity within that time, if all were as usual.
  public func contributions(
    site: String, campaign: String, content: String = "", _ quantity: Quantity, from: Int64,
    until: Int64, expected: Double
  ) -> [Contribution] {
    let key = Key(site: site, campaign: campaign, content: content)
    guard let group = numbers[key].map({ groups[$0] }) else { return [] }
    let bins = Self.floor(from)..<max(Self.floor(from) + 1, Self.floor(until - 1) + 1)
    return Self.dimensions.indices.compactMap { dimension in
      group.contribution(
        dimension, quantity, bins, expected: expected, name: Self.dimensions[dimension])
    }
  }
}

extension AudienceTable.Group {
  /// Events of late, each by its device.
  fileprivate var weight: Double {
    cells.reduce(0) { sum, entry in
      guard entry.key.dimension == 0 else { return sum }
      return sum + entry.value.slow.sum() + entry.value.sum(Int64.min..<Int64.max).sum()
    }
  }

  fileprivate mutating func add(
    _ counts: SIMD3<Double>, _ value: AudienceTable.Value, _ bin: Int64
  ) {
    var value = value
    if cells[value] == nil {
      if self.counts[value.dimension] < valuesMax {
        self.counts[value.dimension] += 1
      } else {
        value = AudienceTable.Value(dimension: value.dimension, text: AudienceTable.other)
      }
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
      $0.value != AudienceTable.other && $0.share >= AudienceTable.shareMin
        && $0.share >= $0.usual + AudienceTable.excessMin
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
