public import Analyses
public import Events
public import Statistics
public import Views

/// The persons of experiments, one by one: by which chances they came to their variants, with what device, browser and
/// country, and what they did after. What windows' rows, which are sums over tuples, have no place for.
///
/// A person counts by its first touch in the experiment's time that shows a variant. Chances are those that this one says, by
/// `allocation` (``LoggedAllocation``) or by the token of a decision that it echoes. An id is that of the user where the
/// event names one or its device is known to be a user's, else that of the device; what a device did before it became a user's
/// is the user's, however long ago (the pipeline's rows leave the user what is older than its sessions). A function
/// of the set of events, as long as tables have room; who is turned away is counted.
///
/// Cost: a hash of each tuple of a frame and a look at each event's persons; two look-ups and, where it is a first touch, a look
/// through the payload for one of a followed campaign. Nothing where nothing is followed.
public struct ExposureBook: Sendable {
  /// How far back it looks, microseconds.
  public static let memory: Int64 = 30 * 86_400_000_000
  static let personsMax = 1_000_000
  static let linksMax = 1_000_000
  private static let sweepInterval: Int64 = 3_600_000_000
  private static let chainMax = 8

  private var experiments: [FollowedExperiment] = []
  /// Places in ``experiments`` by what tuples of their site and campaign begin with.
  private var ofCampaigns: [UInt64: [Int]] = [:]
  /// Who a device belongs to, or an earlier user.
  private var links: [Key128: Key128] = [:]
  private var personCount = 0
  private var decisions: TokenChances
  private var facts = EventFacts()
  private var nextSweep = Int64.min
  /// Persons and ids that there was no room for, and outcomes of persons with too many of them.
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

  /// Follows these experiments from now on, and no others. One of which more has changed than its end begins anew.
  ///
  /// - Parameter now: the log's time; nil at the beginning.
  public mutating func follow(_ questions: [ExposureQuestion], since now: Int64?) {
    guard questions != experiments.map(\.question) else { return }
    let known = Dictionary(
      experiments.map { ($0.question.endless, $0) }, uniquingKeysWith: { first, _ in first })
    experiments = questions.map { question in
      guard var followed = known[question.endless] else {
        return FollowedExperiment(question, followedSince: now)
      }
      followed.question.times = question.times
      return followed
    }
    ofCampaigns = [:]
    for (index, experiment) in experiments.enumerated() {
      let hash = experiment.prefix.withUnsafeBytes { SipHash128.hash($0).low }
      ofCampaigns[hash, default: []].append(index)
    }
    personCount = experiments.reduce(0) { $0 + $1.persons.count }
    if experiments.isEmpty { links = [:] }
  }

  // MARK: Events

  public mutating func add(_ frame: FrameView, _ counted: borrowing CountedEvents) {
    if experiments.isEmpty { return }
    var matches: [[Int]] = []
    for index in 0..<frame.tupleCount {
      matches.append(ofCampaigns[Self.campaign(of: frame.tupleBytes(index))] ?? [])
    }
    var tuples = [DimensionTuple??](repeating: nil, count: frame.tupleCount)
    for number in 0..<counted.count {
      let index = counted.index(number)
      let kind = frame.kind(index)
      let (device, user) = (frame.person(index), frame.user(index))
      if kind == EventKind.unlink.rawValue {
        if user == .zero || links[device] == user { links[device] = nil }
        continue
      }
      if user != .zero, user != device { link(device, to: user) }
      let place = frame.tuple(index)
      guard !matches[place].isEmpty else { continue }
      let tuple = tuples[place] ?? DimensionTuple(encoded: frame.tupleBytes(place))
      tuples[place] = .some(tuple)
      guard let tuple, tuple.traffic.isEmpty else { continue }
      let person = root(user == .zero ? device : user)
      let isShown = kind <= EventKind.view.rawValue || kind == EventKind.exposure.rawValue
      for experiment in matches[place] {
        if isShown, !tuple.variant.isEmpty {
          show(frame, index, tuple, at: counted.time(number), person, experiment)
        }
        if experiments[experiment].question.wantsOutcomes {
          take(frame, index, tuple, at: counted.time(number), person, experiment)
        }
      }
    }
  }

  /// Of the values of site and campaign with their lengths.
  private static func campaign(of tuple: UnsafeRawBufferPointer) -> UInt64 {
    var end = 0
    for _ in 0..<2 {
      guard end + 2 <= tuple.count else { return 0 }
      end += 2 + Int(tuple[end]) + Int(tuple[end + 1]) << 8
    }
    guard end <= tuple.count else { return 0 }
    return SipHash128.hash(UnsafeRawBufferPointer(rebasing: tuple[..<end])).low
  }

