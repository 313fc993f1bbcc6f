import Analyses
import Dataflow
import Events
import HTTPServer
import LogScans
import Metrics
import Ports
import Views

/// Answers the query API's requests.
struct QueryService: Sendable {
  private let parser: QueryRequestParser
  private let views: [String: ServedView]
  private let zones = ZoneDatabase()
  private let slots: StreamSlots
  private let metrics: QueryMetrics
  private let clock: @Sendable () -> Int64
  private let scans: ScanService?

  /// - Parameter scans: nil where the log cannot be read here.
  init(
    views: [ReadViewSource], registry: MetricRegistry, limits: QueryRoutes.Limits,
    logHeads: (@Sendable () -> [Int: UInt64])?, scans: ScanSource? = nil,
    clock: @escaping @Sendable () -> Int64
  ) {
    self.scans = scans.map(ScanService.init)
    parser = QueryRequestParser(pipelines: views.map(\.name))
    let metrics = QueryMetrics(registry)
    self.metrics = metrics
    self.clock = clock
    slots = StreamSlots(countMax: limits.streamCountMax, metrics: metrics)
    var served: [String: ServedView] = [:]
    for source in views {
      precondition(served[source.name] == nil, "pipeline \(source.name) is served twice")
      served[source.name] = ServedView(source) { view in
        var settings = PositionWatcher.Settings()
        settings.waiterCountMax = limits.waiterCountMax
        let sharing = SharedAnswers.Settings(
          ageMax: limits.answerAgeMax, bytesMax: limits.answerBytesMax)
        let executor = QueryExecutor(
          view: view, clock: clock, logHeads: logHeads, metrics: metrics,
          ageMax: limits.answerAgeMax)
        return ServedView.Version(
          executor, watching: settings, sharing: SharedAnswers(sharing, metrics: metrics),
          ahead: limits.answerAgeMax > .zero ? RangesAhead(executor, metrics: metrics) : nil)
      }
    }
    self.views = served
  }

  func query(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try await measured("query") { () async throws(QueryError) -> HTTPResponse in
      let parameters = try Self.parameters(http, allowed: ["after", "timeout", "wait"])
      let members = try QueryRequestParser.members(json: http.body)
      // What the read models cannot answer.
      if ScanRequestParser.needsScan(members) {
        let scan = try ScanRequestParser(parser: parser).request(
          members, parameters: parameters, now: clock())
        return try await answer(scan, parameters, accept: http.header("Accept"))
      }
      let request = try parser.request(members: members, parameters: parameters)
      return try await answer(request, accept: http.header("Accept"))
    }
  }

  func scan(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try await measured("scan") { () async throws(QueryError) -> HTTPResponse in
      let parameters = try Self.parameters(http, allowed: ["wait"])
      return try await served().answer(
        id: http.parameters["id"] ?? "", wait: try ScanService.wait(parameters, otherwise: .zero))
    }
  }

  func cancelScan(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try await measured("scan") { () async throws(QueryError) -> HTTPResponse in
      _ = try Self.parameters(http, allowed: [])
      return try await served().cancel(id: http.parameters["id"] ?? "")
    }
  }

  private func answer(
    _ request: ScanRequest, _ parameters: [(name: String, value: String)], accept: String?
  ) async throws(QueryError) -> HTTPResponse {
    let service = try served()
    let format = request.base.format ?? AnswerFormat(accept: accept)
    if format == .csv { try request.checkIsTable() }
    let zone = try zone(of: request.base)
    let periods = try ScanPeriods(request.base, now: clock(), zone: zone)
    let question = request.question(periods, zone: zone)
    let writer = ScanAnswer(request: request, periods: periods, zone: zone)
    let clock = clock
    return try await service.answer(
      ScanService.Question(
        pipeline: request.base.pipeline,
        text: "query " + String(decoding: writer.query, as: UTF8.self), format: format,
        knownAt: request.knownAt),
      wait: try ScanService.wait(parameters)
    ) { scan, _ throws(ScanError) in
      var segments = SegmentHistory.none
      if question.needsSegments {
        scan.expect(passes: 2)
        segments = try scan.segments(site: question.site, for: question.times)
      }
      let (breakdown, reach) = try scan.run { [segments] in
        Breakdown(question, segments: segments)
      }
      return format == .csv
        ? writer.csv(breakdown, reach) : .init(writer.json(breakdown, reach, asOf: clock()))
    }
  }

