import Events
import HTTPServer
import Ports
import Views

/// Answers requests about incidents.
struct IncidentService: Sendable {
  private let parser: QueryRequestParser
  private let views: [String: ReadViewSource]
  private let intake: FeedbackIntake?
  private let spans: FindSpans?
  private let audience: FindAudience?
  private let metrics: QueryMetrics
  private let zones = ZoneDatabase()
  private let clock: @Sendable () -> Int64

  /// The most members of a group that are shown.
  static let memberCountMax = 200

  init(
    views: [ReadViewSource], feedback: FeedbackIntake?, spans: FindSpans?, audience: FindAudience?,
    metrics: QueryMetrics,
    clock: @escaping @Sendable () -> Int64
  ) {
    parser = QueryRequestParser(pipelines: views.map(\.name))
    self.views = Dictionary(uniqueKeysWithValues: views.map { ($0.name, $0) })
    intake = feedback
    self.spans = spans
    self.audience = audience
    self.metrics = metrics
    self.clock = clock
  }

  func why(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try await metrics.measured("incident_why") { () async throws(QueryError) -> HTTPResponse in
      let parameters = try QueryService.parameters(http, allowed: ["timezone", "pipeline"])
      let request = try IncidentRequest(parameters, parser: parser)
      let local = try local(request.timezone)
      let row = try await row(http, of: request.pipeline)
      let members = try await read(
        IncidentQuestion(group: row.group, limit: Self.memberCountMax), of: request.pipeline)
      let until = row.end ?? clock()
      return QueryService.response(
        IncidentReason(
          row: row, others: members.filter { $0.id != row.id },
          spans: await spans?(row.begin, until), audience: audience, until: until, clock: local
        ).json)
    }
  }

  func list(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try await metrics.measured("incidents") { () async throws(QueryError) -> HTTPResponse in
      let parameters = try QueryService.parameters(http, allowed: IncidentRequest.parameters)
      let request = try IncidentRequest(parameters, parser: parser)
      let local = try local(request.timezone)
      // One more tells whether there are more.
      var question = request.question
      question.limit += 1
      let rows = try await read(question, of: request.pipeline)
      let shown = rows.prefix(request.question.limit)
      if request.format ?? AnswerFormat(accept: http.header("Accept")) == .csv {
        var headers: [(name: String, value: String)] = []
        if let last = shown.last, rows.count > shown.count {
          headers.append((name: "SmartContent-Next", value: IncidentRequest.cursor(last)))
        }
        return QueryService.csv(IncidentCSV.table(shown, clock: local), headers)
      }
      var json = JSONWriter(reserving: 4_096 * max(1, shown.count))
      json.beginObject()
      json.key("incidents")
      json.beginArray()
      for row in shown { IncidentReport(row, clock: local).write(to: &json) }
      json.endArray()
      json.key("next")
      if let last = shown.last, rows.count > shown.count {
        json.string(IncidentRequest.cursor(last))
      } else {
        json.null()
      }
      json.key("as_of")
      json.string(Timestamp.format(clock()))
      json.endObject()
      return QueryService.response(json.bytes)
    }
  }

  func incident(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try await metrics.measured("incident") { () async throws(QueryError) -> HTTPResponse in
      let parameters = try QueryService.parameters(http, allowed: ["timezone", "pipeline"])
      let request = try IncidentRequest(parameters, parser: parser)
      let local = try local(request.timezone)
      let row = try await row(http, of: request.pipeline)
      let members = try await read(
        IncidentQuestion(group: row.group, limit: Self.memberCountMax), of: request.pipeline)
      var json = JSONWriter(reserving: 8_192)
      json.beginObject()
      json.key("incident")
      IncidentReport(row, clock: local).write(to: &json)
      json.key("members")
      json.beginArray()
      for member in members where member.id != row.id {
        IncidentReport(member, clock: local).write(to: &json)
      }
      json.endArray()
      json.endObject()
      return QueryService.response(json.bytes)
    }
  }

  func feedback(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    guard let intake else {
      throw Problem(
        .serviceUnavailable, code: "feedback_not_taken",
        detail: "This process has no way to the log: start it with --nats or SMARTCONTENT_NATS.")
    }
    let event = try await metrics.measured("feedback") { () async throws(QueryError) in
      let parameters = try QueryService.parameters(http, allowed: ["pipeline"])
      let pipeline = try parser.pipeline(parameters.first?.value, path: "?pipeline")
      var request = try FeedbackRequest(json: http.body)
      request.note = intake.cleaned(request.note)
      return request.event(about: try await row(http, of: pipeline), now: clock())
    }
    let position = try await intake.store(event)
    var json = JSONWriter()
    json.beginObject()
    json.key("id")
    json.string(event.id)
    json.key("position")
    if let position { json.string(position) } else { json.null() }
    json.endObject()
    return QueryService.response(json.bytes)
  }

  // MARK: Parts

  private func row(_ http: HTTPRequest, of pipeline: String) async throws(QueryError) -> IncidentRow
  {
    let text = http.parameters["id"] ?? ""
    if let id = Int64(text),
      let row = try await read(IncidentQuestion(id: id, limit: 1), of: pipeline).first
    {
      return row
    }
    throw QueryError(
      .unknownIncident, path: "{id}",
      detail: "there is no incident of this id; GET /v1/incidents lists them")
  }

  private func read(
    _ question: IncidentQuestion, of pipeline: String
  ) async throws(QueryError) -> [IncidentRow] {
    guard let source = views[pipeline] else {
      preconditionFailure("the parser admits only pipelines that are served")
    }
    guard let reader = source.current().incidents else {
      throw QueryError(
        .incidentsNotComputed, path: "?pipeline",
        detail:
          "pipeline \(pipeline) declares no anomalies; ask another one, or add `anomalies` to "
          + "it in Streams/pipelines.yaml with a higher version",
        allowed: views.values.filter { $0.current().incidents != nil }.map(\.name).sorted())
    }
    do throws(ViewReadError) {
      return try await reader.incidents(question)
    } catch {
      throw QueryError(reading: error)
    }
  }

  private func local(_ name: String) throws(QueryError) -> IncidentSummary.LocalClock {
    guard let zone = zones.zone(named: name) else {
      throw QueryError(
        .unknownTimezone, path: "?timezone",
        detail: "\"\(name)\" is not an IANA time zone, such as Europe/Berlin")
    }
    if name == "UTC" { return .utc }
    return IncidentSummary.LocalClock { instant in
      Int64(zone.offset(at: instant / 1_000_000)) * 1_000_000
    }
  }
}
