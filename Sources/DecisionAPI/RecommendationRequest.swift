import Events
import HTTPServer
import Learning

/// Reads the queries of ``RecommendationRoutes``. What is unknown is a problem that says where it is and what is
/// allowed.
struct RecommendationRequest {
  static let parameters = [
    "site_id", "limit", "campaign", "channel", "exclude", "diversity", "impressions_max", "seen",
    "explore", "seed",
  ]
  static let seedBytesMax = 256

  /// - Parameters:
  ///   - more: further parameters of the route.
  ///   - subject: given the site, and the values of further parameters.
  static func question(
    _ request: HTTPRequest, more: [String] = [], now: Int64,
    subject: (String, [String: String]) throws(Problem) -> RecommendationQuestion.Subject
  ) throws(Problem) -> RecommendationQuestion {
    let given = try fields(request, allowed: parameters + more)
    let site = given["site_id"] ?? "default"
    var question = RecommendationQuestion(site: site, subject: try subject(site, given), now: now)
    question.count = try number(given, "limit", 1...RecommendationQuestion.countMax) ?? 10
    question.campaign = given["campaign"]
    question.channel = given["channel"]
    question.excluded = Set(
      try list(given, "exclude", countMax: RecommendationQuestion.excludedMax))
    question.diversity = try share(given, "diversity") ?? question.diversity
    question.exploration = try share(given, "explore") ?? question.exploration
    question.impressionsMax = try number(
      given, "impressions_max", RecommendationQuestion.impressionsAllowed)
    question.seed = given["seed"]
    guard (question.seed ?? "").utf8.count <= seedBytesMax else {
      throw problem("?seed", "at most \(seedBytesMax) bytes are taken", [])
    }
    switch given["seen"] ?? "exclude" {
    case "exclude": question.includesSeen = false
    case "include": question.includesSeen = true
    default:
      throw problem("?seen", "it says what becomes of contents that were seen", seenWords)
    }
    return question
  }

  /// Each parameter once.
  static func fields(
    _ request: HTTPRequest, allowed: [String]
  ) throws(Problem) -> [String: String] {
    guard let fields = request.queryFields() else {
      throw problem("?", "the query is not percent-encoded UTF-8", [])
    }
    var given: [String: String] = [:]
    for (name, value) in fields {
      guard allowed.contains(name) else {
        throw problem("?\(name)", "there is no such parameter", allowed)
      }
      guard given.updateValue(value, forKey: name) == nil else {
        throw problem("?\(name)", "the parameter is repeated", [])
      }
    }
    return given
  }

  private static let seenWords = ["exclude", "include"]

  /// Texts with commas between them.
  static func list(
    _ given: [String: String], _ name: String, countMax: Int
  ) throws(Problem) -> [String] {
    let items = (given[name] ?? "").split(separator: ",").map(String.init)
    guard items.count <= countMax else {
      throw problem("?\(name)", "at most \(countMax) contents are taken", [])
    }
    return items
  }

  static func number(
    _ given: [String: String], _ name: String, _ allowed: ClosedRange<Int>
  ) throws(Problem) -> Int? {
    guard let text = given[name] else { return nil }
    guard let number = Int(text), allowed.contains(number) else {
      throw problem(
        "?\(name)", "a whole number from \(allowed.lowerBound) to \(allowed.upperBound)", [])
    }
    return number
  }

  private static func share(
    _ given: [String: String], _ name: String
  ) throws(Problem) -> Double? {
    guard let text = given[name] else { return nil }
    guard let number = Double(text), number >= 0, number <= 1 else {
      throw problem("?\(name)", "a number from 0 to 1", [])
    }
    return number
  }

  static func problem(_ path: String, _ detail: String, _ allowed: [String]) -> Problem {
    let list = allowed.map { JSONText.quoted($0) }.joined(separator: ",")
    return Problem(
      .unprocessableContent, code: "invalid_recommendation_request",
      detail: "\(path): \(detail)"
        + (allowed.isEmpty ? "" : "; allowed: " + allowed.joined(separator: ", ")),
      members: [(name: "path", json: JSONText.quoted(path))]
        + (allowed.isEmpty ? [] : [(name: "allowed", json: "[\(list)]")]))
  }
}

/// What is asked of `GET /v1/recommendations/similar`: a text or a content.
struct SimilarRequest {
  static let parameters = ["site_id", "limit", "text", "content"]
  static let textBytesMax = 2_048

  let site: String
  let count: Int
  /// nil where a text was given.
  let content: String?
  let text: String

  init(_ request: HTTPRequest) throws(Problem) {
    let given = try RecommendationRequest.fields(request, allowed: Self.parameters)
    site = given["site_id"] ?? "default"
    count =
      try RecommendationRequest.number(given, "limit", 1...RecommendationQuestion.countMax) ?? 10
    content = given["content"]
    text = given["text"] ?? ""
    guard (content == nil) != text.isEmpty else {
      throw RecommendationRequest.problem(
        "?text", "either a text or a content is needed, such as text=ten+soups", [])
    }
    guard text.utf8.count <= Self.textBytesMax else {
      throw RecommendationRequest.problem(
        "?text", "at most \(Self.textBytesMax) bytes are taken", [])
    }
  }
}