  private mutating func show(
    _ frame: FrameView, _ index: Int, _ tuple: DimensionTuple, at time: Int64, _ person: Key128,
    _ experiment: Int
  ) {
    let question = experiments[experiment].question
    guard question.times.contains(time) else { return }
    let key = frame.key(index)
    let known = experiments[experiment].persons[person]
    guard let variant = experiments[experiment].variant(tuple.variant) else {
      turnedAway += 1
      return
    }
    if let known, !known.isNews(variant, at: time, key) { return }
    let payload = frame.payload(index)
    let chances = LoggedAllocation(payload: payload) ?? decisions.chances(tuple, payload)
    let agent = Agent(label: frame.agent(index))
    let place = ExposurePlace(
      variant: tuple.variant, channel: tuple.channel, content: tuple.content,
      device: agent?.device.rawValue ?? "", browser: agent?.browser ?? "",
      country: facts.read(payload).country,
      chances: chances.map { Self.parts($0, of: question.variants) } ?? [])
    guard known != nil || personCount < Self.personsMax,
      let number = experiments[experiment].place(place)
    else {
      turnedAway += 1
      return
    }
    let touch = ExposedPerson.Shown(time: time, key: key, variant: variant, place: number)
    if experiments[experiment].change(person, { $0.show(touch) }) { personCount += 1 }
  }

  /// Among these variants; none where the event says nothing of them.
  private static func parts(_ chances: LoggedAllocation, of variants: [String]) -> [UInt32] {
    let parts = variants.map { variant in
      chances.chances.first { $0.variant == variant }?.part ?? 0
    }
    return parts.contains { $0 > 0 } ? parts : []
  }

  private mutating func take(
    _ frame: FrameView, _ index: Int, _ tuple: DimensionTuple, at time: Int64, _ person: Key128,
    _ experiment: Int
  ) {
    guard time >= experiments[experiment].question.times.lowerBound else { return }
    var goals: UInt32 = 0
    if !experiments[experiment].goals.isEmpty {
      let name = frame.label(frame.nameLabel(index))
      for (goal, wanted) in experiments[experiment].goals.enumerated()
      where name.elementsEqual(wanted) {
        goals |= 1 << UInt32(goal)
      }
    }
    let ofEvent = EventKind(rawValue: frame.kind(index))
    // What is only shown tells nothing of time in view.
    if goals == 0, ofEvent == .impression || ofEvent == .exposure { return }
    let kind: ExposedPerson.Outcome.Kind =
      switch ofEvent {
      case .click: .click
      case .engagement: .engagement
      case .conversion: .conversion
      default: .other
      }
    let seconds = facts.read(frame.payload(index)).dwellSeconds ?? 0
    let tenths = Int32(min(seconds * 10, 1e9).rounded())
    guard kind != .other || goals != 0 || tenths > 0 else { return }
    guard experiments[experiment].persons[person] != nil || personCount < Self.personsMax else {
      turnedAway += 1
      return
    }
    let isMoney = kind == .conversion
    let outcome = ExposedPerson.Outcome(
      time: time, key: frame.key(index), kind: kind, goals: goals,
      revenueMicros: isMoney ? frame.revenueMicros(index) : 0,
      currency: isMoney ? experiments[experiment].currency(tuple.currency) : -1,
      dwellTenths: tenths)
    var isTooMany = false
    if experiments[experiment].change(person, { isTooMany = $0.add(outcome) }) { personCount += 1 }
    if isTooMany { turnedAway += 1 }
  }

  // MARK: Who is who

  private func root(_ person: Key128) -> Key128 {
    var person = person
    for _ in 0..<Self.chainMax {
      guard let next = links[person] else { break }
      person = next
    }
    return person
  }

  private mutating func link(_ device: Key128, to user: Key128) {
    guard links[device] != user, root(user) != device else { return }
    guard links[device] != nil || links.count < Self.linksMax else {
      turnedAway += 1
      return
    }
    links[device] = user
    let person = root(user)
    for experiment in experiments.indices {
      guard let own = experiments[experiment].remove(device) else { continue }
      if !experiments[experiment].change(person, { $0.join(own) }) { personCount -= 1 }
    }
  }

  // MARK: Forgetting

  public mutating func forget(_ person: Key128) {
    for experiment in experiments.indices
    where experiments[experiment].remove(person) != nil { personCount -= 1 }
    links[person] = nil
  }

  /// Once an hour of the log's time.
  public mutating func advance(to now: Int64) {
    guard now >= nextSweep else { return }
    nextSweep = now + Self.sweepInterval
    for experiment in experiments.indices {
      personCount -= experiments[experiment].forget(before: now - Self.memory)
    }
  }

  // MARK: Answers

  /// See ``FollowedExperiment/arrivals(within:)``; none where it is not followed.
  public func arrivals(of experiment: String, within times: Range<Int64>) -> [SampleRatioStep] {
    experiments.first { $0.question.id == experiment }?.arrivals(within: times) ?? []
  }

  /// Persons by the window of their first exposure, with what they did within so many microseconds after it.
  ///
  /// - Parameter dwellTenthsMax: more tenths of a second in view of one person count as that many.
  /// - Returns: nil where it is not followed; and since when it is, by the log's time, nil for the beginning.
  public func cohorts(
    of experiment: String, level: WindowLevel, outcomeWindow: Int64, by facets: Set<ExposureFacet>,
    dwellTenthsMax: Int64
  ) -> (cohorts: [ExposureCohort], followedSince: Int64?)? {
    experiments.first { $0.question.id == experiment }.map { followed in
      (
        followed.cohorts(
          level: level, outcomeWindow: outcomeWindow, by: facets, dwellTenthsMax: dwellTenthsMax),
        followed.followedSince
      )
    }
  }
}
