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
  /// Each of ``SegmentInputs/acts`` as it was done last, so often as has to be known, the latest last.
  private var acts: [[TimedAmount]] = []
  /// By ``SegmentInputs/properties``.
  private var notes: [PropertyNote] = []
  /// Where its latest events are in the log, the latest last.
  public private(set) var latest: [ProfileEvidence] = []
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
  static let latestMax = 5

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

  /// Notes one of ``SegmentInputs/acts``, in any order of times.
  mutating func count(_ place: Int, _ done: TimedAmount, _ inputs: SegmentInputs) {
    if acts.isEmpty { acts = [[TimedAmount]](repeating: [], count: inputs.acts.count) }
    if acts[place].count == inputs.acts[place].countMax {
      guard let oldest = acts[place].first, done > oldest else { return }
      acts[place].removeFirst()
    }
    var index = acts[place].count
    while index > 0, acts[place][index - 1] > done { index -= 1 }
    acts[place].insert(done, at: index)
  }

  mutating func note(_ note: PropertyNote, of place: Int, _ inputs: SegmentInputs) {
    if notes.isEmpty {
      notes = [PropertyNote](repeating: PropertyNote(), count: inputs.properties.count)
    }
    notes[place].take(note)
  }

  mutating func point(to evidence: ProfileEvidence) {
    var index = latest.count
    while index > 0, latest[index - 1] > evidence { index -= 1 }
    guard index > 0 || latest.count < Self.latestMax else { return }
    latest.insert(evidence, at: index)
    if latest.count > Self.latestMax { latest.removeFirst() }
  }

  // MARK: Asking

  /// What the profile is at a time.
  public func view(at now: Int64, _ policy: ProfilePolicy) -> ProfileView {
    let factors = policy.decay.factors(epoch, at: now)
    var values: [Double] = []
    for index in 0..<5 { values.append(totals[index].value(factors)) }
    return ProfileView(
      person: person, now: now, first: first, last: last, totals: values,
      preferences: preferences.map { ($0.key, $0.sum.value(factors)) },
      counted: ProfileView.Counted(inputs: policy.inputs, acts: acts, notes: notes))
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
  private let counted: Counted

  /// What rules want to know beside.
  struct Counted: Sendable {
    let inputs: SegmentInputs
    let acts: [[TimedAmount]]
    let notes: [PropertyNote]
  }

  init(
    person: Key128, now: Int64, first: Int64, last: Int64, totals: [Double],
    preferences: [(key: PreferenceKey, weight: Double)], counted: Counted
  ) {
    self.person = person
    self.now = now
    self.first = first
    self.last = last
    self.totals = totals
    self.preferences = preferences
    self.counted = counted
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

  private func done(_ act: ProfileAct) -> [TimedAmount] {
    guard let place = counted.inputs.acts.firstIndex(where: { $0.act == act }),
      place < counted.acts.count
    else { return [] }
    return counted.acts[place]
  }

  /// How often something was done in the time before now, no more than rules tell apart; or the money of the latest payments.
  func sum(of act: ProfileAct, within window: Int64) -> Double {
    var sum: Int64 = 0
    for done in done(act).reversed() {
      guard now - done.time < window else { break }
      sum = sum.addingReportingOverflow(done.amount).partialValue
    }
    return act == .value ? Double(sum) / 1_000 : Double(sum)
  }

  /// When the next of them leaves the time before now; `.max` where none does.
  func nextLeaving(of act: ProfileAct, within window: Int64) -> Int64 {
    done(act).first { now - $0.time < window }.map { $0.time + window } ?? .max
  }

  /// What was said of a property last; nil where nothing was.
  func note(of property: String) -> PropertyNote? {
    guard let place = counted.inputs.properties.firstIndex(where: { $0.name == property }),
      place < counted.notes.count, counted.notes[place].time > .min
    else { return nil }
    return counted.notes[place]
  }

  /// One of the values that rules ask for; nil where the property has another one, or none.
  func value(of property: String) -> String? {
    guard let note = note(of: property), note.value >= 0 else { return nil }
    return counted.inputs.properties.first { $0.name == property }?.values[Int(note.value)]
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

/// An event of a person, and where in the log it is.
public struct ProfileEvidence: Hashable, Comparable, Sendable {
  /// Microseconds since the epoch.
  public var at: Int64
  public var kind: EventKind
  public var place: FramePlace

  public static func < (a: Self, b: Self) -> Bool {
    let order = { (evidence: Self) in
      (
        evidence.at, evidence.place.generation, evidence.place.partition, evidence.place.sequence,
        evidence.kind.rawValue
      )
    }
    return order(a) < order(b)
  }
}
