import Events
import Learning
import Statistics

/// Writes lists of recommendations as JSON.
///
///     {"results":[{"content":"soup","title":"Ten soups","topics":["food"],"format":"list","score":-4.1,
///       "explored":false,"reasons":["its topic food is looked at more here than elsewhere"],
///       "contributions":{"topic":0.8,"popular":0.2}}],
///      "meta":{"known":true,"candidates":812,"visits":12345,"position":"…","as_of":"…","complete":true}}
enum RecommendationWriter {
  static func json(
    _ answer: RecommendationAnswer, of question: RecommendationQuestion,
    _ progress: LearningProgress
  ) -> [UInt8] {
    var json = JSONWriter(reserving: 512 * answer.entries.count + 256)
    json.beginObject()
    json.key("results")
    json.beginArray()
    for entry in answer.entries { write(entry, to: &json) }
    json.endArray()
    json.key("meta")
    json.beginObject()
    json.key("site_id")
    json.string(question.site)
    json.key("known")
    json.bool(answer.isKnown)
    json.key("candidates")
    json.integer(answer.candidates)
    json.key("visits")
    json.integer(answer.visits)
    write(progress, to: &json)
    json.endObject()
    json.endObject()
    return json.bytes
  }

  /// What a content is.
  static func write(
    _ content: String, _ title: String, _ topics: [String], _ format: String,
    to json: inout JSONWriter
  ) {
    json.key("content")
    json.string(content)
    json.key("title")
    json.string(title)
    json.key("topics")
    write(topics, to: &json)
    json.key("format")
    json.string(format)
  }

  private static func write(_ entry: RecommendationAnswer.Entry, to json: inout JSONWriter) {
    json.beginObject()
    write(entry.content, entry.title, entry.topics, entry.format, to: &json)
    json.key("score")
    json.double(rounded(entry.score))
    json.key("explored")
    json.bool(entry.isExplored)
    json.key("reasons")
    write(entry.reasons, to: &json)
    json.key("contributions")
    json.beginObject()
    for (feature, value) in entry.contributions {
      json.key(name(feature))
      json.double(rounded(value))
    }
    json.endObject()
    json.endObject()
  }

  /// Contents near a text.
  ///
  ///     {"results":[{"content":"soup","title":"Ten soups","topics":["food"],"format":"list","similarity":0.81}],
  ///      "meta":{"site_id":"default","indexes":["exact","pgvector"],"embedding":"hashed n-grams","meaning":false,
  ///       "stored_to":"…","position":"…","as_of":"…","complete":true}}
  static func json(_ found: SimilarContents.Found, site: String, embedding: String) -> [UInt8] {
    var json = JSONWriter(reserving: 256 * found.entries.count + 256)
    json.beginObject()
    json.key("results")
    json.beginArray()
    for entry in found.entries {
      json.beginObject()
      write(entry.content, entry.title, entry.topics, entry.format, to: &json)
      json.key("similarity")
      json.double(rounded(entry.similarity))
      json.endObject()
    }
    json.endArray()
    json.key("meta")
    json.beginObject()
    json.key("site_id")
    json.string(site)
    json.key("indexes")
    write(found.indexes, to: &json)
    json.key("embedding")
    json.string(embedding)
    json.key("meaning")
    json.bool(found.hasMeaning)
    json.key("stored_to")
    if let storedTo = found.storedTo { json.string(storedTo) } else { json.null() }
    write(found.progress, to: &json)
    json.endObject()
    json.endObject()
    return json.bytes
  }

  /// What each site's lists are made from, and how they do.
  static func json(
    _ summaries: [RecommendationSummary], pendingErasures: Int, _ progress: LearningProgress
  ) -> [UInt8] {
    var json = JSONWriter(reserving: 1_024)
    json.beginObject()
    json.key("sites")
    json.beginArray()
    for summary in summaries {
      let figures = summary.figures
      json.beginObject()
      json.key("site_id")
      json.string(summary.site)
      json.key("contents")
      json.integer(summary.contents)
      json.key("persons")
      json.integer(summary.persons)
      json.key("visits")
      json.integer(figures.visits)
      json.key("tests")
      json.integer(figures.tests)
      json.key("hit_rate")
      write(figures.hitRate, where: figures.tests > 0, to: &json)
      json.key("popular_hit_rate")
      write(figures.popularHitRate, where: figures.tests > 0, to: &json)
      json.key("coverage")
      write(summary.coverage, where: figures.tests > 0, to: &json)
      json.key("forgotten_persons")
      json.integer(figures.forgottenPersons)
      json.key("forgotten_contents")
      json.integer(figures.forgottenContents)
      json.key("weights")
      json.beginObject()
      for (feature, weight) in summary.weights {
        json.key(name(feature))
        json.double(rounded(weight))
      }
      json.endObject()
      json.endObject()
    }
    json.endArray()
    json.key("meta")
    json.beginObject()
    json.key("pending_erasures")
    json.integer(pendingErasures)
    write(progress, to: &json)
    json.endObject()
    json.endObject()
    return json.bytes
  }

  // MARK: Parts

  private static func write(_ progress: LearningProgress, to json: inout JSONWriter) {
    json.key("position")
    json.string(progress.position.description)
    json.key("as_of")
    if progress.logTime == .min {
      json.null()
    } else {
      json.string(Timestamp.format(progress.logTime))
    }
    json.key("complete")
    json.bool(progress.isCaughtUp)
  }

  static func write(_ texts: [String], to json: inout JSONWriter) {
    json.beginArray()
    for text in texts { json.string(text) }
    json.endArray()
  }

  private static func write(_ value: Double, where isThere: Bool, to json: inout JSONWriter) {
    if isThere { json.double(rounded(value)) } else { json.null() }
  }

  private static func rounded(_ value: Double) -> Double { (value * 10_000).rounded() / 10_000 }

  /// Snake case.
  static func name(_ feature: RankingFeature) -> String {
    switch feature {
    case .trending: "trending"
    case .popular: "popular"
    case .new: "new"
    case .age: "age"
    case .topic: "topic"
    case .furtherTopics: "further_topics"
    case .format: "format"
    case .sessionTopic: "session_topic"
    case .nextTopic: "next_topic"
    case .nextFurtherTopics: "next_further_topics"
    case .next: "next"
    case .coVisited: "co_visited"
    case .similar: "similar"
    }
  }
}
