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
  }

  static let personsMax = 100_000
  /// When there are too many, this share of those that were away for longest goes.
  static let personsRemoved = 16
  static let shownMax = 128
  private static let testEvery: UInt64 = 16
  /// The blend learns from each of so many first visits, and then from one in four.
  private static let taughtByAll = 20_000

  var recommender = ContentRecommender()
  var shelf: ContentShelf
  private(set) var persons: [Key128: Person] = [:]
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
      recommender.update(number) { $0.impressions += 1 }
      show(number, to: person, at: time)
    case .custom: break
    default:
      visit(number, by: person, weight: weight, key: key, at: time)
      persons[person]?.latest.add(sighting)
      shelf.note(sighting)
    }
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
    makeRoom(for: person)
    cutLearned()
    figures.visits += 1
    let isNew = !(persons[person]?.memory.seen.contains(Int32(number)) ?? false)
    if isNew, key.low % Self.testEvery == 0 { test(number, of: person, at: time) }
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
    makeRoom(for: person)
    persons[person, default: Person()].shown.append(.init(content: Int32(number), time: time))
    if (persons[person]?.shown.count ?? 0) > Self.shownMax {
      persons[person]?.shown.removeFirst()
    }
  }

  // MARK: Persons

  /// Whom events of a person belong to: the user, as soon as one is known. What was anonymous goes along.
  private mutating func identify(_ person: Key128, as user: Key128) -> Key128 {
    guard user != .zero, user != person else { return person }
    if let anonymous = persons[person], anonymous.user != user {
      if persons[user] == nil {
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
  mutating func forget(_ person: Key128) {
    shelf.forget(person)
    guard let known = persons.removeValue(forKey: person) else { return }
    figures.visits -= known.memory.learned.count
    recommender.unlearn(known.memory)
    for shown in known.shown where shown.content >= 0 {
      recommender.update(Int(shown.content)) { $0.impressions -= 1 }
    }
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

  private mutating func makeRoom(for person: Key128) {
    guard persons.count >= Self.personsMax, persons[person] == nil else { return }
    let times = persons.map { ($0.value.memory.lastTime, $0.key) }.sorted { $0 < $1 }
    for (_, key) in times.prefix(Self.personsMax / Self.personsRemoved) {
      if let gone = persons.removeValue(forKey: key) { recommender.letGo(gone.memory) }
    }
    figures.forgottenPersons += Self.personsMax / Self.personsRemoved
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
