import Events
import Learning

/// Writes why a content is recommended, as `GET /v1/recommendations/why` says it.
///
///     {"content":"soup","title":"Ten soups","topics":["food"],"format":"list","score":-4.1,"chance":0.08,"rank":2,"candidates":812,
///      "known":true,"seen":false,
///      "contributions":[{"feature":"topic","value":1.2,"mean":0.1,"weight":0.8,"contribution":0.9}],
///      "alternatives":[{"content":"stew","title":"Stews","score":-3.9,"odds":1.22}],
///      "visits":[{"content":"pie","at":"…","position":"1~0.12"}],
///      "contents":[{"content":"soup","visits":40,"impressions":900,"first":{…},"facts":{…},"latest":[{…}]}],
///      "reasons":["its topic food is looked at more here than elsewhere"],"position":"…","as_of":"…","complete":true}
enum RecommendationReasonWriter {
  static func json(_ reason: RecommendationReason, _ progress: LearningProgress) -> [UInt8] {
    var json = JSONWriter(reserving: 4_096)
    json.beginObject()
    let entry = reason.entry
    RecommendationWriter.write(
      entry.content, entry.title, entry.topics, entry.format, to: &json)
    json.key("score")
    json.double(entry.score)
    json.key("chance")
    if let chance = reason.chance { json.double(chance) } else { json.null() }
    json.key("rank")
    if let rank = reason.rank { json.integer(rank) } else { json.null() }
    json.key("candidates")
    json.integer(reason.candidates)
    json.key("known")
    json.bool(reason.isKnown)
    json.key("seen")
    json.bool(reason.isSeen)
    write(reason.parts, to: &json)
    write(reason.alternatives, to: &json)
    json.key("visits")
    write(reason.visits, to: &json)
    write(reason.sources, to: &json)
    json.key("reasons")
    RecommendationWriter.write(entry.reasons, to: &json)
    LearnedQuery.write(progress, to: &json)
    json.endObject()
    return json.bytes
  }

  private static func write(
    _ parts: [RecommendationReason.Part], to json: inout JSONWriter
  ) {
    json.key("contributions")
    json.beginArray()
    for part in parts {
      json.beginObject()
      json.key("feature")
      json.string(RecommendationWriter.name(part.feature))
      for (key, value) in [
        ("value", part.value), ("mean", part.mean), ("weight", part.weight),
        ("contribution", part.contribution),
      ] {
        json.key(key)
        json.double(value)
      }
      json.endObject()
    }
    json.endArray()
  }

  private static func write(
    _ alternatives: [RecommendationReason.Alternative], to json: inout JSONWriter
  ) {
    json.key("alternatives")
    json.beginArray()
    for alternative in alternatives {
      json.beginObject()
      json.key("content")
      json.string(alternative.content)
      json.key("title")
      json.string(alternative.title)
      json.key("score")
      json.double(alternative.score)
      json.key("odds")
      json.double(alternative.odds)
      json.endObject()
    }
    json.endArray()
  }

  private static func write(
    _ sources: [RecommendationReason.Source], to json: inout JSONWriter
  ) {
    json.key("contents")
    json.beginArray()
    for source in sources {
      json.beginObject()
      json.key("content")
      json.string(source.content)
      json.key("visits")
      json.integer(source.visits)
      json.key("impressions")
      json.integer(source.impressions)
      for (key, evidence) in [("first", source.first), ("facts", source.facts)] {
        json.key(key)
        if let evidence { write(evidence, to: &json) } else { json.null() }
      }
      json.key("latest")
      write(source.latest, to: &json)
      json.endObject()
    }
    json.endArray()
  }

  private static func write(
    _ evidence: [RecommendationReason.Evidence], to json: inout JSONWriter
  ) {
    json.beginArray()
    for event in evidence { write(event, to: &json) }
    json.endArray()
  }

  private static func write(
    _ evidence: RecommendationReason.Evidence, to json: inout JSONWriter
  ) {
    json.beginObject()
    json.key("content")
    json.string(evidence.content)
    json.key("at")
    json.string(Timestamp.format(evidence.at))
    json.key("position")
    json.string(evidence.place.position.description)
    json.endObject()
  }
}
