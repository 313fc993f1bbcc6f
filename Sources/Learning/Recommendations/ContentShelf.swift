import Events
import Statistics

/// The contents of a site by name, and what is known of each: the numbers that the recommender counts by.
struct ContentShelf {
  struct Entry {
    let name: String
    /// Of the name: the same in every process.
    let hash: UInt64
    var facts = ContentFacts()
    /// When its facts were last looked for, seconds.
    var readAt = -Double.infinity
    var campaigns: [String] = []
    var channels: [String] = []
    /// What its vector was made from; empty where it has no title.
    var text = ""
    /// The event that it appeared with, the one that changed its facts last, and its latest visits.
    var first: Sighting?
    var said: Sighting?
    var latest = Sightings()

    init(name: String) {
      self.name = name
      hash = HashedTextEmbedding.hash(name)
    }
  }

  static let contentsMax = 20_000
  /// When there are too many, so many go at once: the recommender's tables are gone through each time.
  static let removedAtOnce = 1_000
  /// Of a content's campaigns, and of its channels: the latest.
  static let namesMax = 16
  /// Facts are read again after it: payloads are long.
  static let factsPause = 60.0

  private(set) var entries: [Entry] = []
  private(set) var numbers: [String: Int] = [:]
  private var topics: [String: Int32] = [:]
  private(set) var topicNames: [String] = []
  private var formats: [String: Int32] = [:]
  private(set) var formatNames: [String] = []
  private var embedding = HashedTextEmbedding()
  /// Contents by their texts.
  private(set) var index = VectorIndex()
  /// Contents whose texts have changed, for who adds to what is known of them; nil where nobody does.
  private var changed: [Int]?
  /// Vectors that the graph of the index takes in with each event.
  private static let grownAtOnce = 2
  /// Topics and formats beyond what there is room for.
  private(set) var refusedNames = 0

  /// - Parameter keepsTexts: whether somebody calls ``takeTexts()``.
  init(keepsTexts: Bool = false) { changed = keepsTexts ? [] : nil }

  /// The number of a content, which is added where it is new.
  ///
  /// - Parameter removed: told of what had to go for it.
  mutating func number(
    of name: String, at time: Double, in recommender: inout ContentRecommender,
    removed: (Set<Int>) -> Void
  ) -> Int {
    if let known = numbers[name] { return known }
    if recommender.contentCount >= Self.contentsMax {
      let gone = recommender.removeLeast(Self.removedAtOnce)
      for number in gone {
        numbers[entries[number].name] = nil
        index.remove(number)
      }
      removed(Set(gone))
    }
    let number = recommender.add(.init(since: time))
    if number == entries.count {
      entries.append(Entry(name: name))
    } else {
      entries[number] = Entry(name: name)
    }
    numbers[name] = number
    return number
  }

  /// Notes where a content was seen.
  mutating func note(_ number: Int, campaign: String, channel: String) {
    Self.note(campaign, in: &entries[number].campaigns)
    Self.note(channel, in: &entries[number].channels)
  }

  private static func note(_ name: String, in names: inout [String]) {
    guard !name.isEmpty, !names.contains(name) else { return }
    if names.count == namesMax { names.removeFirst() }
    names.append(name)
  }

  /// Notes an event about a content, where none is known that came before.
  mutating func noteFirst(_ sighting: Sighting) {
    let number = Int(sighting.content)
    guard let first = entries[number].first else { return entries[number].first = sighting }
    if sighting.time < first.time { entries[number].first = sighting }
  }

  /// Notes a visit.
  mutating func note(_ visit: Sighting) {
    entries[Int(visit.content)].latest.add(visit)
  }

  /// Points to no event of a person any more.
  mutating func forget(_ person: Key128) {
    for number in entries.indices {
      if entries[number].first?.person == person { entries[number].first = nil }
      if entries[number].said?.person == person { entries[number].said = nil }
      entries[number].latest.remove { $0.person == person }
    }
  }

  /// Whether an event's payload is to be looked through for facts.
  func wantsFacts(_ number: Int, at time: Double) -> Bool {
    (time - entries[number].readAt).magnitude >= Self.factsPause
  }