  /// Funnels, retention, attribution and sessions.
  func persons(
    _ kind: PersonRequest.Kind, _ http: HTTPRequest
  ) async throws(Problem) -> HTTPResponse {
    try await measured(kind.rawValue) { () async throws(QueryError) -> HTTPResponse in
      let parameters = try Self.parameters(http, allowed: ["wait"])
      let request = try PersonRequestParser(parser: parser).request(
        kind, json: http.body, now: clock())
      let plans = try PersonPlan.plans(request, now: clock(), zone: try zone(of: request.base))
      let format = request.base.format ?? AnswerFormat(accept: http.header("Accept"))
      let clock = clock
      return try await served().answer(
        ScanService.Question(
          pipeline: request.base.pipeline, text: plans.text, format: format,
          knownAt: request.knownAt),
        wait: try ScanService.wait(parameters)
      ) { scan, spec throws(ScanError) in
        let findings = try PersonFindings(plans, scan, spec.persons ?? PersonPolicy())
        guard format == .csv else {
          return .init(PersonAnswer(plans: plans).json(findings, asOf: clock()))
        }
        return .init(
          PersonCSV(plans: plans).table(findings),
          headers: findings.reach.headers(
            rangeEnd: plans.now.end, rowCount: findings.now.rowCount))
      }
    }
  }

  private func served() throws(QueryError) -> ScanService {
    guard let scans else {
      throw QueryError(
        .scansNotServed, path: "",
        detail: "this process has no log to scan: start it with --nats, and ask again")
    }
    return scans
  }

  func content(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try await measured("content") { () async throws(QueryError) -> HTTPResponse in
      let parameters = try Self.parameters(http, allowed: nil)
      var request = try parser.request(
        content: http.parameters["id"] ?? "", parameters: parameters)
      request.metrics = view(request.pipeline).now.executor.view.liveMetrics
      return try await answer(request, accept: http.header("Accept"))
    }
  }

  func accounting(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try await measured("accounting") { () async throws(QueryError) -> HTTPResponse in
      let parameters = try Self.parameters(http, allowed: ["pipeline"])
      let name = try parser.pipeline(parameters.first?.value, path: "?pipeline")
      let view = view(name).now.executor.view
      do throws(ViewReadError) {
        return .json(Self.json(try await view.durable.accounting(), pipeline: name))
      } catch {
        throw QueryError(reading: error)
      }
    }
  }

  func trends(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try await measured("trends") { () async throws(QueryError) -> HTTPResponse in
      let parameters = try Self.parameters(http, allowed: TrendRequest.parameters)
      let request = try TrendRequest(parameters, parser: parser)
      let view = view(request.pipeline).now.executor.view
      guard view.secondStage?.hasTrends == true else {
        throw QueryError(
          .trendsNotComputed, path: "?pipeline",
          detail:
            "pipeline \(view.name) declares no trends; ask another one, or add `trends` to it "
            + "in Streams/pipelines.yaml with a higher version",
          allowed: views.values.map(\.now.executor.view).filter {
            $0.secondStage?.hasTrends == true
          }
          .map(\.name).sorted())
      }
      do throws(ViewReadError) {
        let answer = try await view.durable.trends(site: request.site, groupBy: request.dimension)
        let report = TrendReport(request, answer, of: view, now: clock())
        let format = request.format ?? AnswerFormat(accept: http.header("Accept"))
        guard format == .csv else { return Self.response(report.json) }
        return Self.csv(
          report.csv,
          Self.reach(report.position, isFinal: report.isFinal, rowCount: report.rowCount))
      } catch {
        throw QueryError(reading: error)
      }
    }
  }

