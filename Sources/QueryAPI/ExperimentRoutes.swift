public import Experiments
public import HTTPServer
public import Logging
public import Metrics
public import Ports
import Statistics
import Views

/// Experiments over HTTP: `GET` and `POST /v1/experiments`, `GET` and `PATCH /v1/experiments/{id}`,
/// `GET` and `POST /v1/experiments/{id}/assignment`, `GET /v1/experiments/{id}/results`.
///
/// Assignments come from memory: they go on while every store is away.
public struct ExperimentRoutes: Sendable {
  private static let bodyBytesMax = 64 * 1024

  private let catalog: ExperimentCatalog
  private let reader: any ExperimentReader
  private let access: QueryAccess
  private let settled = SettledAnalyses()
  private let follower: any ExperimentFollower
  private let log: Logger

  public init(
    _ catalog: ExperimentCatalog, reader: any ExperimentReader, access: QueryAccess,
    follower: any ExperimentFollower = NoExperimentFollower(), log: Logger
  ) {
    self.catalog = catalog
    self.reader = reader
    self.access = access
    self.follower = follower
    self.log = log
  }

  /// The same results for Prometheus.
  public func metrics(_ registry: MetricRegistry) -> ExperimentMetrics {
    ExperimentMetrics(
      catalog, reader: reader, follower: follower, registry: registry, settled: settled, log: log)
  }

  public func declare(on routes: inout Routes) {
    let options = RouteOptions(maxBodyBytes: Self.bodyBytesMax)
    let (catalog, reader, follower, settled) = (catalog, reader, follower, settled)
    routes.on(
      .get, "/v1/experiments",
      answering { (_) throws(ExperimentRefusal) in
        Self.answer(ExperimentWriter.list(catalog.all))
      })
    routes.on(
      .post, "/v1/experiments", options: options,
      changing { (request) throws(ExperimentRefusal) in
        Self.answer(
          ExperimentWriter.entry(try await catalog.declare(request.body)), status: .created)
      })
    routes.on(
      .get, "/v1/experiments/{id}",
      answering { (request) throws(ExperimentRefusal) in
        Self.answer(ExperimentWriter.entry(try catalog.entry(Self.id(request))))
      })
    routes.on(
      .patch, "/v1/experiments/{id}", options: options,
      changing { (request) throws(ExperimentRefusal) in
        Self.answer(
          ExperimentWriter.entry(try await catalog.change(Self.id(request), request.body)))
      })
    let assignment: AsyncHandler = answering { (request) throws(ExperimentRefusal) in
      let person = try Self.person(request)
      let (entry, assignment) = try catalog.assign(person, in: Self.id(request))
      return Self.answer(
        ExperimentWriter.assignment(assignment, of: person, in: entry.experiment))
    }
    routes.on(.get, "/v1/experiments/{id}/assignment", assignment)
    routes.on(.post, "/v1/experiments/{id}/assignment", options: options, assignment)
    routes.on(
      .get, "/v1/experiments/{id}/results",
      answering { (request) throws(ExperimentRefusal) in
        let format = try Self.format(request)
        let experiment = try catalog.entry(Self.id(request)).experiment
        let results = try await Self.results(of: experiment, reader, follower, settled)
        return format == .csv
          ? QueryService.csv(ExperimentCSV.table(results, of: experiment))
          : Self.answer(ExperimentWriter.results(results, of: experiment))
      })
  }

  // MARK: Parts

  static func results(
    of experiment: Experiment, _ reader: any ExperimentReader, _ follower: any ExperimentFollower,
    _ settled: SettledAnalyses
  ) async throws(ExperimentRefusal) -> ExperimentResults {
    do throws(ViewReadError) {
      let plan = experiment.plan
      if !plan.isToldByRows {
        let window = try await reader.outcomeWindow()
        return try results(
          of: experiment, try follower.cohorts(of: experiment, outcomeWindow: window),
          arrivals: follower.arrivals(of: experiment), segments: .all, settled)
      }
      let range = experiment.touchedRange
      let rows = try await reader.cohorts(
        site: plan.site, campaign: plan.campaign, from: range.lowerBound, to: range.upperBound,
        level: plan.cohort, by: plan.rowDimensions)
      var answer = try results(
        of: experiment, rows, arrivals: follower.arrivals(of: experiment),
        segments: plan.isOfPersons ? .rows : .all, settled)
      if plan.isOfPersons { add(to: &answer, experiment, rows.outcomeWindow, follower, settled) }
      return answer
    } catch {
      switch error {
      case .unavailable(let reason): throw .unavailable(reason)
      case .refused(let reason): throw .conflict(reason)
      }
    }
  }

  private static func results(
    of experiment: Experiment, _ cohorts: ExperimentCohorts, arrivals: [SampleRatioStep],
    segments: ExperimentAnalysis.SegmentSource, _ settled: SettledAnalyses
  ) throws(ViewReadError) -> ExperimentResults {
    do throws(ExperimentError) {
      return try settled.results(of: experiment, cohorts, arrivals: arrivals, segments: segments)
    } catch {
      throw .unavailable("the rows of the experiment do not fit: \(error)")
    }
  }