  mutating func learn(
    _ found: ContentFacts, of number: Int, from event: Sighting,
    in recommender: inout ContentRecommender
  ) {
    entries[number].readAt = event.time
    let old = entries[number].facts
    var facts = old
    if !found.title.isEmpty { facts.title = found.title }
    if !found.topics.isEmpty { facts.topics = found.topics }
    if !found.format.isEmpty { facts.format = found.format }
    guard facts != old else { return }
    entries[number].facts = facts
    entries[number].said = event
    let topicNumbers = facts.topics.compactMap { topic($0) }
    let formatNumber = facts.format.isEmpty ? nil : format(facts.format)
    let text = ([facts.title] + facts.topics).joined(separator: " ")
    if old.isEmpty { embedding.count(text) }
    let words = facts.title.isEmpty ? [] : embedding.vector(text)
    entries[number].text = words.isEmpty ? "" : text
    index.set(number, words, hash: entries[number].hash)
    if !words.isEmpty { changed?.append(number) }
    recommender.update(number) { content in
      content.topics = topicNumbers
      content.format = formatNumber ?? -1
      content.words = words
    }
  }

  // MARK: Vectors

  /// Contents whose texts have changed since the last call, each with its text and the vector of its words.
  mutating func takeTexts() -> [(name: String, text: String, words: [SIMD16<Float>])] {
    guard let numbers = changed, !numbers.isEmpty else { return [] }
    changed = []
    var isTaken = Set<Int>()
    return numbers.compactMap { number in
      let entry = entries[number]
      // What was removed meanwhile has given its number to another, or to none.
      guard !entry.text.isEmpty, self.numbers[entry.name] == number,
        isTaken.insert(number).inserted
      else { return nil }
      return (entry.name, entry.text, embedding.vector(entry.text))
    }
  }

  /// What a model says of a content's text.
  ///
  /// - Returns: false where the content has another text by now, or is gone.
  mutating func adopt(
    _ meaning: [SIMD16<Float>], of name: String, text: String,
    in recommender: inout ContentRecommender
  ) -> Bool {
    guard let number = numbers[name], entries[number].text == text, !text.isEmpty else {
      return false
    }
    let vector = BlendedEmbedding.blend(words: embedding.vector(text), meaning: meaning)
    index.set(number, vector, hash: entries[number].hash)
    recommender.update(number) { $0.words = vector }
    return true
  }

  /// Takes over what a model has said of the texts to another shelf: of those alone that had no such text there, or of which
  /// nobody has been told, ``takeTexts()`` tells again.
  ///
  /// - Parameter contents: the other one's, by its numbers.
  mutating func takeMeanings(
    from other: Self, _ contents: [ContentRecommender.Content],
    in recommender: inout ContentRecommender
  ) {
    let untold = Set(other.changed ?? [])
    var told: [Int] = []
    for number in numbers.values.sorted() where !entries[number].text.isEmpty {
      let entry = entries[number]
      guard let before = other.numbers[entry.name], !untold.contains(before),
        other.entries[before].text == entry.text
      else {
        told.append(number)
        continue
      }
      let meaning = BlendedEmbedding.meaning(
        in: BlendedEmbedding.numbers(contents[before].words))
      guard !meaning.isEmpty else { continue }
      _ = adopt(meaning, of: entry.name, text: entry.text, in: &recommender)
    }
    if changed != nil { changed = told }
  }

  /// Lets the index grow a little.
  mutating func grow() { index.grow(Self.grownAtOnce) }

  /// The vector of any text, by the words of the contents so far.
  func words(_ text: String) -> [SIMD16<Float>] { embedding.vector(text) }

  private mutating func topic(_ name: String) -> Int32? {
    Self.intern(
      name, &topics, &topicNames, &refusedNames, countMax: ContentRecommender.topicsMax)
  }

  private mutating func format(_ name: String) -> Int32? {
    Self.intern(
      name, &formats, &formatNames, &refusedNames, countMax: ContentRecommender.formatsMax)
  }

  private static func intern(
    _ name: String, _ numbers: inout [String: Int32], _ names: inout [String],
    _ refused: inout Int, countMax: Int
  ) -> Int32? {
    if let known = numbers[name] { return known }
    guard names.count < countMax else {
      refused += 1
      return nil
    }
    numbers[name] = Int32(names.count)
    names.append(name)
    return Int32(names.count - 1)
  }
}
