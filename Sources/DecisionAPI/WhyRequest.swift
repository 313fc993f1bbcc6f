import Events
import HTTPServer
import Learning

/// What is asked of `GET /v1/recommendations/why`: about which content, and in whose list. The rest of its query is that of the
/// list.
struct WhyRequest {
  /// At most one of them is given; without any the list is a newcomer's.
  static let subjects = ["person", "item", "items", "segment"]

  let content: String

  init(_ request: HTTPRequest, allowed: [String]) throws(Problem) {
    let given = try RecommendationRequest.fields(request, allowed: allowed)
    guard let content = given["content"], !content.isEmpty else {
      throw RecommendationRequest.problem(
        "?content", "the content that is asked about is needed", [])
    }
    self.content = content
  }

  static func isAlone(_ name: String, _ given: [String: String]) -> Bool {
    subjects.allSatisfy { $0 == name || given[$0] == nil }
  }

  /// Whose list it is, where it is no segment's.
  static func subject(
    _ given: [String: String], site: String
  ) throws(Problem) -> RecommendationQuestion.Subject {
    let named = subjects.filter { given[$0] != nil }
    guard named.count <= 1 else {
      throw RecommendationRequest.problem(
        "?\(named[1])", "a list is for one of them, or without any for a newcomer", subjects)
    }
    if let person = given["person"] {
      return .person(EventIdentity.personKey(site: site, id: person))
    }
    if let item = given["item"] { return .item(item) }
    guard given["items"] != nil else { return .newcomer }
    return .session(
      try RecommendationRequest.list(
        given, "items", countMax: RecommendationQuestion.sessionItemsMax))
  }
}
