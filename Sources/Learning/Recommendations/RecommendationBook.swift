public import Analyses
public import Events
import Operators
public import Statistics

/// The recommendations of all sites, as a fold over what counts of the log.
///
/// A plain value: who reads it while it grows guards it by a lock, and hands it frames in parts, so that an answer
/// waits for few events. Sums are by event time; the blend's weights, the figures of its tests and what bounded tables let go
/// are those of the order in which visits were read, which is that in which the log stored them.
public struct RecommendationBook: Sendable {
  public static let sitesMax = 64
  /// How far back visits have a say.
  public static let memory: Int64 = 30 * 86_400_000_000

  /// Where a frame's tuple points to.
  private struct Place {
    /// −1: counts for nothing.
    var site = -1
    var campaign = ""
    var content = ""
    var channel = ""
  }

  private var sites: [SiteRecommendations] = []
  private var numbers: [String: Int] = [:]
  /// Events of sites beyond ``sitesMax``.
  public private(set) var refusedEvents = 0
  /// Of the present frame's tuples; nil where it was not looked at yet.
  private var places: [Place?] = []

  private let keepsTexts: Bool

  /// - Parameter keepsTexts: whether somebody calls ``takeTexts()``.
  public init(keepsTexts: Bool = false) { self.keepsTexts = keepsTexts }

  /// Takes in a part of what counts of a frame.
  ///
  /// - Parameters:
  ///   - range: of the counted events' numbers; the first part of a frame begins with 0.
  ///   - framePlace: where the frame is in the log.
  public mutating func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, _ range: Range<Int>,
    at framePlace: FramePlace
  ) {
    if range.lowerBound == 0 {
      places.removeAll(keepingCapacity: true)
      places.append(contentsOf: repeatElement(nil, count: frame.tupleCount))
    }
    for number in range {
      let index = counted.index(number)
      guard let kind = EventKind(rawValue: frame.kind(index)) else { continue }
      let tuple = frame.tuple(index)
      let place = places[tuple] ?? place(of: frame.tupleBytes(tuple))
      places[tuple] = place
      guard place.site >= 0 else { continue }
      sites[place.site].add(
        kind, content: place.content, campaign: place.campaign, channel: place.channel,
        person: frame.person(index), user: frame.user(index), key: frame.key(index),
        at: Double(counted.time(number)) / 1e6, payload: frame.payload(index), in: framePlace)
    }
  }

  private mutating func place(of bytes: UnsafeRawBufferPointer) -> Place {
    guard let tuple = DimensionTuple(encoded: bytes), tuple.traffic.isEmpty else { return Place() }
    guard let site = site(tuple.site) else {
      refusedEvents += 1
      return Place()
    }
    return Place(
      site: site, campaign: tuple.campaign, content: tuple.content, channel: tuple.channel)
  }

  private mutating func site(_ name: String) -> Int? {
    if let known = numbers[name] { return known }
    guard sites.count < Self.sitesMax else { return nil }
    sites.append(SiteRecommendations(keepsTexts: keepsTexts))
    numbers[name] = sites.count - 1
    return sites.count - 1
  }

  /// A person's key is of one site.
  ///
  /// - Returns: whether the weights of a blend may keep what the person's visits taught them.
  @discardableResult
  public mutating func forget(_ person: Key128) -> Bool {
    var hasTaught = false
    for site in sites.indices where sites[site].forget(person) { hasTaught = true }
    return hasTaught
  }

  // MARK: Answers

  /// - Returns: nil where nothing is known of the site.
  public func answer(_ question: RecommendationQuestion) -> RecommendationAnswer? {
    numbers[question.site].map { sites[$0].answer(question) }
  }

  /// Why a content is in a list, or is not.
  ///
  /// - Parameter alternatives: how many of the others are named, 0 or more.
  /// - Returns: nil where the site or the content is not known.
  public func why(
    _ content: String, in question: RecommendationQuestion, alternatives: Int
  ) -> RecommendationReason? {
    numbers[question.site].flatMap {
      sites[$0].why(content, in: question, alternatives: alternatives)
    }
  }

  func withSite<T>(_ name: String, _ body: (SiteRecommendations) -> T) -> T? {
    numbers[name].map { body(sites[$0]) }
  }

  // MARK: Texts

  /// Contents whose texts have changed since the last call.
  public mutating func takeTexts() -> [ContentText] {
    guard keepsTexts else { return [] }
    var texts: [ContentText] = []
    for (name, number) in numbers.sorted(by: { $0.value < $1.value }) {
      texts += sites[number].shelf.takeTexts().map {
        ContentText(site: name, content: $0.name, text: $0.text, words: $0.words)
      }
    }
    return texts
  }

  /// What a model says of a content's text.
  ///
  /// - Returns: false where the content has another text by now, or is not known any more.
  @discardableResult
  public mutating func adopt(_ meaning: [SIMD16<Float>], of text: ContentText) -> Bool {
    guard let number = numbers[text.site] else { return false }
    return sites[number].adopt(meaning, of: text)
  }

  /// Takes the place of another book: what a model has said to that one is not asked for again.
  public mutating func takeMeanings(from other: Self) {
    for (name, number) in numbers {
      guard let before = other.numbers[name] else { continue }
      sites[number].takeMeanings(from: other.sites[before])
    }
  }

  /// What the lists of each site were worth, and what they are made from.
  public func summaries(now: Int64) -> [RecommendationSummary] {
    numbers.sorted { $0.key < $1.key }.map { name, number in
      let site = sites[number]
      return RecommendationSummary(
        site: name, contents: site.recommender.contentCount, persons: site.persons.count,
        listedContents: site.figures.listed(at: Double(now) / 1e6), figures: site.figures,
        weights: RankingFeature.allCases.map {
          ($0, Double(site.recommender.blend.weights[$0.rawValue]))
        })
    }
  }
}

/// What a site's recommendations were learned from, and how they do.
public struct RecommendationSummary: Sendable {
  public let site: String
  public let contents: Int
  public let persons: Int
  /// In lists that were tested within the last day.
  public let listedContents: Int
  public let figures: RecommendationFigures
  /// What each part of a score is multiplied with.
  public let weights: [(feature: RankingFeature, weight: Double)]

  /// The share of the contents that were in lists of the last day.
  public var coverage: Double {
    contents > 0 ? min(1, Double(listedContents) / Double(contents)) : 0
  }
}