  func stream(_ http: HTTPRequest) async throws(Problem) -> HTTPResponse {
    try await measured("stream") { () async throws(QueryError) -> HTTPResponse in
      let parameters = try Self.parameters(http, allowed: ["query", "last_event_id"])
      guard let text = parameters.first(where: { $0.name == "query" })?.value else {
        throw QueryError(
          .missingMember, path: "?query",
          detail: "the query is needed: the JSON of POST /v1/query, percent-encoded")
      }
      let members = try QueryRequestParser.members(json: Array(text.utf8))
      if ScanRequestParser.needsScan(members) {
        throw QueryError(
          .invalidValue, path: "?query",
          detail: "the query takes a scan of the log, whose answer is not followed as it changes; "
            + "ask POST /v1/query again, or for metrics and dimensions of read models")
      }
      let request = try parser.request(members: members, parameters: [])
      try view(request.pipeline).now.executor.view.check(request.metrics)
      if request.format == .csv {
        throw QueryError(
          .invalidValue, path: "$.format",
          detail: "a stream is of JSON; POST /v1/query answers CSV",
          allowed: [AnswerFormat.json.rawValue])
      }
      let given =
        http.header("Last-Event-ID")
        ?? parameters.first(where: { $0.name == "last_event_id" })?.value
      // Text that is no position of ours means a fresh start.
      let lastEventID = given.flatMap { Position($0) }
      let slot = try slots.take()
      let zone = try zone(of: request)
      let view = view(request.pipeline)
      let version = view.now
      let stream = LiveStream(
        request: request, executor: version.executor,
        watcher: version.watcher(request.measures), zone: zone, metrics: metrics,
        isCurrent: { view.isCurrent(version) })
      let start = try await stream.start()
      return .eventStream { sink in
        try await stream.run(start, lastEventID: lastEventID, into: sink)
        // The slot is taken until here, and given back with this closure where it never runs.
        withExtendedLifetime(slot) {}
      }
    }
  }

  /// - Parameter accept: decides how the answer is written where the request does not say it.
  private func answer(
    _ request: QueryRequest, accept: String?
  ) async throws(QueryError) -> HTTPResponse {
    var request = request
    request.format = request.format ?? AnswerFormat(accept: accept)
    let zone = try zone(of: request)
    let version = view(request.pipeline).now
    let executor = version.executor
    try executor.view.check(request.metrics)
    guard let after = request.after else {
      return try await answer(request, of: version, zone).response
    }
    try Self.check(after, against: executor.view)
    let watcher = version.watcher(request.measures)
    let deadline = ContinuousClock.now + .milliseconds(request.timeoutMs)
    // A wrong request is told at once, not after the wait.
    _ = try QueryPlan.make(for: request, now: clock(), zone: zone)
    while true {
      let isCovered = try await watcher.wait(for: after, until: deadline)
      // Who did not wait has nothing but the answer to tell how far it came.
      if !isCovered && request.timeoutMs > 0 {
        throw Self.notReached(after, request, at: await watcher.latest.covered)
      }
      let answer = try await answer(request, of: version, zone)
      if answer.position.covers(after) { return answer.response }
      if !isCovered || ContinuousClock.now >= deadline {
        throw Self.notReached(after, request, at: answer.position)
      }
      _ = try await watcher.next(
        after: await watcher.latest.version, until: min(deadline, .now + .milliseconds(50)))
    }
  }

  /// An answer that is shared with all who ask the same now.
  private func answer(
    _ request: QueryRequest, of version: ServedView.Version, _ zone: ZoneRules
  ) async throws(QueryError) -> SharedAnswers.Answer {
    let now = clock()
    let executor = version.executor
    version.ahead?.heard(request, now: now, zone: zone)
    return try await version.answers.answer(
      SharedAnswers.Key(request, now: now, zone: zone), after: request.after
    ) { ageMax in
      do throws(QueryError) {
        let plan = try QueryPlan.make(for: request, now: now, zone: zone)
        let began = ContinuousClock.now
        let sharing = LayerReader.Sharing(
          since: request.after == nil ? began - ageMax : began, covering: request.after)
        let answer = try await executor.answer(request, plan: plan, sharing: sharing)
        return .success(
          SharedAnswers.Answer(
            response: Self.response(answer, request, plan, zone, executor.written),
            position: answer.meta.position, began: answer.began))
      } catch {
        return .failure(error)
      }
    }
  }

  private static func notReached(
    _ after: Position, _ request: QueryRequest, at position: Position
  ) -> QueryError {
    QueryError(
      .positionNotReached, path: "",
      detail: "the read model did not reach \(after) within \(request.timeoutMs) ms; it is at "
        + "\(position). Try again, or with a longer timeout",
      position: position.description)
  }