  /// Results by what windows' rows don't tell of persons. Where nobody follows these the rest stands without.
  private static func add(
    to answer: inout ExperimentResults, _ experiment: Experiment, _ outcomeWindow: Int64,
    _ follower: any ExperimentFollower, _ settled: SettledAnalyses
  ) {
    do throws(ViewReadError) {
      let persons = try follower.cohorts(of: experiment, outcomeWindow: outcomeWindow)
      let more = try results(
        of: experiment, persons, arrivals: [], segments: .persons, settled)
      answer.segments += more.segments
      answer.hiddenSegments += more.hiddenSegments
    } catch {
      let reason =
        switch error {
        case .unavailable(let reason), .refused(let reason): reason
        }
      let names = experiment.plan.segmentsOfPersons.map(\.name).joined(separator: ", ")
      answer.warnings.append("there are no results by \(names): \(reason)")
    }
  }

  private static func id(_ request: HTTPRequest) -> String { request.parameters["id"] ?? "" }

  /// Of the query's `format`, else of `Accept`.
  private static func format(_ request: HTTPRequest) throws(ExperimentRefusal) -> AnswerFormat {
    var format = AnswerFormat(accept: request.header("Accept"))
    guard let fields = request.queryFields() else {
      throw .invalid(path: "?format", detail: "the query is not percent-encoded UTF-8")
    }
    for (name, value) in fields {
      guard name == "format" else {
        throw .invalid(
          path: "?\(name)", detail: "there is no such parameter", allowed: ["format"])
      }
      guard let given = AnswerFormat(rawValue: value) else {
        throw .invalid(
          path: "?format", detail: "\"\(value)\" is no form of an answer",
          allowed: AnswerFormat.allCases.map(\.rawValue))
      }
      format = given
    }
    return format
  }

  /// Of the query's `person`; of a POST also of its body's member.
  private static func person(_ request: HTTPRequest) throws(ExperimentRefusal) -> String {
    guard let fields = request.queryFields() else {
      throw .invalid(path: "?person", detail: "the query is not percent-encoded UTF-8")
    }
    for (name, _) in fields where name != "person" {
      throw .invalid(
        path: "?\(name)", detail: "there is no such parameter", allowed: ["person"])
    }
    let given = fields.map(\.value)
    guard given.count <= 1 else {
      throw .invalid(path: "?person", detail: "the parameter is repeated")
    }
    if let person = given.first {
      return try ExperimentFormat.person(person, path: "?person")
    }
    guard request.method == .post, !request.body.isEmpty else {
      throw .invalid(path: "?person", detail: "the person's id is needed")
    }
    return try ExperimentFormat.person(body: request.body)
  }

  /// A handler whose refusals are answered as problems.
  private func answering(
    _ body:
      @escaping @Sendable (HTTPRequest) async throws(ExperimentRefusal) -> HTTPResponse
  ) -> AsyncHandler {
    { [access] request in
      try access.check(request)
      do throws(ExperimentRefusal) {
        return try await body(request)
      } catch {
        throw Self.problem(error)
      }
    }
  }

  private func changing(
    _ body:
      @escaping @Sendable (HTTPRequest) async throws(ExperimentRefusal) -> HTTPResponse
  ) -> AsyncHandler {
    let handler = answering(body)
    return { request in
      try Self.checkOrigin(request)
      return try await handler(request)
    }
  }

  /// A page of another site must not change experiments by the browser of somebody who may.
  private static func checkOrigin(_ request: HTTPRequest) throws(Problem) {
    guard let origin = request.header("Origin")?.lowercased() else { return }
    let host = (request.header("Host") ?? "").lowercased()
    guard origin == "http://\(host)" || origin == "https://\(host)" else {
      throw Problem(
        .forbidden, code: "cross_origin",
        detail:
          "Experiments are changed by pages of this server and by programs, not by other pages.")
    }
  }

  private static func problem(_ refusal: ExperimentRefusal) -> Problem {
    switch refusal {
    case .invalid(let path, let detail, let allowed):
      let list = allowed.map { JSONText.quoted($0) }.joined(separator: ",")
      return Problem(
        .unprocessableContent, code: "invalid_experiment",
        detail: "\(path): \(detail)"
          + (allowed.isEmpty ? "" : "; allowed: " + allowed.joined(separator: ", ")),
        members: [(name: "path", json: JSONText.quoted(path))]
          + (allowed.isEmpty ? [] : [(name: "allowed", json: "[\(list)]")]))
    case .malformed(let detail):
      return Problem(
        .badRequest, code: QueryError.Code.invalidJSON.rawValue, detail: "$: \(detail)")
    case .conflict(let detail):
      return Problem(.conflict, code: "experiment_conflict", detail: detail)
    case .unknown(let detail):
      return Problem(.notFound, code: "unknown_experiment", detail: detail)
    case .unavailable(let detail):
      return Problem(
        .serviceUnavailable, code: "experiments_unavailable", detail: detail, retryAfterSeconds: 1)
    }
  }

  private static func answer(_ json: [UInt8], status: HTTPStatus = .ok) -> HTTPResponse {
    HTTPResponse(
      status: status,
      headers: [
        (name: "Content-Type", value: "application/json"),
        (name: "Cache-Control", value: "no-store"),
      ], body: .bytes(json))
  }
}
