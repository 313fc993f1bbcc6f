import Events
import Statistics
import Views

/// The persons of one experiment, as an ``ExposureBook`` knows them.
struct FollowedExperiment: Sendable {
  /// Persons who were first shown something at one place in one window.
  private struct Arrival: Hashable {
    let window: Int64
    let place: Int32
  }

  static let placesMax = 100_000
  /// Of arrivals, as of the shortest cohorts; microseconds.
  static let window: Int64 = 10_000_000

  var question: ExposureQuestion
  /// What encoded tuples of its site and campaign begin with.
  let prefix: [UInt8]
  let goals: [[UInt8]]
  /// The log's time from which on it was followed; nil: since the book's beginning.
  let followedSince: Int64?

  private(set) var persons: [Key128: ExposedPerson] = [:]
  private var places: [ExposurePlace] = []
  private var placeNumbers: [ExposurePlace: Int32] = [:]
  private var variants: [String: Int32] = [:]
  private var currencies: [String] = []
  private var arrivals: [Arrival: Int] = [:]

  init(_ question: ExposureQuestion, followedSince: Int64?) {
    self.question = question
    self.followedSince = followedSince
    var prefix: [UInt8] = []
    DimensionTuple.append(question.site, to: &prefix)
    DimensionTuple.append(question.campaign, to: &prefix)
    self.prefix = prefix
    goals = question.goals.map { Array($0.utf8) }
  }

  // MARK: Touches

  /// The number of a variant; nil where there are too many.
  mutating func variant(_ name: String) -> Int32? {
    if let number = variants[name] { return number }
    guard variants.count < Self.placesMax else { return nil }
    variants[name] = Int32(variants.count)
    return Int32(variants.count - 1)
  }

  mutating func currency(_ name: String) -> Int32 {
    if let number = currencies.firstIndex(of: name) { return Int32(number) }
    currencies.append(name)
    return Int32(currencies.count - 1)
  }

  /// The number of a place; nil where there are too many.
  mutating func place(_ place: ExposurePlace) -> Int32? {
    if let number = placeNumbers[place] { return number }
    guard places.count < Self.placesMax else { return nil }
    let number = Int32(places.count)
    places.append(place)
    placeNumbers[place] = number
    return number
  }

  /// Changes what is known of a person, and who came when with it.
  ///
  /// - Returns: whether the person is new.
  mutating func change(_ id: Key128, _ body: (inout ExposedPerson) -> Void) -> Bool {
    let known = persons.removeValue(forKey: id)
    var person = known ?? ExposedPerson()
    let before = person.first
    body(&person)
    let after = person.first
    if before != after {
      if let before { count(before, -1) }
      if let after { count(after, 1) }
    }
    persons[id] = person
    return known == nil
  }

  /// - Returns: what was known of the person.
  mutating func remove(_ id: Key128) -> ExposedPerson? {
    guard let person = persons.removeValue(forKey: id) else { return nil }
    if let first = person.first { count(first, -1) }
    return person
  }

  private mutating func count(_ shown: ExposedPerson.Shown, _ sign: Int) {
    let arrival = Arrival(window: Self.window(of: shown.time), place: shown.place)
    let count = (arrivals[arrival] ?? 0) + sign
    arrivals[arrival] = count == 0 ? nil : count
  }

  private static func window(of time: Int64) -> Int64 {
    time >= 0 ? time / window : (time - window + 1) / window
  }

  // MARK: Forgetting

  /// Forgets persons who did nothing since.
  ///
  /// - Returns: how many.
  mutating func forget(before oldest: Int64) -> Int {
    let old = persons.filter { _, person in
      (person.first?.time ?? .min) < oldest && person.outcomes.allSatisfy { $0.time < oldest }
    }
    for id in old.keys { _ = remove(id) }
    if places.count > Self.placesMax / 2 { compact() }
    return old.count
  }

  /// Lets go of places at which nobody was who is still remembered.
  private mutating func compact() {
    let used = Set(persons.values.flatMap { $0.shown.map(\.place) }).sorted()
    let moved = Dictionary(
      uniqueKeysWithValues: used.enumerated().map { ($0.element, Int32($0.offset)) })
    places = used.map { places[Int($0)] }
    placeNumbers = Dictionary(
      uniqueKeysWithValues: places.enumerated().map { ($0.element, Int32($0.offset)) })
    for id in Array(persons.keys) { persons[id]?.move(places: moved) }
    arrivals = [:]
    for person in persons.values { if let first = person.first { count(first, 1) } }
  }

  // MARK: Answers

  /// Who came, in order of time and place: for each window of ten seconds, and each of what is known of persons.
  ///
  /// - Parameter times: of the exposures; only whole windows within count.
  func arrivals(within times: Range<Int64>) -> [SampleRatioStep] {
    struct Group: Hashable, Comparable {
      let window: Int64
      let place: ExposurePlace

      static func < (a: Self, b: Self) -> Bool {
        a.window != b.window ? a.window < b.window : a.place < b.place
      }
    }
    let variants = question.variants
    var groups: [Group: [Int]] = [:]
    for (arrival, count) in arrivals {
      guard arrival.window * Self.window >= times.lowerBound,
        (arrival.window + 1) * Self.window <= times.upperBound
      else { continue }
      var place = places[Int(arrival.place)]
      guard let variant = variants.firstIndex(of: place.variant) else { continue }
      // Visitors of all arms stand in one step.
      place.variant = ""
      place.content = ""
      groups[
        Group(window: arrival.window, place: place),
        default: [Int](repeating: 0, count: variants.count)][variant] += count
    }
    return groups.sorted { $0.key < $1.key }.map { group, visitors in
      SampleRatioStep(
        start: group.window * Self.window, values: group.place.values, visitors: visitors,
        probabilities: group.place.chances.map { Double($0) / LoggedAllocation.one })
    }
  }

  /// Persons by the window of their first exposure, with what they did within the outcome window, in order.
  ///
  /// Cost: one pass over all persons with their touches.
  ///
  /// - Parameter dwellTenthsMax: more of one person counts as that much.
  func cohorts(
    level: WindowLevel, outcomeWindow: Int64, by facets: Set<ExposureFacet>, dwellTenthsMax: Int64
  ) -> [ExposureCohort] {
    var cohorts: [ExposureCohort.Place: ExposureCohort] = [:]
    func add(
      _ place: ExposureCohort.Place, _ body: (inout ExposureCohort) -> Void
    ) {
      body(
        &cohorts[
          place,
          default: ExposureCohort(
            place: place, goals: [Int64](repeating: 0, count: goals.count))])
    }
    for person in persons.values {
      guard let (first, sums) = person.sums(within: outcomeWindow) else { continue }
      var place = ExposureCohort.Place(
        start: level.start(of: first.time), places[Int(first.place)], by: facets)
      add(place) { $0.add(sums, dwellTenthsMax: dwellTenthsMax) }
      for (currency, micros) in sums.revenue {
        place.currency = currencies[Int(currency)]
        let cents = Exposures.cents(micros)
        add(place) {
          $0.exposures += Exposures(revenueCentsSquared: cents * cents, revenueMicros: micros)
        }
      }
    }
    return cohorts.values.sorted { $0.place < $1.place }
  }
}