  /// A position of another log would never be reached. Partitions are known of one generation; later
  /// ones may have begun.
  private static func check(_ after: Position, against view: ReadView) throws(QueryError) {
    guard
      after.generation != view.generation
        || after.sequences.keys.allSatisfy(view.partitions.contains)
    else {
      throw QueryError(
        .invalidValue, path: "?after",
        detail: "the position is not one of this log; use what an ingest answer gave")
    }
  }

  private static func response(
    _ answer: QueryAnswer, _ request: QueryRequest, _ plan: QueryPlan, _ zone: ZoneRules,
    _ written: WrittenRows
  ) -> HTTPResponse {
    guard request.format == .csv else {
      return response(
        AnswerWriter(request: request, plan: plan, zone: zone).answer(answer, after: written))
    }
    return csv(
      CSVAnswer(request: request, plan: plan, zone: zone).table(answer),
      reach(answer.meta.position, isFinal: answer.meta.isFinal, rowCount: answer.meta.rowCount))
  }

  /// What a table itself does not say, as headers.
  private static func reach(
    _ position: Position, isFinal: Bool, rowCount: Int
  ) -> [(name: String, value: String)] {
    [
      (name: "SmartContent-Position", value: position.description),
      (name: "SmartContent-Final", value: "\(isFinal)"),
      (name: "SmartContent-Row-Count", value: "\(rowCount)"),
    ]
  }

  static func csv(
    _ table: [UInt8], _ headers: [(name: String, value: String)] = []
  ) -> HTTPResponse {
    HTTPResponse(
      status: .ok,
      headers: [
        (name: "Content-Type", value: AnswerFormat.csv.mediaType),
        (name: "Cache-Control", value: "no-store"), (name: "Vary", value: "Accept"),
      ] + headers, body: .bytes(table))
  }

  static func response(_ json: [UInt8]) -> HTTPResponse {
    HTTPResponse(
      status: .ok,
      headers: [
        (name: "Content-Type", value: "application/json"),
        (name: "Cache-Control", value: "no-store"), (name: "Vary", value: "Accept"),
      ], body: .bytes(json))
  }

  private func view(_ pipeline: String) -> ServedView {
    guard let view = views[pipeline] else {
      preconditionFailure("the parser admits only pipelines that are served")
    }
    return view
  }

  private func zone(of request: QueryRequest) throws(QueryError) -> ZoneRules {
    guard let zone = zones.zone(named: request.timezone) else {
      throw QueryError(
        .unknownTimezone, path: "$.timezone",
        detail: "\"\(request.timezone)\" is not an IANA time zone, such as Europe/Berlin")
    }
    return zone
  }

  /// The decoded query parameters, each at most once.
  static func parameters(
    _ http: HTTPRequest, allowed: [String]?
  ) throws(QueryError) -> [(name: String, value: String)] {
    guard let fields = http.queryFields() else {
      throw QueryError(
        .invalidValue, path: "", detail: "the target's query is not percent-encoded UTF-8")
    }
    var names: Set<String> = []
    for (name, _) in fields {
      if let allowed, !allowed.contains(name) {
        throw QueryError(
          .unknownMember, path: "?\(name)", detail: "there is no such parameter", allowed: allowed)
      }
      guard names.insert(name).inserted else {
        throw QueryError(.invalidValue, path: "?\(name)", detail: "the parameter is repeated")
      }
    }
    return fields
  }

  private func measured(
    _ route: String, _ body: () async throws(QueryError) -> HTTPResponse
  ) async throws(Problem) -> HTTPResponse {
    try await metrics.measured(route, body)
  }

  /// What became of every event: `on_time + late + too_late + duplicate + rejected = received`.
  static func json(_ accounting: Accounting, pipeline: String) -> [UInt8] {
    Array(
      """
      {"pipeline":\(JSONText.quoted(pipeline)),"received":\(accounting.received),\
      "on_time":\(accounting.onTime),"late":\(accounting.late),"too_late":\(accounting.tooLate),\
      "duplicate":\(accounting.duplicate),"rejected":\(accounting.rejected),\
      "clamped_future":\(accounting.clampedFuture),"conserved":\(accounting.isConserved)}
      """.utf8)
  }
}
