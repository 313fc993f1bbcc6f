import Collector
import Events
import Experiments
import HTTPServer
import Logging
import Metrics
import Ports
import Testing
import Views

@testable import QueryAPI

@Suite struct OpenAPITests {
  private func document() throws -> JSONValue {
    try JSONValue(parsing: Array(OpenAPIDocument.text.utf8))
  }

  /// Method and path of every operation, such as `GET /metrics`.
  private func operations() throws -> [String] {
    let paths = try #require(try document()["paths"]?.members)
    return paths.flatMap { path in
      path.value.members.map { "\($0.name.uppercased()) \(path.name)" }
    }
  }

  @Test("the document lists the routes that are declared, and each of them")
  func agrees() throws {
    let view = SimulatedView(partitions: [SimulatedPartition(events: [])]).executor.view
    let registry = MetricRegistry()
    var routes = Routes()
    QueryRoutes(
      views: [ReadViewSource(view)], access: try QueryAccess(token: nil, boundTo: "127.0.0.1"),
      registry: registry
    ).declare(on: &routes)
    IncidentRoutes(
      views: [ReadViewSource(view)], access: try QueryAccess(token: nil, boundTo: "127.0.0.1"),
      registry: registry, feedback: nil
    ).declare(on: &routes)
    KeyRoutes(
      KeyStore(path: "/nonexistent/keys.json"), check: { _ in }, changed: {},
      log: Logger(label: "test")
    ).declare(on: &routes)
    ExperimentRoutes(
      ExperimentCatalog(
        declared: [], facts: nil, clock: { 0 }, eventID: { "" }, noticed: { _ in }),
      reader: ViewExperimentReader(ReadViewSource(view)),
      access: try QueryAccess(token: nil, boundTo: "127.0.0.1"),
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ).declare(on: &routes)
    OperationsRoutes(checks: [], registry: registry).declare(on: &routes)
    DebugRoutes(EventDebugger(), check: { _ in }).declare(on: &routes)
    let producer = Key128(low: 1, high: 1)
    let pipeline = try IngestPipeline(
      IngestParameters(),
      target: IngestTarget(
        generation: IngestGeneration(number: 1, streams: ["events"]), deadLetterStream: "letters",
        producer: producer), publisher: IdlePublisher(), metrics: MetricRegistry(),
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    IngestRoutes(
      keys: WriteKeyTable([]), pipeline: pipeline, producer: producer, metrics: MetricRegistry()
    ).add(to: &routes)
    let documented = try operations()
    for path in routes.paths { #expect(documented.contains(path), "\(path)") }
    // The console declares two pages, the tracker its script. Decisions are another module's, whose tests hold
    // them against this list.
    let decisions = documented.filter { path in
      [
        "/v1/decide", "/v1/decisions", "/flags", "/decide", "/v1/recommendations", "/v1/profiles",
        "/v1/segments", "/v1/timing", "/v1/forecasts", "/v1/novelties", "/v1/models",
        "/v1/retractions",
      ].contains { path.contains(" \($0)") }
    }
    #expect(documented.count == routes.paths.count + 3 + decisions.count)
  }

  @Test("operations have names of their own")
  func names() throws {
    let paths = try #require(try document()["paths"]?.members)
    let names = paths.flatMap { $0.value.members.map { $0.value["operationId"] } }
    #expect(names.allSatisfy { $0 != nil })
    #expect(Set(names).count == names.count)
  }

  @Test("every reference leads somewhere")
  func references() throws {
    let document = try document()
    func check(_ value: JSONValue) {
      switch value {
      case .array(let items): items.forEach(check)
      case .object(let members):
        for member in members {
          if member.name == "$ref", case .string(let text) = member.value {
            let target = text.split(separator: "/").dropFirst().reduce(document) {
              $0?[String($1)]
            }
            #expect(target != nil, "\(text)")
          }
          check(member.value)
        }
      default: break
      }
    }
    check(document)
  }

  @Test("the query's members, metrics and words are the parser's")
  func query() throws {
    let schemas = try #require(try document()["components"]?["schemas"])
    let members = try #require(schemas["Query"]?["properties"]?.members).map(\.name)
    #expect(Set(members) == Set(QueryRequestParser.members))
    let metrics = schemas["Query"]?["properties"]?["metrics"]?["items"]?["enum"]
    #expect(metrics == .array(Metric.allCases.map { .string($0.rawValue) }))
  }
}

/// Nothing is sent here.
private final class IdlePublisher: FramePublisher {
  let inFlight = 0
  let windowMax = 1

  func publish(stream: String, messageID: String, frame: [UInt8], token: UInt64) {}
  func poll(timeoutMs: Int) -> [(token: UInt64, outcome: PublishOutcome)] { [] }
  func wake() {}
}

extension JSONValue {
  fileprivate var members: [Member] {
    if case .object(let members) = self { return members }
    return []
  }

  fileprivate subscript(name: String) -> JSONValue? {
    members.first { $0.name == name }?.value
  }
}

extension JSONValue? {
  fileprivate subscript(name: String) -> JSONValue? {
    if case .some(let value) = self { return value[name] }
    return nil
  }
}
