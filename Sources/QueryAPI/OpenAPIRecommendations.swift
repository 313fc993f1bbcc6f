/// The part of ``OpenAPIDocument`` about recommendations. Their routes are another module's, so their limits stand here
/// once more; a test holds the addresses against those that are declared.
enum OpenAPIRecommendations {
  private static let parameters = """
    {"name":"site_id","in":"query","schema":{"type":"string","default":"default"}},
    {"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":100,"default":10}},
    {"name":"campaign","in":"query","description":"Only contents that events of this campaign were about","schema":{"type":"string"}},
    {"name":"channel","in":"query","description":"Only contents that events of this channel were about","schema":{"type":"string"}},
    {"name":"exclude","in":"query","description":"Contents that are left out, with commas between them","schema":{"type":"string"}},
    {"name":"diversity","in":"query","description":"0: by score alone; 1: each as unlike those before it as can be","schema":{"type":"number","minimum":0,"maximum":1,"default":0}},
    {"name":"impressions_max","in":"query","description":"What the person was shown this often within a day is left out","schema":{"type":"integer","minimum":1,"maximum":100}},
    {"name":"seen","in":"query","description":"What becomes of contents that the person has looked at","schema":{"enum":["exclude","include"],"default":"exclude"}},
    {"name":"explore","in":"query","description":"The share of the list for contents of which little is known","schema":{"type":"number","minimum":0,"maximum":1,"default":0.1}},
    {"name":"seed","in":"query","description":"What is drawn to be explored hangs on it and the hour; without it on the person, or on what the list is beside","schema":{"type":"string","maxLength":256}}
    """

  private static let errors = """
    "401":{"$ref":"#/components/responses/Problem"},"404":{"$ref":"#/components/responses/Problem"},"422":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"}
    """

  private static func list(
    _ path: String, _ name: String, _ summary: String, _ more: String = ""
  ) -> String {
    """
    "/v1/recommendations/\(path)":{"get":{"tags":["recommendations"],"operationId":"\(name)","summary":"\(summary)","security":[{"token":[]},{}],"parameters":[\(more)\(parameters)],"responses":{"200":{"description":"The best first, explored ones last","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Recommendations"}}}},\(errors)}}}
    """
  }

  private static func inPath(_ name: String, _ text: String) -> String {
    """
    {"name":"\(name)","in":"path","required":true,"description":"\(text)","schema":{"type":"string"}},
    """
  }

  static let paths = """
    "/v1/recommendations":{"get":{"tags":["recommendations"],"operationId":"recommendationModels","summary":"What lists are made from, and how often they held the next visit","security":[{"token":[]},{}],"responses":{"200":{"description":"By site","content":{"application/json":{"schema":{"$ref":"#/components/schemas/RecommendationModels"}}}},"401":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"}}}},
    \(list("persons/{person}", "recommendForPerson", "Contents for a person", inPath("person", "The id that the person's events carry"))),
    \(list("items/{item}", "recommendBesideItem", "Contents for somebody who looks at a content", inPath("item", "The content"))),
    \(list("sessions", "recommendInSession", "Contents for somebody of whom a session is known", #"{"name":"items","in":"query","required":true,"description":"Contents that were looked at, the latest last, with commas between them, at most 50","schema":{"type":"string","minLength":1}},"#)),
    \(list("segments/{id}", "recommendToSegment", "Contents for the persons of a segment together", inPath("id", "Id of the segment"))),
    "/v1/recommendations/why":{"get":{"tags":["recommendations"],"operationId":"recommendationWhy","summary":"Why a content is in a list, or is not: what its score is made of, the alternatives and their odds, and where in the log the events are that have a say","security":[{"token":[]},{}],"parameters":[{"name":"content","in":"query","required":true,"description":"That is asked about","schema":{"type":"string","minLength":1}},{"name":"person","in":"query","description":"Whose list it is: at most one of this and the next three; without any a newcomer's","schema":{"type":"string"}},{"name":"item","in":"query","schema":{"type":"string"}},{"name":"items","in":"query","description":"Of a session, the latest last, with commas between them","schema":{"type":"string"}},{"name":"segment","in":"query","schema":{"type":"string"}},\(parameters)],"responses":{"200":{"description":"It; ?limit says how many alternatives","content":{"application/json":{"schema":{"$ref":"#/components/schemas/RecommendationReason"}}}},\(errors)}}},
    "/v1/recommendations/similar":{"get":{"tags":["recommendations"],"operationId":"contentsNearText","summary":"Contents whose texts are near a text, or near a content's","security":[{"token":[]},{}],"parameters":[{"name":"site_id","in":"query","schema":{"type":"string","default":"default"}},{"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":100,"default":10}},{"name":"text","in":"query","description":"This or a content","schema":{"type":"string","minLength":1,"maxLength":2048}},{"name":"content","in":"query","description":"This or a text","schema":{"type":"string"}}],"responses":{"200":{"description":"The nearest first","content":{"application/json":{"schema":{"$ref":"#/components/schemas/SimilarContents"}}}},\(errors)}}},
    \(list("newcomers", "recommendToNewcomer", "Contents for somebody of whom nothing is known"))
    """

