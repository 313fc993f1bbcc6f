public import Analyses
public import Events
public import Operators
import Statistics

/// Learns who persons are from what they do: profiles with decay, rule segments, clusters.
///
///     events ─▶ Profile (sums) ─▶ touched ──┐
///     log time ─▶ DueTimes ─────────────────┴▶ rules ─▶ SegmentChange
///     every so often: sample of profiles ─▶ StableClusters
///     SegmentChange ─▶ SegmentLedger ─▶ events of the log
///
/// An event with a user id counts for the user, another one for its anonymous id. A profile is a function of its
/// events, whatever their order; segments are a function of profile and time, looked at again when a person did
/// something and at the time when a condition on it comes to change by itself. Clusters are as of the last refresh.
///
/// Cost: some 0.5 µs an event, up to 2 kB a person. Where there are too many persons, those whose last event is
/// longest ago go.
public final class ProfileLearner: Learner {
  public let policy: ProfilePolicy
  private let hand: (ProfileUpdate) -> Void
  private var places: [Key128: Int] = [:]
  private var profiles: [Profile] = []
  private var names: ProfileNames
  private var handedNames = 0
  private var touched: Set<Key128> = []
  private var removed: [Key128] = []
  private var due = DueTimes()
  private var seen = SeenTimes()
  private var counts: [Int]
  private var turnedAway: UInt64 = 0
  private var clusters: StableClusters
  private var features = ProfileFeatures()
  private var nextClusters = Int64.min
  private var ledger: SegmentLedger
  private let announces: Bool
  private var hasCaughtUp = false
  /// What the tuples and agents of the current frame say, by their numbers in it.
  private var tuples: [TupleTraits?] = []
  private var devices: [UInt32?] = []
  /// Of each name, the places of what is counted by it.
  private var named: [[Int]?] = []
  private var facts = EventFacts()
  private let inputs: SegmentInputs
  private let countsNames: Bool

  private static let namesMax = 65_536
  private static let sampleMax = 4_096

  private struct TupleTraits {
    var preferences: [PreferenceKey] = []
    var site = ""
    var isCounted = true
    var hasCurrency = false
  }

  /// - Parameters:
  ///   - announces: whether updates say what the log is to get.
  ///   - hand: takes what changed; called by ``publish(_:)``.
  public init(
    _ policy: ProfilePolicy, announces: Bool = false, hand: @escaping (ProfileUpdate) -> Void
  ) {
    precondition(policy.segments.count <= SegmentRule.countMax, "a segment has a bit")
    self.policy = policy
    self.hand = hand
    ledger = SegmentLedger(policy)
    self.announces = announces && !ledger.isEmpty
    inputs = policy.inputs
    countsNames = inputs.acts.contains { if case .named = $0.act { true } else { false } }
    names = ProfileNames(countMax: Self.namesMax)
    counts = [Int](repeating: 0, count: policy.segments.count)
    clusters = StableClusters(clusterCount: max(1, policy.clusterCount))
  }

  public var memory: Int64 { policy.memory }

