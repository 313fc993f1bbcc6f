public import Events
public import HTTPServer
import Learning

/// Recommendations over HTTP, from memory: for a person, beside a content, within a session, for a newcomer, and
/// what all of them were learned from.
///
///     GET /v1/recommendations/persons/{person}      GET /v1/recommendations/sessions?items=a,b
///     GET /v1/recommendations/items/{item}          GET /v1/recommendations/newcomers
///     GET /v1/recommendations/segments/{id}         GET /v1/recommendations/similar?text=ten+soups
///     GET /v1/recommendations                       GET /v1/recommendations/why?content=a&person=ann
public struct RecommendationRoutes: Sendable {
  private let learner: RecommendationLearner
  private let check: @Sendable (HTTPRequest) throws(Problem) -> Void
  private let similar: SimilarContents
  private let members: @Sendable (_ site: String, _ segment: String) -> [Key128]?

  /// - Parameters:
  ///   - similar: contents by their texts.
  ///   - check: throws where the request may not read.
  ///   - members: persons of a segment, some of them where there are many; nil where there is no such segment.
  public init(
    _ learner: RecommendationLearner, similar: SimilarContents,
    check: @escaping @Sendable (HTTPRequest) throws(Problem) -> Void,
    members: @escaping @Sendable (_ site: String, _ segment: String) -> [Key128]? = { _, _ in nil }
  ) {
    self.learner = learner
    self.similar = similar
    self.check = check
    self.members = members
  }

  public func declare(on routes: inout Routes) {
    routes.on(.get, "/v1/recommendations") { request in
      try check(request)
      guard let found = learner.summaries() else { throw Self.unread }
      return Self.response(
        RecommendationWriter.json(
          found.summaries, pendingErasures: found.pendingErasures, found.progress))
    }
    routes.on(.get, "/v1/recommendations/persons/{person}") { request in
      let person = request.parameters["person"] ?? ""
      return try list(request) { site, _ throws(Problem) in
        .person(EventIdentity.personKey(site: site, id: person))
      }
    }
    routes.on(.get, "/v1/recommendations/items/{item}") { request in
      let item = request.parameters["item"] ?? ""
      return try list(request) { _, _ throws(Problem) in .item(item) }
    }
    routes.on(.get, "/v1/recommendations/segments/{id}") { request in
      let id = request.parameters["id"] ?? ""
      return try list(request) { site, _ throws(Problem) in try segment(id, of: site) }
    }
    routes.on(.get, "/v1/recommendations/newcomers") { request in
      try list(request) { _, _ throws(Problem) in .newcomer }
    }
    routes.on(.get, "/v1/recommendations/why") { try why($0) }
    routes.on(.get, "/v1/recommendations/similar") { try await near($0) }
    routes.on(.get, "/v1/recommendations/sessions") { request in
      try list(request, more: ["items"]) { _, given throws(Problem) in
        let items = try RecommendationRequest.list(
          given, "items", countMax: RecommendationQuestion.sessionItemsMax)
        guard !items.isEmpty else {
          throw RecommendationRequest.problem(
            "?items", "the contents of the session are needed, the latest last, such as a,b", [])
        }
        return .session(items)
      }
    }
  }

  private func segment(
    _ id: String, of site: String
  ) throws(Problem) -> RecommendationQuestion.Subject {
    guard let members = members(site, id) else {
      throw Problem(
        .notFound, code: "unknown_segment",
        detail: "There is no such segment of the site: those that are there are declared.")
    }
    return .persons(members)
  }

  private func why(_ request: HTTPRequest) throws(Problem) -> HTTPResponse {
    try check(request)
    let more = ["content"] + WhyRequest.subjects
    func question(_ now: Int64) throws(Problem) -> RecommendationQuestion {
      try RecommendationRequest.question(request, more: more, now: now) {
        site, given throws(Problem) in
        if let id = given["segment"], WhyRequest.isAlone("segment", given) {
          return try segment(id, of: site)
        }
        return try WhyRequest.subject(given, site: site)
      }
    }
    let asked = try WhyRequest(request, allowed: RecommendationRequest.parameters + more)
    // What is wrong with the request is said also while nothing was read yet.
    let count = try question(0).count
    let found = try learner.why(asked.content, alternatives: count) { progress throws(Problem) in
      try question(progress.logTime)
    }
    guard let found else {
      guard learner.summaries() != nil else { throw Self.unread }
      throw Self.unknownContent
    }
    return Self.response(RecommendationReasonWriter.json(found.reason, found.progress))
  }

  private func list(
    _ request: HTTPRequest, more: [String] = [],
    _ subject: (String, [String: String]) throws(Problem) -> RecommendationQuestion.Subject
  ) throws(Problem) -> HTTPResponse {
    try check(request)
    // What is wrong with the request is said also while nothing was read yet.
    _ = try RecommendationRequest.question(request, more: more, now: 0, subject: subject)
    let found = try learner.answer { progress throws(Problem) in
      try RecommendationRequest.question(
        request, more: more, now: progress.logTime, subject: subject)
    }
    guard let found else {
      guard learner.summaries() != nil else { throw Self.unread }
      throw Self.unknownSite
    }
    return Self.response(
      RecommendationWriter.json(found.answer, of: found.question, found.progress))
  }

  private func near(_ request: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try check(request)
    let asked = try SimilarRequest(request)
    let found = await similar.near(
      content: asked.content, text: asked.text, site: asked.site, count: asked.count)
    guard let found else {
      guard learner.summaries() != nil else { throw Self.unread }
      throw Self.unknownSite
    }
    return Self.response(
      RecommendationWriter.json(found, site: asked.site, embedding: similar.embedding))
  }

  private static let unknownSite = Problem(
    .notFound, code: "unknown_site",
    detail: "No content of this site was seen within the last 30 days: ?site_id names another.")

  private static let unknownContent = Problem(
    .notFound, code: "unknown_content",
    detail: "No event about this content of the site was seen within the last 30 days:"
      + " ?content names one that lists have, ?site_id another site.")

  private static let unread = Problem(
    .serviceUnavailable, code: "recommendations_unavailable",
    detail: "The log has not been read yet. Ask again in a second.", retryAfterSeconds: 1)

  private static func response(_ json: [UInt8]) -> HTTPResponse {
    HTTPResponse(
      status: .ok,
      headers: [
        (name: "Content-Type", value: "application/json"),
        (name: "Cache-Control", value: "no-store"),
      ], body: .bytes(json))
  }
}
