public import Events
public import Views

/// Who was exposed to which campaign's variants and what came of it, by definition: a person's touches are
/// looked at all at once, in order of time and key.
public struct NaiveExposures {
  public typealias Fact = NaiveOutcomes.Fact
  public typealias Place = NaiveOutcomes.Place

  public struct Campaign: Hashable {
    public var site: String
    public var name: String

    public init(_ tuple: DimensionTuple) {
      site = tuple.site
      name = tuple.campaign
    }
  }

  /// An exposure that is counted elsewhere, or whose touches have left state.
  public struct Anchor: Hashable {
    public var person: Int
    public var campaign: Campaign
    public var time: Int64
    /// What the person did before it is not its concern.
    public var from: Int64
    /// As those of a fact.
    public var groups: [Int]

    public init(
      person: Int, campaign: Campaign, time: Int64, from: Int64? = nil, groups: [Int] = []
    ) {
      self.person = person
      self.campaign = campaign
      self.time = time
      self.from = from ?? time
      self.groups = groups
    }
  }

  public struct Sums: Hashable {
    public var exposures = Exposures()
    public var baselines = Baselines()

    public init() {}

    public var isZero: Bool { exposures.isZero && baselines.isZero }
  }

  public private(set) var sums: [Place: Sums] = [:]
  private let policy: ExperimentPolicy

  /// - Parameter successors: the group that a group's touches became part of, where persons became one.
  public init(
    _ facts: [Fact], _ policy: ExperimentPolicy, anchors: [Anchor] = [],
    successors: [Int: Int] = [:]
  ) {
    self.policy = policy
    let anchors = Dictionary(grouping: anchors, by: \.person)
    for (person, unordered) in Dictionary(grouping: facts, by: \.person) {
      let own = Self.ordered(unordered)
      if own.contains(where: { !$0.groups.isEmpty }) {
        count(own, anchors[person] ?? [], successors)
      } else {
        for exposure in Self.exposing(own, policy, anchors: anchors[person] ?? []) {
          add(exposure, among: own)
        }
      }
    }
    sums = sums.filter { !$0.value.isZero }
  }

  public static func ordered(_ facts: [Fact]) -> [Fact] {
    facts.sorted { ($0.time, $0.key) < ($1.time, $1.key) }
  }

  /// The touches that expose, of one person's in order.
  public static func exposing(
    _ own: [Fact], _ policy: ExperimentPolicy, anchors: [Anchor]
  ) -> [Fact] {
    var last: [Campaign: Int64] = [:]
    return own.filter { fact in
      guard [.impression, .view, .exposure].contains(fact.kind), !fact.tuple.campaign.isEmpty,
        !fact.tuple.variant.isEmpty
      else { return false }
      let campaign = Campaign(fact.tuple)
      if let last = last[campaign], fact.time - last <= policy.memory { return false }
      let isAnchored = anchors.contains {
        $0.campaign == campaign && $0.from <= fact.time
          && fact.time - $0.time <= policy.memory
      }
      if isAnchored { return false }
      last[campaign] = fact.time
      return true
    }
  }

  /// Persons who became one: what had left state by then, and what follows from that, stays as it was.
  private mutating func count(_ own: [Fact], _ anchors: [Anchor], _ successors: [Int: Int]) {
    var counted: [(exposure: Fact, members: [Fact])] = []
    _ = Self.exposed(own, policy, anchors: anchors, successors: successors) {
      counted.append(($0, $1))
    }
    for (exposure, members) in counted { add(exposure, among: members) }
  }

  /// Goes through the groups that persons have been, in their order.
  ///
  /// - Parameter body: gets each exposure with the touches of its group.
  /// - Returns: by group that became part of no other, what it has been exposed to.
  static func exposed(
    _ own: [Fact], _ policy: ExperimentPolicy, anchors: [Anchor], successors: [Int: Int],
    _ body: (_ exposure: Fact, _ members: [Fact]) -> Void = { _, _ in }
  ) -> [Int: [Anchor]] {
    var settled: [Int: [Anchor]] = [:]
    var last: [Int: [Anchor]] = [:]
    for group in Set((own.map(\.groups) + anchors.map(\.groups)).joined()).sorted() {
      let members = own.filter { $0.groups.contains(group) }
      let blocking = anchors.filter { $0.groups.contains(group) } + (settled[group] ?? [])
      let next = successors[group]
      let left = members.filter { member in next.map { !member.groups.contains($0) } ?? false }
      let end = left.map(\.time).max().map { $0 + policy.lookBack } ?? .min
      var found = blocking
      for exposure in exposing(members, policy, anchors: blocking) {
        if next != nil, exposure.time > end { continue }
        found.append(
          Anchor(
            person: exposure.person, campaign: Campaign(exposure.tuple), time: exposure.time))
        body(exposure, members)
      }
      if let next { settled[next, default: []] += found } else { last[group] = found }
    }
    return last
  }

  private mutating func add(_ exposure: Fact, among own: [Fact]) {
    for (place, sums) in Self.counted(exposure, among: own, policy) {
      self.sums[place, default: Sums()].exposures += sums.exposures
      self.sums[place, default: Sums()].baselines += sums.baselines
    }
  }

  /// What one exposure counts.
  public static func counted(
    _ exposure: Fact, among own: [Fact], _ policy: ExperimentPolicy
  ) -> [(Place, Sums)] {
    let after = own.filter {
      $0.time >= exposure.time && $0.time <= exposure.time + policy.outcomeWindow
        && Campaign($0.tuple) == Campaign(exposure.tuple)
    }
    let before = own.filter {
      $0.time < exposure.time && $0.time >= exposure.time - policy.lookBack
        && ($0.kind == .click || $0.kind == .conversion)
    }
    let conversions = after.filter { $0.kind == .conversion }
    let clicked: Int64 = after.contains { $0.kind == .click } ? 1 : 0
    let converted: Int64 = conversions.isEmpty ? 0 : 1
    let isMixed = after.contains {
      [.impression, .view, .exposure].contains($0.kind) && !$0.tuple.variant.isEmpty
        && $0.tuple.variant != exposure.tuple.variant
    }
    let prior = min(Int64(before.count), 100)
    let window = NaiveOutcomes.step(exposure.time) * 10_000_000
    var person = Sums()
    person.exposures = Exposures(
      persons: 1, clickers: clicked, converters: converted, mixed: isMixed ? 1 : 0)
    person.baselines = Baselines(
      prior: prior, priorSquared: prior * prior, priorClicked: prior * clicked,
      priorConverted: prior * converted)
    var counted = [(Place(tuple: exposure.tuple, window: window), person)]
    let money = conversions + before.filter { $0.kind == .conversion }
    for currency in Set(money.map(\.tuple.currency)) {
      func total(_ facts: [Fact]) -> Int64 {
        facts.filter { $0.kind == .conversion && $0.tuple.currency == currency }
          .reduce(0) { Counts.sum($0, $1.revenue) }
      }
      let revenue = total(conversions)
      let cents = min(max(revenue / 10_000, -100_000_000), 100_000_000)
      var tuple = exposure.tuple
      tuple.currency = currency
      var sums = Sums()
      sums.exposures = Exposures(revenueCentsSquared: cents * cents, revenueMicros: revenue)
      sums.baselines = Baselines(
        priorRevenueCents: prior * cents, priorRevenueMicros: total(before))
      counted.append((Place(tuple: tuple, window: window), sums))
    }
    return counted
  }
}
