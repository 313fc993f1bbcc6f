import ArgumentParser
import Dataflow
import Definitions
import Events
import Glibc
import HTTPServer
import JetStreamLog
import LogFollowing
import Metrics
import NATSClient
import Ports
import PostgresClient
import QueryAPI
import Runtime
import Views

/// `smartcontent replay`: what the numbers were at an instant of the past, and what another policy would have earned in it.
struct ReplayCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay",
    abstract:
      "Give any read model as it stood at a time of the log, or evaluate a policy over a stretch of it.",
    discussion: """
      Runs the pipeline on the log, archive first, up to the frames stored at --until, into memory; \
      then answers a request as the query API would have at that time, or prints every row of every \
      read model: windows of activity and outcomes, trends, incidents, late events, accounting. \
      Nothing is written. With --declared the past is computed by what pipelines.yaml says now: give another \
      folder with --streams to try another lateness or other windows on the same events.

      With --policy or --decision the decisions of a plan are made again instead, each from what had been \
      read of the log when it was made, and what the policy would have earned in their place is estimated \
      from what they earned: one JSON object, the same bytes for the same stretch. With the plan's own policy it tells \
      how many decisions came out to the bit.

      Exit codes: 0 done, 1 the query is refused or decisions of the plan's own policy came out otherwise, 3 the log \
      cannot be read.
      """)

  @OptionGroup var servers: ServerOptions
  @OptionGroup var folder: StreamsFolderOption
  @OptionGroup var archive: ArchiveOption

  @Option(
    help: ArgumentHelp(
      "The time: 2026-11-01T12:00:00Z, or how long ago, such as 2h. A policy's evaluation goes to the log's end by default.",
      valueName: "time"))
  var until: LogTime?

  @Option(
    help: ArgumentHelp(
      "Of a policy's evaluation: decisions since this time, of all by default.", valueName: "time"))
  var from: LogTime?

  @Option(
    help: ArgumentHelp(
      "The policy to evaluate, as decisions.yaml has it: kl_ucb, '{name: epsilon_greedy, epsilon: 0.2}', or the name of one of the plan's shadows.",
      valueName: "policy"))
  var policy: String?

  @Option(
    help: ArgumentHelp(
      "The plan whose decisions are made again; may be left out where there is one. Without --policy by its own.",
      valueName: "id"))
  var decision: String?

  @Option(help: "The pipeline.")
  var pipeline = "default"

  @Option(help: "This version instead of the active one.")
  var version: Int?

  @Flag(help: "What pipelines.yaml declares, instead of the active version.")
  var declared = false

  @Option(
    help: ArgumentHelp(
      "The JSON of POST /v1/query; `date_range` counts back from --until.", valueName: "json"))
  var query: String?

  @Option(
    help: ArgumentHelp(
      "A GET request of the query API, such as '/v1/trends?by=content', /v1/incidents,"
        + " /v1/accounting or /v1/content/ID/metrics. Instead of --query.", valueName: "target"))
  var get: String?

  @Option(
    name: .customLong("metric"),
    help: "A metric of the query, such as clicks; may be repeated. Instead of --query.")
  var metrics: [String] = []

  @Option(
    name: .customLong("dimension"), help: "Group by this dimension; may be repeated.")
  var dimensions: [String] = []

  @Option(help: "The query's date range, such as 1h or 7d.")
  var dateRange = "24h"

  @Option(help: "The query's granularity, such as hour.")
  var granularity: String?

  func validate() throws {
    guard [query != nil, get != nil, !metrics.isEmpty].filter({ $0 }).count <= 1 else {
      throw ValidationError("--query, --get and --metric are three ways to ask; use one")
    }
    guard version == nil || !declared else {
      throw ValidationError("--version and --declared are two different things")
    }
    if isOfDecisions {
      guard query == nil, get == nil, metrics.isEmpty else {
        throw ValidationError(
          "--policy and --decision make decisions again; --query, --get and --metric ask for read models; use one"
        )
      }
    } else {
      guard until != nil else {
        throw ValidationError("--until is needed, such as 2026-11-01T12:00:00Z or 2h")
      }
      guard from == nil else { throw ValidationError("--from goes with --policy or --decision") }
    }
  }

  private var isOfDecisions: Bool { policy != nil || decision != nil }

  func run() async throws {
    let definitions = try Definitions(folder: try folder.find())
    let log = JetStreamLog(address: try NATSAddress(try servers.natsURL()), name: "replay")
    if isOfDecisions {
      return try PolicyReplay(
        definitions, plan: decision, policy: policy,
        stretch: DecisionReplay.Stretch(from: from?.micros ?? .min, until: until?.micros)
      ).run(
        log: archive.log(log),
        generations: try StreamSetup(log.admin).adopted(definitions.streams).logGenerations)
    }
    guard let named = definitions.pipeline(pipeline) else {
      throw ValidationError(
        "--pipeline \(pipeline) is not declared; there are "
          + definitions.pipelines.map(\.name).joined(separator: ", "))
    }
    let spec =
      declared
      ? named
      : try PipelineVersions(PostgresSettings(connection: try servers.postgresURL()))
        .spec(of: named, version: version)
    let streams = try StreamSetup(log.admin).adopted(definitions.streams)
    let progress = ProgressLine("\(spec.name) v\(spec.version)", unit: "frames")
    let replay = LogReplay(
      spec, generations: streams.logGenerations, deadLetters: streams.deadLetterPartition,
      log: archive.log(log), until: until?.micros ?? .max
    ) { progress.update(done: $0.done, total: $0.total) }
    let views: ReplayedViews
    do throws(ReplayError) {
      views = try replay.run()
      progress.end()
    } catch {
      progress.end()
      StandardError.say("smartcontent replay: \(Self.text(error))\n")
      throw ExitCode(3)
    }
    if let get {
      try await answer(.get, get, [], of: views, spec, streams)
    } else if query != nil || !metrics.isEmpty {
      try await answer(
        .post, "/v1/query", Array((query ?? queryJSON).utf8), of: views, spec, streams)
    } else {
      for line in ReplayedLines.all(of: views) { print(line) }
    }
  }

  private static func text(_ error: ReplayError) -> String {
    switch error {
    case .log(let error): LogErrorText.of(error)
    case .pipeline(let stream, let error): "\(stream): \(error)"
    }
  }

  private func answer(
    _ method: HTTPMethod, _ target: String, _ body: [UInt8], of views: ReplayedViews,
    _ spec: PipelineSpec, _ streams: StreamDefinitions
  ) async throws {
    let until = until?.micros ?? .max
    let view = ReadView(
      name: spec.name, version: spec.version, durable: views, hot: views,
      generation: streams.generation, partitionCount: streams.partitions,
      secondStage: ReadView.SecondStage(of: spec, hot: views),
      incidents: spec.anomalies == nil ? nil : views)
    let access = try QueryAccess(token: nil, boundTo: "127.0.0.1")
    let registry = MetricRegistry()
    let routes = QueryRoutes(
      views: [ReadViewSource(view)], access: access, registry: registry, clock: { until })
    let incidents = IncidentRoutes(
      views: [ReadViewSource(view)], access: access, registry: registry, feedback: nil,
      clock: { until })
    do throws(HTTPServer.Problem) {
      print(try await routes.answer(method, target, body: body, incidents: incidents))
    } catch {
      StandardError.say("smartcontent replay: \(error.code): \(error.detail)\n")
      throw ExitCode.failure
    }
  }

  private var queryJSON: String {
    var json = JSONWriter()
    json.beginObject()
    func list(_ key: String, _ values: [String]) {
      json.key(key)
      json.beginArray()
      for value in values { json.string(value) }
      json.endArray()
    }
    list("metrics", metrics)
    list("dimensions", dimensions)
    json.key("date_range")
    json.string(dateRange)
    if let granularity {
      json.key("granularity")
      json.string(granularity)
    }
    json.endObject()
    return String(decoding: json.bytes, as: UTF8.self)
  }
}