  // MARK: Events

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    tuples = [TupleTraits?](repeating: nil, count: frame.tupleCount)
    devices = [UInt32?](repeating: nil, count: frame.labelCount)
    if countsNames { named = [[Int]?](repeating: nil, count: frame.labelCount) }
    let framePlace = FramePlace(stream, sequence: moment.sequence)
    for number in 0..<counted.count {
      let index = counted.index(number)
      guard let kind = EventKind(rawValue: frame.kind(index)) else { continue }
      if kind == .segment { hear(frame, index, at: counted.time(number)) }
      let isIdentified = kind == .identify && !inputs.properties.isEmpty
      guard Self.isOfPerson(kind) || isIdentified else { continue }
      let tuple = traits(of: frame.tuple(index), frame)
      guard tuple.isCounted else { continue }
      let time = counted.time(number)
      let payload = ProfilePayload(frame.payload(index), inputs, at: time)
      if isIdentified {
        note(payload, frame, index, tuple, at: time)
      } else {
        take(frame, index, kind, tuple, payload, at: time, in: framePlace)
      }
    }
  }

  /// What only says who somebody is, or is no act of a person, is no part of a profile.
  private static func isOfPerson(_ kind: EventKind) -> Bool {
    switch kind {
    case .impression, .view, .click, .engagement, .conversion, .custom: true
    default: false
    }
  }

  private func hear(_ frame: FrameView, _ index: Int, at time: Int64) {
    guard announces else { return }
    let site = traits(of: frame.tuple(index), frame).site
    do throws(JSONError) {
      ledger.hear(
        try SegmentEvent(
          payload: frame.payload(index), person: frame.person(index), site: site, at: time))
    } catch {
      turnedAway += 1
    }
  }

  /// Of what only says who somebody is, what rules ask for is taken: then the person was seen.
  private func note(
    _ payload: ProfilePayload, _ frame: FrameView, _ index: Int, _ tuple: TupleTraits,
    at time: Int64
  ) {
    guard !payload.notes.isEmpty else { return }
    let place = place(of: frame, index, tuple)
    _ = profiles[place].begin(at: time, policy.decay)
    for (property, note) in payload.notes { profiles[place].note(note, of: property, inputs) }
  }

  private func place(of frame: FrameView, _ index: Int, _ tuple: TupleTraits) -> Int {
    let user = frame.user(index)
    let person = user == .zero ? frame.person(index) : user
    touched.insert(person)
    return place(of: person, tuple.site)
  }

  private func take(
    _ frame: FrameView, _ index: Int, _ kind: EventKind, _ tuple: TupleTraits,
    _ payload: ProfilePayload, at time: Int64, in framePlace: FramePlace
  ) {
    let place = place(of: frame, index, tuple)
    for (property, note) in payload.notes { profiles[place].note(note, of: property, inputs) }
    let revenue = tuple.hasCurrency ? frame.revenueMicros(index) / 1_000 : 0
    count(frame, index, kind, revenue, of: place, at: time)
    profiles[place].point(to: ProfileEvidence(at: time, kind: kind, place: framePlace))
    guard let (weight, epoch) = profiles[place].begin(at: time, policy.decay) else { return }
    if revenue != 0 { profiles[place].add(revenue, to: .value, weight, epoch) }
    if kind == .impression {
      profiles[place].add(1, to: .impressions, weight, epoch)
      return
    }
    profiles[place].add(1, to: .activity, weight, epoch)
    if kind == .click { profiles[place].add(1, to: .clicks, weight, epoch) }
    if kind == .conversion { profiles[place].add(1, to: .conversions, weight, epoch) }
    let decay = policy.decay
    func prefer(_ key: PreferenceKey) {
      if !profiles[place].prefer(key, weight, epoch, decay) { turnedAway += 1 }
    }
    for key in tuple.preferences { prefer(key) }
    prefer(PreferenceKey(.hour, UInt32(Self.hour(time))))
    if let device = device(frame, index) { prefer(PreferenceKey(.device, device)) }
    let country = facts.read(frame.payload(index)).country
    if !country.isEmpty, let number = names.intern(country) {
      prefer(PreferenceKey(.country, number))
    }
    for topic in payload.topics {
      if let number = names.intern(topic) { prefer(PreferenceKey(.topic, number)) }
    }
  }

  /// - Parameter revenue: thousandths of the currency that counts.
  private func count(
    _ frame: FrameView, _ index: Int, _ kind: EventKind, _ revenue: Int64, of place: Int,
    at time: Int64
  ) {
    func count(_ number: Int, _ amount: Int64 = 1) {
      profiles[place].count(number, TimedAmount(time: time, amount: amount), inputs)
    }
    for (number, act) in inputs.acts.enumerated() {
      switch act.act {
      case .kind(let counted) where counted == kind: count(number)
      case .any where kind != .impression: count(number)
      case .value where revenue != 0: count(number, revenue)
      default: break
      }
    }
    guard countsNames else { return }
    for number in places(ofName: frame.nameLabel(index), frame) { count(number) }
  }

  private func places(ofName label: Int, _ frame: FrameView) -> [Int] {
    if let known = named[label] { return known }
    let name = String(decoding: frame.label(label), as: UTF8.self)
    let places = inputs.acts.indices.filter { inputs.acts[$0].act == .named(name) }
    named[label] = places
    return places
  }

  private static func hour(_ time: Int64) -> Int64 {
    let rest = time % 86_400_000_000
    return (rest < 0 ? rest + 86_400_000_000 : rest) / 3_600_000_000
  }

  private func place(of person: Key128, _ site: String) -> Int {
    if let place = places[person] { return place }
    if profiles.count >= policy.personsMax { makeRoom() }
    places[person] = profiles.count
    profiles.append(Profile(person, of: site))
    seen.add(person, at: .min)
    return profiles.count - 1
  }

  /// The person whose last event is longest ago goes.
  private func makeRoom() {
    let oldest = seen.removeOldest { person in places[person].map { profiles[$0].last } }
    guard let oldest, remove(oldest) else { return }
    turnedAway += 1
  }

  /// - Returns: false where there is no such person.
  private func remove(_ person: Key128) -> Bool {
    guard let place = places.removeValue(forKey: person) else { return false }
    leave(profiles[place])
    profiles.swapAt(place, profiles.count - 1)
    profiles.removeLast()
    if place < profiles.count { places[profiles[place].person] = place }
    touched.remove(person)
    removed.append(person)
    return true
  }

  private func leave(_ profile: Profile) {
    for segment in counts.indices where profile.isIn(segment) {
      counts[segment] -= 1
      if announces, hasCaughtUp { ledger.want(profile.person, of: profile.site, segment) }
    }
  }

  public func forget(_ person: Key128, erasedAt: Int64) {
    _ = remove(person)
    ledger.forget(person, erasedAt: erasedAt)
  }

  private func traits(of tuple: Int, _ frame: FrameView) -> TupleTraits {
    if let known = tuples[tuple] { return known }
    var traits = TupleTraits()
    if let dimensions = DimensionTuple(encoded: frame.tupleBytes(tuple)) {
      traits.site = dimensions.site
      traits.isCounted = dimensions.traffic.isEmpty
      traits.hasCurrency = dimensions.currency == policy.currency
      let preferences: [(PreferenceKind, String)] = [
        (.campaign, dimensions.campaign), (.content, dimensions.content),
        (.channel, dimensions.channel),
      ]
      for (kind, text) in preferences where !text.isEmpty {
        guard let number = names.intern(text) else { continue }
        traits.preferences.append(PreferenceKey(kind, number))
      }
    }
    tuples[tuple] = traits
    return traits
  }

  private func device(_ frame: FrameView, _ index: Int) -> UInt32? {
    let label = frame.agentLabel(index)
    guard label >= 0 else { return nil }
    if let known = devices[label] { return known }
    let text = String(decoding: frame.label(label), as: UTF8.self)
    guard let agent = Agent(label: text) else { return nil }
    devices[label] = names.intern(agent.device.rawValue)
    return devices[label]
  }

  // MARK: Publishing

  public func publish(_ progress: LearningProgress) {
    let now = progress.logTime
    guard now > .min else {
      return hand(ProfileUpdate(progress: progress, counts: counts, turnedAway: turnedAway))
    }
    var changes: [SegmentChange] = []
    var changed = touched
    for person in touched { judge(person, at: now, &changes) }
    while let next = due.next(until: now) {
      guard let place = places[next.person], profiles[place].due == next.time else { continue }
      let before = changes.count
      judge(next.person, at: now, &changes)
      if changes.count > before { changed.insert(next.person) }
    }
    var update = ProfileUpdate(
      progress: progress, counts: counts,
      turnedAway: turnedAway + names.turnedAway + ledger.turnedAway)
    // While the past is read, persons only come to where they are.
    update.changes =
      progress.isCaughtUp
      ? changes.sorted { a, b in
        a.person != b.person ? a.person < b.person : a.segment < b.segment
      } : []
    update.changed = changed.compactMap { places[$0].map { profiles[$0] } }
    update.removed = removed
    update.newNames = Array(names.texts[handedNames...])
    if announces, progress.isCaughtUp { update.announcements = announcements(changes, at: now) }
    update.clusters = progress.isCaughtUp ? refreshClusters(at: now) : nil
    handedNames = names.texts.count
    touched.removeAll(keepingCapacity: true)
    removed.removeAll()
    hand(update)
  }

  private func announcements(_ changes: [SegmentChange], at now: Int64) -> [SegmentEvent] {
    func isIn(_ person: Key128, _ segment: Int) -> Bool {
      places[person].map { profiles[$0].isIn(segment) } ?? false
    }
    if hasCaughtUp {
      for change in changes {
        guard let place = places[change.person] else { continue }
        ledger.want(change.person, of: profiles[place].site, change.segment)
      }
    } else {
      hasCaughtUp = true
      ledger.compare(isIn)
      for profile in profiles where profile.segments != 0 {
        for segment in policy.segments.indices where profile.isIn(segment) {
          ledger.want(profile.person, of: profile.site, segment)
        }
      }
    }
    return ledger.events(at: now, isIn)
  }

  private func judge(_ person: Key128, at now: Int64, _ changes: inout [SegmentChange]) {
    guard let place = places[person] else { return }
    let view = profiles[place].view(at: now, policy)
    var next = Int64.max
    for (segment, rule) in policy.segments.enumerated() {
      func number(_ name: String) -> Int? { names.number(of: name).map { Int($0) } }
      let isIn = rule.condition.holds(for: view, number)
      next = min(next, rule.condition.nextChange(of: view, policy.decay, number))
      guard isIn != profiles[place].isIn(segment) else { continue }
      profiles[place].segments ^= 1 << UInt64(segment)
      counts[segment] += isIn ? 1 : -1
      changes.append(SegmentChange(person: person, segment: segment, entered: isIn, at: now))
    }
    guard next != profiles[place].due else { return }
    profiles[place].due = next
    guard next < .max else { return }
    due.add(person, at: next)
    if due.count > 4 * profiles.count + 1_024 { renewDueTimes() }
  }

  private func renewDueTimes() {
    due.removeAll()
    for profile in profiles where profile.due < .max { due.add(profile.person, at: profile.due) }
  }

  private func refreshClusters(at now: Int64) -> ProfileClusters? {
    guard policy.clusterCount > 0, now >= nextClusters else { return nil }
    nextClusters = now - now % policy.clustersEvery + policy.clustersEvery
    var sample = HashSample(countMax: Self.sampleMax)
    for (index, profile) in profiles.enumerated() {
      sample.offer(hash: profile.person.low, place: index)
    }
    let views = sample.members.map { profiles[$0.place].view(at: now, policy) }
    var means: [PreferenceKey: Double] = [:]
    for view in views {
      for kind in [PreferenceKind.topic, .channel] {
        for (number, share) in view.shares(kind) {
          means[PreferenceKey(kind, UInt32(number)), default: 0] += share / Double(views.count)
        }
      }
    }
    features.add(commonest: means, names.texts)
    var points = PointTable(width: features.names.count)
    for view in views { points.append(features.point(view)) }
    let before = clusters
    clusters.refresh(points, of: profiles.count)
    guard clusters != before else { return nil }
    return ProfileClusters(
      clusters: clusters, features: features, at: now, sampled: views.count,
      persons: profiles.count)
  }
}
