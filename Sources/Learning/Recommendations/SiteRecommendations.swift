import Events
import Statistics

/// What one site's contents and persons have come to.
///
///     impression ─▶ shown: frequency caps, how well known a content is
///     view, engagement, click, conversion ─▶ a visit, tested before it is learned
///     custom event with a content ─▶ the content is there, with its title, topics and format
struct SiteRecommendations {
  struct Person {
    var memory = ContentRecommender.Memory()
    /// Contents that were shown, with times, the latest last.
    var shown: [ContentRecommender.Visit] = []
    /// Where its latest visits are in the log.
    var latest = Sightings()
    /// Under whom the rest of an anonymous person is kept, once it is known who that is.
    var user: Key128?

    mutating func show(_ number: Int, at time: Double) {
      shown.append(.init(content: Int32(number), time: time))
      if shown.count > SiteRecommendations.shownMax { shown.removeFirst() }
    }

    /// When it was seen last, microseconds since the epoch; who has only been shown something earlier.
    var lastSeen: Int64 {
      let looked = memory.lastTime
      let was = max(looked, (shown.last?.time ?? -.infinity) - SiteRecommendations.shownOnly)
      return was > -1e12 ? Int64(min(was, 1e12) * 1e6) : .min
    }
  }

  static let personsMax = 100_000
  /// Who has only been shown something goes so much earlier than who has looked at something, seconds: until then it counts how
  /// often.
  private static let shownOnly = 86_400.0
  static let shownMax = 128
  /// Visits that are tested, one in so many: more rarely where a list takes longer, since it is made of all contents.
  private static let testEvery = 16
  private static let testedContents = 100
  /// The blend learns from each of so many first visits, and then from one in four.
  private static let taughtByAll = 20_000

  var recommender = ContentRecommender()
  var shelf: ContentShelf
  private(set) var persons: [Key128: Person] = [:]
  private var seen = SeenTimes()
  private(set) var figures = RecommendationFigures()
  private var context = RankingContext()

  /// - Parameter keepsTexts: see ``ContentShelf/takeTexts()``.
  init(keepsTexts: Bool = false) { shelf = ContentShelf(keepsTexts: keepsTexts) }

  // MARK: Learning

  /// Takes in an event.
  ///
  /// - Parameters:
  ///   - payload: looked through for facts of the content, but not each time.
  ///   - place: of its frame.
  mutating func add(
    _ kind: EventKind, content: String, campaign: String, channel: String, person: Key128,
    user: Key128, key: Key128, at time: Double, payload: UnsafeRawBufferPointer,
    in place: FramePlace
  ) {
    let person = identify(person, as: user)
    guard !content.isEmpty, let weight = Self.weight(of: kind) else { return }
    var gone = Set<Int>()
    let number = shelf.number(of: content, at: time, in: &recommender) { gone = $0 }
    if !gone.isEmpty { forget(gone) }
    shelf.note(number, campaign: campaign, channel: channel)
    let sighting = Sighting(content: Int32(number), time: time, place: place, person: person)
    shelf.noteFirst(sighting)
    shelf.grow()
    if shelf.wantsFacts(number, at: time) {
      shelf.learn(ContentFacts(payload), of: number, from: sighting, in: &recommender)
    }
    if time < recommender.contents[number].since {
      recommender.update(number) { $0.since = time }
    }
    switch kind {
    case .impression:
      recommender.shown(number, 1)
      show(number, to: person, at: time)
    case .custom: break
    default:
      visit(number, by: person, weight: weight, key: key, at: time)
      persons[person]?.latest.add(sighting)
      shelf.note(sighting)
    }
  }

  mutating func takeMeanings(from other: Self) {
    shelf.takeMeanings(from: other.shelf, other.recommender.contents, in: &recommender)
  }

  mutating func adopt(_ meaning: [SIMD16<Float>], of text: ContentText) -> Bool {
    shelf.adopt(meaning, of: text.content, text: text.text, in: &recommender)
  }

  /// How much an event says; nil where it is not about somebody and a content.
  private static func weight(of kind: EventKind) -> Double? {
    switch kind {
    case .impression, .custom: 0
    case .view, .engagement: 1
    case .click: 2
    case .conversion: 3
    default: nil
    }
  }

