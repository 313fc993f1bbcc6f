import Events
public import HTTPServer
import Learning
import Statistics

/// Profiles and segments over HTTP, from memory: `GET /v1/profiles/{person}`, `GET /v1/segments` and
/// `GET /v1/segments/{id}` and `GET /v1/segments/{id}/why?person=ann`.
public struct ProfileRoutes: Sendable {
  private let board: ProfileBoard
  private let check: @Sendable (HTTPRequest) throws(Problem) -> Void

  /// - Parameter check: refuses requests of those who may not read.
  public init(
    _ board: ProfileBoard, check: @escaping @Sendable (HTTPRequest) throws(Problem) -> Void
  ) {
    self.board = board
    self.check = check
  }

  public func declare(on routes: inout Routes) {
    declareWhy(on: &routes)
    routes.on(.get, "/v1/profiles/{person}") { request in
      try check(request)
      let fields = try LearnedQuery.fields(request, ["site_id"])
      return try profile(
        request.parameters["person"] ?? "", site: fields["site_id"] ?? "default")
    }
    routes.on(.get, "/v1/segments") { request in
      try check(request)
      _ = try LearnedQuery.fields(request, [])
      return HTTPResponse.json(SegmentWriter.list(board.policy, try summary()))
    }
    routes.on(.get, "/v1/segments/{id}") { request in
      try check(request)
      _ = try LearnedQuery.fields(request, [])
      return try segment(request.parameters["id"] ?? "")
    }
  }

  private func declareWhy(on routes: inout Routes) {
    routes.on(.get, "/v1/segments/{id}/why") { request in
      try check(request)
      let fields = try LearnedQuery.fields(request, ["site_id", "person"])
      guard let person = fields["person"], !person.isEmpty else {
        throw LearnedQuery.problem("?person", "the person who is asked about is needed", [])
      }
      let id = request.parameters["id"] ?? ""
      let found = try find(person, site: fields["site_id"] ?? "default")
      if let place = board.policy.segments.firstIndex(where: { $0.id == id }) {
        return HTTPResponse.json(SegmentReason.rule(place, person: person, found, board.policy))
      }
      guard let clusters = found.clusters,
        let place = clusters.clusters.clusters.firstIndex(where: { SegmentWriter.name($0) == id }),
        let json = SegmentReason.cluster(place, clusters, person: person, found)
      else { throw Self.unknownSegment }
      return HTTPResponse.json(json)
    }
  }

  private func summary() throws(Problem) -> ProfileBoard.Summary {
    guard let summary = board.summary else { throw LearnedQuery.unread }
    return summary
  }

  private func profile(_ person: String, site: String) throws(Problem) -> HTTPResponse {
    HTTPResponse.json(
      ProfileWriter.json(try find(person, site: site), person: person, board.policy))
  }

  private func find(_ person: String, site: String) throws(Problem) -> ProfileBoard.Found {
    guard board.progress != nil else { throw LearnedQuery.unread }
    guard let found = board.find(EventIdentity.personKey(site: site, id: person)) else {
      throw Problem(
        .notFound, code: "unknown_person",
        detail:
          "This person did nothing on the site within the memory of segments.yaml; site_id names another site."
      )
    }
    return found
  }

  private func segment(_ id: String) throws(Problem) -> HTTPResponse {
    let summary = try summary()
    if let number = board.policy.segments.firstIndex(where: { $0.id == id }) {
      return HTTPResponse.json(SegmentWriter.rule(number, board.policy, summary))
    }
    if let clusters = summary.clusters,
      let place = clusters.clusters.clusters.firstIndex(where: {
        SegmentWriter.name($0) == id
      })
    {
      return HTTPResponse.json(SegmentWriter.cluster(place, clusters, summary))
    }
    throw Self.unknownSegment
  }

  private static let unknownSegment = Problem(
    .notFound, code: "unknown_segment",
    detail: "There is no such segment; GET /v1/segments lists those that there are.")
}

/// What requests for what was learned have in common.
enum LearnedQuery {
  /// The parameters by name.
  static func fields(
    _ request: HTTPRequest, _ allowed: [String]
  ) throws(Problem) -> [String: String] {
    guard let fields = request.queryFields() else {
      throw problem("?", "the query is not percent-encoded UTF-8", allowed)
    }
    var given: [String: String] = [:]
    for (name, value) in fields {
      guard allowed.contains(name) else {
        throw problem("?\(name)", "there is no such parameter", allowed)
      }
      guard given.updateValue(value, forKey: name) == nil else {
        throw problem("?\(name)", "the parameter is repeated", allowed)
      }
    }
    return given
  }

  static func problem(_ path: String, _ detail: String, _ allowed: [String]) -> Problem {
    let list = allowed.map { JSONText.quoted($0) }.joined(separator: ",")
    return Problem(
      .badRequest, code: "invalid_request",
      detail: "\(path): \(detail)"
        + (allowed.isEmpty ? "" : "; allowed: " + allowed.joined(separator: ", ")),
      members: [(name: "path", json: JSONText.quoted(path))]
        + (allowed.isEmpty ? [] : [(name: "allowed", json: "[\(list)]")]))
  }

  static let unread = Problem(
    .serviceUnavailable, code: "learning_unavailable",
    detail: "The log has not been read yet. Ask again in a second.", retryAfterSeconds: 1)

  static func write(_ progress: LearningProgress, to json: inout JSONWriter) {
    json.key("as_of")
    if progress.logTime == .min {
      json.null()
    } else {
      json.string(Timestamp.format(progress.logTime))
    }
    json.key("position")
    json.string(progress.position.description)
    json.key("complete")
    json.bool(progress.isCaughtUp)
  }
}
