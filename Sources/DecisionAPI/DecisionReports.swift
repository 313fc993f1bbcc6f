public import Events
public import HTTPServer
public import Learning

/// What has been learned, over HTTP: `GET /v1/decisions`, `GET /v1/decisions/{plan}` and
/// `GET /v1/decisions/{plan}/why?token=…`.
public struct DecisionReports: Sendable {
  private let plans: [DecisionPlan]
  private let models: @Sendable () -> DecisionModels?
  private let problem: @Sendable () -> String?
  private let signer: DecisionSigner
  private let find: FindDecision
  /// Nil where this process has no way to the log.
  private let promotions: PromotionDesk?
  private let check: @Sendable (HTTPRequest) throws(Problem) -> Void

  /// Finds the event of a decision in the log, with the text of its position; nil where it is not there.
  public typealias FindDecision =
    @Sendable (DecisionToken) async -> (event: IncomingEvent, position: String)?

  /// - Parameters:
  ///   - problem: why learning does not go on; nil where it does.
  ///   - check: refuses requests of those who may not read.
  public init(
    plans: [DecisionPlan], models: @escaping @Sendable () -> DecisionModels?,
    problem: @escaping @Sendable () -> String?, signer: DecisionSigner,
    find: @escaping FindDecision, promotions: PromotionDesk? = nil,
    check: @escaping @Sendable (HTTPRequest) throws(Problem) -> Void
  ) {
    self.plans = plans
    self.models = models
    self.problem = problem
    self.signer = signer
    self.find = find
    self.promotions = promotions
    self.check = check
  }

  public func declare(on routes: inout Routes) {
    routes.on(.get, "/v1/decisions") { request in
      try check(request)
      try Self.checkHasNoFields(request)
      return list()
    }
    routes.on(.get, "/v1/decisions/{plan}") { request in
      try check(request)
      try Self.checkHasNoFields(request)
      var json = JSONWriter(reserving: 4_096)
      try report(request, models()).write(to: &json)
      return .json(json.bytes)
    }
    routes.on(.get, "/v1/decisions/{plan}/why") { request in
      try check(request)
      return try await why(request)
    }
    var options = RouteOptions()
    options.maxBodyBytes = PromotionRequest.bodyBytesMax
    routes.on(.post, "/v1/decisions/{plan}/promotion", options: options) { request in
      try check(request)
      try Self.checkHasNoFields(request)
      return try await promote(request)
    }
  }

  private static func checkHasNoFields(_ request: HTTPRequest) throws(Problem) {
    guard request.query.isEmpty else {
      throw Problem(
        .badRequest, code: "unknown_parameter",
        detail: "this is asked without a query; leave it out")
    }
  }

  private func list() -> HTTPResponse {
    let models = models()
    var json = JSONWriter(reserving: 1_024)
    json.beginObject()
    json.key("decisions")
    json.beginArray()
    for plan in plans { report(plan, models).writeSummary(to: &json) }
    json.endArray()
    json.endObject()
    return .json(json.bytes)
  }

  private func report(_ plan: DecisionPlan, _ models: DecisionModels?) -> DecisionReport {
    let model = models?.plans[plan.id]
    return DecisionReport(
      plan: model?.plan ?? plan, model: model, progress: models?.progress,
      learning: models?.learning[plan.id], problem: problem())
  }

  private func report(
    _ request: HTTPRequest, _ models: DecisionModels?
  ) throws(Problem) -> DecisionReport {
    guard let plan = plans.first(where: { $0.id == request.parameters["plan"] }) else {
      throw Problem(
        .notFound, code: "unknown_decision",
        detail: "There is no such decision; GET /v1/decisions lists them.")
    }
    return report(plan, models)
  }

  private func why(_ request: HTTPRequest) async throws(Problem) -> HTTPResponse {
    let report = try report(request, models())
    let fields = request.queryFields() ?? []
    guard let text = fields.first(where: { $0.name == "token" })?.value, fields.count == 1 else {
      throw Problem(
        .badRequest, code: "missing_parameter",
        detail: "the query has token, the token of the decision that is asked about")
    }
    let token: DecisionToken
    do throws(DecisionTokenError) {
      token = try signer.token(text)
    } catch {
      throw Problem(.badRequest, code: "invalid_token", detail: "\(error)")
    }
    guard token.propensities.count == report.plan.arms.count,
      token.plan == report.plan.fingerprint
    else {
      throw Problem(
        .notFound, code: "other_decision",
        detail: "The token is of another decision, or of arms that this one has no more.")
    }
    return .json(
      DecisionReason(token: token, report: report, logged: await logged(token)).json)
  }

  // MARK: Promotion by a person

  private func promote(_ request: HTTPRequest) async throws(Problem) -> HTTPResponse {
    let report = try report(request, models())
    let asked = try PromotionRequest(json: request.body)
    guard let promotions else {
      throw Problem(
        .serviceUnavailable, code: "promotions_not_taken",
        detail: "This process has no way to the log: start it with --nats or SMARTCONTENT_NATS.")
    }
    guard let declared = plans.first(where: { $0.id == report.plan.id }) else {
      preconditionFailure("a report is of a plan that is declared")
    }
    let names = declared.candidates.map(\.name)
    guard names.contains(asked.policy) else {
      throw Problem(
        .badRequest, code: "unknown_policy",
        detail: "The plan has no such policy; it has \(names.joined(separator: ", ")).")
    }
    guard (report.learning?.promotion?.policy ?? DecisionPlan.declaredName) != asked.policy else {
      throw Problem(
        .conflict, code: "is_deciding", detail: "This policy decides already; choose another one.")
    }
    let place = report.plan.shadows.firstIndex { $0.name == asked.policy }
    let (promotion, storage) = await promotions.promote(
      asked, report.plan, declared: declared.version,
      evidence: place.flatMap { report.learning?.shadows[$0] }.map { .init($0) })
    guard case .stored(let position) = storage else {
      throw Problem(
        .serviceUnavailable, code: "log_unavailable",
        detail: "The log takes nothing now; send the same request again.", retryAfterSeconds: 1)
    }
    var json = JSONWriter()
    json.beginObject()
    json.key("decision")
    json.string(promotion.plan)
    json.key("policy_name")
    json.string(promotion.policy)
    json.key("since")
    json.string(Timestamp.format(promotion.since))
    json.key("position")
    if let position { json.string(position) } else { json.null() }
    json.endObject()
    return .json(json.bytes)
  }

  private func logged(_ token: DecisionToken) async -> DecisionReason.Logged? {
    guard let (event, position) = await find(token) else { return nil }
    do throws(LoggedDecisionError) {
      let decision = try event.payload.span.bytes.withUnsafeBytes {
        bytes throws(LoggedDecisionError) in
        try LoggedDecisionEvent(payload: bytes, isAuthentic: signer.isAuthentic)
      }
      return DecisionReason.Logged(decision: decision, position: position)
    } catch {
      // An event that is no decision of this installation explains none.
      return nil
    }
  }
}