  private static let progress = """
    "position":{"type":"string","description":"How far the log was read"},"as_of":{"type":["string","null"],"format":"date-time","description":"The log's time"},"complete":{"type":"boolean","description":"Whether all of the log was read"}
    """

  private static let count = #"{"type":"integer"}"#
  private static let rate = #"{"type":["number","null"]}"#
  private static let texts = #"{"type":"array","items":{"type":"string"}}"#
  private static let parts = #"{"type":"object","additionalProperties":{"type":"number"}}"#

  private static let evidence = """
    {"type":"object","required":["content","at","position"],"properties":{"content":{"type":"string"},"at":{"type":"string","format":"date-time"},"position":{"type":"string","description":"Of the frame in the log"}}}
    """

  static let schemas = """
    "Recommendations":{"type":"object","required":["results","meta"],"properties":{"results":{"type":"array","items":{"type":"object","required":["content","title","topics","format","score","explored","reasons","contributions"],"properties":{"content":{"type":"string"},"title":{"type":"string"},"topics":\(texts),"format":{"type":"string"},"score":{"type":"number","description":"The logarithm of a chance, but for a number that is the same for all"},"explored":{"type":"boolean","description":"It is there so that more is learned of it"},"reasons":\(texts),"contributions":{"description":"By how much each part of the score is above that of the contents on average","type":"object","additionalProperties":{"type":"number"}}}}},"meta":{"type":"object","required":["site_id","known","candidates","visits","position","as_of","complete"],"properties":{"site_id":{"type":"string"},"known":{"type":"boolean","description":"Whether anything is known of whom the list is for"},"candidates":\(count),"visits":\(count),\(progress)}}}},
    "RecommendationReason":{"type":"object","required":["content","title","topics","format","score","chance","rank","candidates","known","seen","contributions","alternatives","visits","contents","reasons","position","as_of","complete"],"properties":{"content":{"type":"string"},"title":{"type":"string"},"topics":\(texts),"format":{"type":"string"},"score":{"type":"number"},"chance":{"type":["number","null"],"description":"Among all that the list could be chosen from, by the blend; null where it is none of them"},"rank":{"type":["integer","null"],"description":"By score, from 1"},"candidates":\(count),"known":{"type":"boolean"},"seen":{"type":"boolean","description":"The person has looked at it"},"contributions":{"type":"array","description":"weight × (value − mean), what says most first","items":{"type":"object","required":["feature","value","mean","weight","contribution"],"properties":{"feature":{"type":"string"},"value":{"type":"number"},"mean":{"type":"number","description":"Of the contents on average"},"weight":{"type":"number"},"contribution":{"type":"number"}}}},"alternatives":{"type":"array","description":"The best of the others","items":{"type":"object","required":["content","title","score","odds"],"properties":{"content":{"type":"string"},"title":{"type":"string"},"score":{"type":"number"},"odds":{"type":"number","description":"As likely as the content that is asked about"}}}},"visits":{"type":"array","description":"The latest of whom the list is for","items":\(evidence)},"contents":{"type":"array","description":"The content, and those that it is near to or follows","items":{"type":"object","required":["content","visits","impressions","first","facts","latest"],"properties":{"content":{"type":"string"},"visits":\(count),"impressions":\(count),"first":{"description":"The event that it appeared with","oneOf":[\(evidence),{"type":"null"}]},"facts":{"description":"The event that said title, topics or format last","oneOf":[\(evidence),{"type":"null"}]},"latest":{"type":"array","description":"Visits, the latest last","items":\(evidence)}}}},"reasons":\(texts),\(progress)}},
    "SimilarContents":{"type":"object","required":["results","meta"],"properties":{"results":{"type":"array","items":{"type":"object","required":["content","title","topics","format","similarity"],"properties":{"content":{"type":"string"},"title":{"type":"string"},"topics":\(texts),"format":{"type":"string"},"similarity":{"type":"number","description":"The cosine of both vectors"}}}},"meta":{"type":"object","required":["site_id","indexes","embedding","meaning","stored_to","position","as_of","complete"],"properties":{"site_id":{"type":"string"},"indexes":{"type":"array","description":"Where was looked","items":{"enum":["exact","graph","pgvector"]}},"embedding":{"type":"string","description":"The model that says what texts mean, or hashed n-grams"},"meaning":{"type":"boolean","description":"Whether the model had a say in this answer"},"stored_to":{"type":["string","null"],"description":"The position up to which pgvector has all vectors"},\(progress)}}}},
    "RecommendationModels":{"type":"object","required":["sites","meta"],"properties":{"sites":{"type":"array","items":{"type":"object","required":["site_id","contents","persons","visits","tests","hit_rate","popular_hit_rate","coverage","forgotten_persons","forgotten_contents","weights"],"properties":{"site_id":{"type":"string"},"contents":\(count),"persons":\(count),"visits":\(count),"tests":\(count),"hit_rate":\(rate),"popular_hit_rate":\(rate),"coverage":\(rate),"forgotten_persons":\(count),"forgotten_contents":\(count),"weights":\(parts)}}},"meta":{"type":"object","required":["pending_erasures","position","as_of","complete"],"properties":{"pending_erasures":{"description":"Erased persons whose choices the weights still know, until the log is read again without them","type":"integer","minimum":0},\(progress)}}}}
    """
}
