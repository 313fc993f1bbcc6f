public import Events

/// What is known of a person: when it came, how often, what it did and what it prefers, all with decay.
///
/// A function of the set of its events: sums of whole numbers at the events' own times (``Decay``), and the first and
/// last time. Only the preferences are bounded: where there are too many, a new one takes the place of the weakest.
public struct Profile: Sendable {
  /// The key of the user where its events have one, else of the anonymous id.
  public let person: Key128
  public let site: String
  /// Of events, microseconds since the epoch.
  public private(set) var first = Int64.max
  public private(set) var last = Int64.min
  private var epoch = Int32.min
  private var totals = InlineArray<5, DecayedSum>(repeating: DecayedSum())
  private var preferences: [Preference] = []
  /// A bit for each segment that it is in.
  var segments: UInt64 = 0
  /// When its segments change next if nothing comes, as far as that is known; microseconds since the epoch.
  var due = Int64.max

  struct Preference: Sendable {
    let key: PreferenceKey
    var sum: DecayedSum
  }

  /// What is summed up.
  public enum Total: Int, CaseIterable, Sendable {
    /// Of what a person does: views, clicks, engagements, conversions and others of its own.
    case activity = 0
    case impressions, clicks, conversions
    /// Thousandths of the currency that counts.
    case value
  }

  static let preferencesMax = 64

  init(_ person: Key128, of site: String = "") {
    self.person = person
    self.site = site
  }

  // MARK: Taking in

  /// The weight and the place of an event, after the profile has gone on to its epoch; nil where it is too long ago.
  mutating func begin(
    at time: Int64, _ decay: Decay
  ) -> (weight: Int64, place: DecayedSum.Place)? {
    first = min(first, time)
    last = max(last, time)
    let epoch = decay.epoch(time)
    if epoch > self.epoch {
      let steps = self.epoch == .min ? 2 : epoch - self.epoch
      for index in 0..<5 { totals[index].advance(min(steps, 2)) }
      for index in preferences.indices { preferences[index].sum.advance(min(steps, 2)) }
      self.epoch = epoch
    }
    guard epoch >= self.epoch - 1 else { return nil }
    return (decay.weight(time), epoch == self.epoch ? .current : .previous)
  }

  mutating func add(
    _ amount: Int64, to total: Total, _ weight: Int64, _ place: DecayedSum.Place
  ) {
    totals[total.rawValue].add(amount, weight: weight, place)
  }

  /// - Returns: false where another one had to go, or this one.
  mutating func prefer(
    _ key: PreferenceKey, _ weight: Int64, _ place: DecayedSum.Place, _ decay: Decay
  ) -> Bool {
    if let index = preferences.firstIndex(where: { $0.key == key }) {
      preferences[index].sum.add(1, weight: weight, place)
      return true
    }
    var sum = DecayedSum()
    sum.add(1, weight: weight, place)
    guard preferences.count >= Self.preferencesMax else {
      preferences.append(Preference(key: key, sum: sum))
      return true
    }
    let factors = decay.factors(epoch, at: last)
    var weakest = (index: 0, value: Double.infinity)
    for (index, preference) in preferences.enumerated() {
      let value = preference.sum.value(factors)
      if value < weakest.value { weakest = (index, value) }
    }
    if weakest.value <= sum.value(factors) {
      preferences[weakest.index] = Preference(key: key, sum: sum)
    }
    return false
  }

  // MARK: Asking

  /// What the profile is at a time.
  public func view(at now: Int64, _ decay: Decay) -> ProfileView {
    let factors = decay.factors(epoch, at: now)
    var values: [Double] = []
    for index in 0..<5 { values.append(totals[index].value(factors)) }
    return ProfileView(
      person: person, now: now, first: first, last: last, totals: values,
      preferences: preferences.map { ($0.key, $0.sum.value(factors)) })
  }

  public func isIn(_ segment: Int) -> Bool { segments & 1 << UInt64(segment) != 0 }
}

/// A profile at a time, its sums decayed until then.
public struct ProfileView: Sendable {
  public let person: Key128
  public let now: Int64
  public let first: Int64
  public let last: Int64
  private let totals: [Double]
  public let preferences: [(key: PreferenceKey, weight: Double)]

  init(
    person: Key128, now: Int64, first: Int64, last: Int64, totals: [Double],
    preferences: [(key: PreferenceKey, weight: Double)]
  ) {
    self.person = person
    self.now = now
    self.first = first
    self.last = last
    self.totals = totals
    self.preferences = preferences
  }

  public subscript(total: Profile.Total) -> Double {
    let value = totals[total.rawValue]
    return total == .value ? value / 1_000 : value
  }

  /// Since the last event, microseconds.
  public var recency: Int64 { max(0, now - last) }
  public var age: Int64 { max(0, now - first) }

  /// Clicks by impressions, at most 1; 0 without impressions.
  public var clickShare: Double {
    let impressions = self[.impressions]
    return impressions > 0 ? min(1, self[.clicks] / impressions) : 0
  }

  /// The part that some preferences have of all of their kind.
  public func share(_ kind: PreferenceKind, _ isMeant: (Int) -> Bool) -> Double {
    var (all, own) = (0.0, 0.0)
    for (key, weight) in preferences where key.kind == kind {
      all += weight
      if isMeant(key.number) { own += weight }
    }
    return all > 0 ? own / all : 0
  }

  /// The greatest first.
  public func shares(_ kind: PreferenceKind) -> [(number: Int, share: Double)] {
    let own = preferences.filter { $0.key.kind == kind }
    let all = own.reduce(0) { $0 + $1.weight }
    guard all > 0 else { return [] }
    return own.map { ($0.key.number, $0.weight / all) }
      .sorted { a, b in a.1 != b.1 ? a.1 > b.1 : a.0 < b.0 }
  }
}
