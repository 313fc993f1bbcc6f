public import Statistics

/// What is asked of contents by their texts alone: those nearest to a text, or to another content's.
public struct SimilarQuestion: Sendable {
  public enum Subject: Sendable, Equatable {
    case content(String)
    /// - meaning: what a model says of the text, of ``BlendedEmbedding``; empty where none was asked.
    case text(String, meaning: [SIMD16<Float>])
  }

  public var site: String
  public var subject: Subject
  /// How many contents, 1 to ``RecommendationQuestion/countMax``.
  public var count: Int

  public init(site: String, subject: Subject, count: Int) {
    self.site = site
    self.subject = subject
    self.count = count
  }
}

/// The contents nearest to a text, the nearest first.
public struct SimilarAnswer: Sendable {
  public struct Entry: Sendable, Equatable {
    public var content: String
    public var title: String
    public var topics: [String]
    public var format: String
    /// The cosine of both texts' vectors, −1 to 1.
    public var similarity: Double

    public init(
      content: String, title: String = "", topics: [String] = [], format: String = "",
      similarity: Double
    ) {
      self.content = content
      self.title = title
      self.topics = topics
      self.format = format
      self.similarity = similarity
    }
  }

  public var entries: [Entry]
  /// What was looked for; empty where nothing is known of the content's text, or the text has no letter or digit.
  public var vector: [SIMD16<Float>]
  public var way: VectorIndex.Way
}

/// A content's text, and the vector of its words.
public struct ContentText: Sendable, Equatable {
  public var site: String
  public var content: String
  public var text: String
  public var words: [SIMD16<Float>]

  public init(site: String, content: String, text: String, words: [SIMD16<Float>]) {
    self.site = site
    self.content = content
    self.text = text
    self.words = words
  }
}

extension RecommendationBook {
  /// - Returns: nil where nothing is known of the site.
  public func similar(_ question: SimilarQuestion) -> SimilarAnswer? {
    withSite(question.site) { $0.similar(question) }
  }

  /// What is known of contents by name: those that are not known are left out.
  public func entries(
    of contents: [(content: String, similarity: Double)], site: String
  ) -> [SimilarAnswer.Entry] {
    withSite(site) { site in
      contents.compactMap { site.shelf.entry($0.content, similarity: $0.similarity) }
    } ?? []
  }
}

extension SiteRecommendations {
  func similar(_ question: SimilarQuestion) -> SimilarAnswer {
    var (vector, own): ([SIMD16<Float>], Int?) = ([], nil)
    switch question.subject {
    case .content(let name):
      own = shelf.numbers[name]
      vector = own.map { recommender.contents[$0].words } ?? []
    case .text(let text, let meaning):
      vector = BlendedEmbedding.blend(words: shelf.words(text), meaning: meaning)
      if !vector.contains(where: { $0 != .zero }) { vector = [] }
    }
    guard !vector.isEmpty else { return SimilarAnswer(entries: [], vector: [], way: .exact) }
    let (found, way) = shelf.index.nearest(vector, count: question.count) { $0 != own }
    return SimilarAnswer(
      entries: found.map { shelf.entry($0.number, similarity: Double($0.cosine)) },
      vector: vector, way: way)
  }
}

extension ContentShelf {
  func entry(_ number: Int, similarity: Double) -> SimilarAnswer.Entry {
    let entry = entries[number]
    return SimilarAnswer.Entry(
      content: entry.name, title: entry.facts.title, topics: entry.facts.topics,
      format: entry.facts.format, similarity: similarity)
  }

  func entry(_ name: String, similarity: Double) -> SimilarAnswer.Entry? {
    numbers[name].map { entry($0, similarity: similarity) }
  }
}