  private mutating func visit(
    _ number: Int, by person: Key128, weight: Double, key: Key128, at time: Double
  ) {
    admit(person)
    cutLearned()
    figures.visits += 1
    let isNew = !(persons[person]?.memory.seen.contains(Int32(number)) ?? false)
    let testEvery = max(Self.testEvery, recommender.contentCount / Self.testedContents)
    if isNew, key.low % UInt64(testEvery) == 0 { test(number, of: person, at: time) }
    if isNew {
      recommender.visit(
        number, by: &persons[person, default: Person()].memory, weight: weight, at: time,
        isTeaching: figures.visits <= Self.taughtByAll || key.high % 4 == 0)
    } else {
      recommender.revisit(
        number, by: &persons[person, default: Person()].memory, weight: weight, at: time)
    }
  }

  /// Before anything is learned of the visit: whether it would have been in the person's list.
  private mutating func test(_ number: Int, of person: Key128, at time: Double) {
    let memory = persons[person]?.memory ?? .init()
    let list = recommender.list(for: memory, count: 10, at: time, using: &context)
    figures.test(
      isHit: list.contains { $0.number == number },
      isPopular: recommender.mostPopular(10, leavingOut: memory.seen).contains(number),
      listed: list.map(\.number), at: time)
  }

  private mutating func show(_ number: Int, to person: Key128, at time: Double) {
    admit(person)
    persons[person]?.show(number, at: time)
  }

  // MARK: Persons

  /// Whom events of a person belong to: the user, as soon as one is known. What was anonymous goes along.
  private mutating func identify(_ person: Key128, as user: Key128) -> Key128 {
    guard user != .zero, user != person else { return person }
    if let anonymous = persons[person], anonymous.user != user {
      if persons.index(forKey: user) == nil {
        admit(user)
        persons[user] = anonymous
        persons[user]?.user = nil
      } else {
        persons[user]?.memory.takeOver(anonymous.memory)
        let shown = (persons[user]?.shown ?? []) + anonymous.shown
        persons[user]?.shown = Array(shown.suffix(Self.shownMax))
        for sighting in anonymous.latest.all {
          persons[user]?.latest.add(sighting)
        }
      }
      // It may have gone for the user.
      admit(person)
      persons[person] = Person()
      persons[person]?.user = user
      persons[person]?.memory.touch(anonymous.memory.lastTime)
    }
    return user
  }

  /// What is known of a person, by anonymous or user id.
  func person(_ key: Key128) -> Person? {
    guard let person = persons[key] else { return nil }
    return person.user.map { persons[$0] } ?? person
  }

  /// A newcomer from now on, and of what its visits have added to the counts of contents nothing is left, but for what
  /// the weights of the blend were taught.
  ///
  /// - Returns: whether there were visits, or may have been: of those for whom there was no room it is not known.
  mutating func forget(_ person: Key128) -> Bool {
    shelf.forget(person)
    guard let known = persons.removeValue(forKey: person) else {
      return figures.forgottenPersons > 0
    }
    figures.visits -= known.memory.learned.count
    recommender.unlearn(known.memory)
    for shown in known.shown where shown.content >= 0 {
      recommender.shown(Int(shown.content), -1)
    }
    return !known.memory.learned.isEmpty
  }

  /// Fewer visits of each can be taken back, where those of all are too many.
  private mutating func cutLearned() {
    guard recommender.halvesLearned() else { return }
    for key in persons.keys {
      guard var person = persons[key] else { continue }
      recommender.cut(&person.memory)
      persons[key] = person
    }
  }

  /// Makes room for who is new: who has been away for longest goes.
  private mutating func admit(_ person: Key128) {
    guard persons.index(forKey: person) == nil else { return }
    if persons.count >= Self.personsMax { removeOldest() }
    persons[person] = Person()
    seen.add(person, at: .min)
  }

  private mutating func removeOldest() {
    var seen = SeenTimes()
    swap(&seen, &self.seen)
    let oldest = seen.removeOldest { persons[$0]?.lastSeen }
    swap(&seen, &self.seen)
    guard let oldest, let gone = persons.removeValue(forKey: oldest) else { return }
    recommender.letGo(gone.memory)
    figures.forgottenPersons += 1
  }

  private mutating func forget(_ gone: Set<Int>) {
    figures.forgottenContents += gone.count
    figures.forget(gone)
    for key in persons.keys {
      persons[key]?.memory.forget(gone)
      persons[key]?.shown.removeAll { gone.contains(Int($0.content)) }
      persons[key]?.latest.remove { gone.contains(Int($0.content)) }
    }
  }
}
