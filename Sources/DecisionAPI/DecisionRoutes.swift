import Events
public import HTTPServer
import Learning

/// Decisions over HTTP: `POST /v1/decide`, PostHog's `POST /flags/`, `POST /v1/decisions/{id}/reward` and
/// `POST /v1/retractions`.
///
/// The first two answer on the event loop, from memory: no server is asked on the way.
public struct DecisionRoutes: Sendable {
  private let desk: DecisionDesk
  private let door: any DecisionDoor

  public init(_ desk: DecisionDesk, door: any DecisionDoor) {
    self.desk = desk
    self.door = door
  }

  public func declare(on routes: inout Routes) {
    var options = RouteOptions(
      maxBodyBytes: DecideRequest.bodyBytesMax, crossOrigin: .mirrored)
    routes.fast(.post, "/v1/decide", options: options) { request, _ in
      measured { () throws(Problem) in try decide(request) }
    }
    options.maxBodyBytes = FlagsRequest.bodyBytesMax
    // Older SDKs ask the second.
    for (path, isOld) in [
      ("/flags", false), ("/flags/", false), ("/decide", true), ("/decide/", true),
    ] {
      routes.fast(.post, path, options: options) { request, _ in
        measured { () throws(Problem) in try flags(request, isOld: isOld) }
      }
    }
    declareRetractions(on: &routes)
    options.maxBodyBytes = RewardRequest.bodyBytesMax
    routes.on(.post, "/v1/decisions/{id}/reward", options: options) { request in
      do throws(Problem) {
        return try await reward(request)
      } catch {
        desk.metrics.refused(error.code)
        throw error
      }
    }
  }

  private func declareRetractions(on routes: inout Routes) {
    var options = RouteOptions(crossOrigin: .mirrored)
    options.maxBodyBytes = RetractionRequest.bodyBytesMax
    routes.on(.post, "/v1/retractions", options: options) { request in
      do throws(Problem) {
        return try await retract(request)
      } catch {
        desk.metrics.refused(error.code)
        throw error
      }
    }
  }

  private func retract(_ request: HTTPRequest) async throws(Problem) -> HTTPResponse {
    let asked = try RetractionRequest(json: request.body)
    let guest = try door.admit(DecisionCall(request), named: asked.key)
    let subject: LoggedRetractionEvent.Subject =
      switch asked.subject {
      case .decision(let id): .decision(id)
      case .person(let person): .person(guest.person(person))
      }
    let storage = await desk.retract(LoggedRetractionEvent(subject), site: guest.site)
    guard case .stored(let position) = storage else {
      throw Problem(
        .serviceUnavailable, code: "log_unavailable",
        detail: "The log takes nothing now; send the same retraction again.", retryAfterSeconds: 1)
    }
    var json = JSONWriter()
    json.beginObject()
    json.key("position")
    if let position { json.string(position) } else { json.null() }
    json.endObject()
    return .json(json.bytes)
  }

  private static let answer = PreparedResponse(
    status: .ok,
    headers: [
      (name: "Content-Type", value: "application/json"), (name: "Cache-Control", value: "no-store"),
    ])

  private func measured(_ body: () throws(Problem) -> [UInt8]) -> FastResponse {
    let begin = ContinuousClock.now
    defer { desk.metrics.answered(in: begin.duration(to: .now)) }
    do throws(Problem) {
      return FastResponse(Self.answer, body: try body())
    } catch {
      desk.metrics.refused(error.code)
      return FastResponse(error.prepared)
    }
  }

  private func decide(_ request: FastRequest) throws(Problem) -> [UInt8] {
    let asked = try request.withBody { body throws(Problem) in
      try body.withUnsafeBytes { body throws(Problem) in try DecideRequest(json: body) }
    }
    let guest = try door.admit(DecisionCall(request), named: asked.key)
    let plan = try desk.plan(asked.plan, of: guest.site)
    if let made = asked.made {
      return DecideAnswer.json(
        try desk.keep(
          made, of: plan, for: guest, person: asked.person, context: asked.context))
    }
    return DecideAnswer.json(
      desk.decide(
        plan, for: guest, person: asked.person, context: asked.context,
        candidates: asked.candidates, slots: asked.slots))
  }

  /// - Parameter isOld: whether it is asked for in the form of before `/flags`, which always has the settings.
  private func flags(_ request: FastRequest, isOld: Bool) throws(Problem) -> [UInt8] {
    let call = DecisionCall(request)
    let body = request.withBody { $0.withUnsafeBytes { Array($0) } }
    guard let json = door.postHogJSON(query: call.query, body: body) else {
      throw Problem(
        .badRequest, code: "invalid_json",
        detail: "the body is a JSON object: plain, in gzip, in base64, or as the form field data")
    }
    let asked = try FlagsRequest(json: json)
    let guest = try door.admit(call, named: asked.key)
    let plans = desk.plans(of: guest.site).filter { asked.flags?.contains($0.id) ?? true }
    return FlagsAnswer.json(
      plans.map { desk.decide($0, for: guest, person: asked.person, context: asked.context) },
      settings: isOld || call.query.split(separator: "&").contains("config=true")
        ? door.postHogSettings : [], isOld: isOld)
  }

  private func reward(_ request: HTTPRequest) async throws(Problem) -> HTTPResponse {
    let asked = try RewardRequest(json: request.body)
    let guest = try door.admit(DecisionCall(request), named: asked.key)
    guard let id = DecisionID(request.parameters["id"] ?? "") else {
      throw Problem(
        .notFound, code: "unknown_decision_id",
        detail: "The id of a decision is 32 hexadecimal digits, as decision_id of its answer.")
    }
    return try await RewardAnswer.response(
      desk, LoggedRewardEvent(decision: id, value: asked.value), eventID: asked.eventID,
      site: guest.site)
  }
}
