import Dataflow
import Events
import Experiments
import HTTPServer
import Logging
import MemoryPorts
import Ports
import Statistics
import Synchronization
import Testing
import Views

@testable import QueryAPI

@Suite("Experiments over HTTP")
struct ExperimentRoutesTests {
  private static let start = 1_800_000_000_000_000 as Int64
  private static let minute: Int64 = 60_000_000

  /// Cohorts as a test says, and what was asked for.
  private final class Reader: ExperimentReader {
    let asked = Mutex<[Range<Int64>]>([])
    let result = Mutex<Result<ExperimentCohorts, ViewReadError>>(
      .success(ExperimentCohorts(cohorts: [], watermark: nil, outcomeWindow: 0)))

    func outcomeWindow() async throws(ViewReadError) -> Int64 {
      try result.withLock { $0 }.get().outcomeWindow
    }

    func cohorts(
      site: String, campaign: String, from: Int64, to: Int64, level: WindowLevel,
      by dimensions: [Dimension]
    ) async throws(ViewReadError) -> ExperimentCohorts {
      asked.withLock { $0.append(from..<to) }
      return try result.withLock { $0 }.get()
    }
  }

  private struct Service {
    let facts = MemoryFacts()
    let reader = Reader()
    var routes = Routes()

    init(follower: any ExperimentFollower = NoExperimentFollower()) throws {
      let count = Mutex(0)
      let catalog = ExperimentCatalog(
        declared: [], facts: facts, clock: { ExperimentRoutesTests.start },
        eventID: {
          count.withLock { count in
            count += 1
            return "event-\(count)"
          }
        }, noticed: { _ in })
      ExperimentRoutes(
        catalog, reader: reader, access: try QueryAccess(token: nil, boundTo: "127.0.0.1"),
        follower: follower, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      ).declare(on: &routes)
    }

    /// Status, and the JSON of the answer or the problem.
    func ask(
      _ method: HTTPMethod, _ target: String, _ body: String = ""
    ) async throws -> (status: Int, json: JSONTree) {
      do {
        let answer = try await routes.answer(method, target, body: Array(body.utf8))
        let response = try #require(answer)
        guard case .bytes(let bytes) = response.body else { throw HTTPStatusMissing() }
        return (response.status.code, try JSONTree(bytes))
      } catch let problem as Problem {
        return (problem.status.code, try JSONTree(problem.json))
      }
    }
  }

  private struct HTTPStatusMissing: Error {}

  private static let draft =
    #"{"id":"x","campaign":"spring","variants":["a","b"],"control":"a","weights":{"a":0.5,"b":0.5}}"#

  @Test("an experiment is declared, started, asked for persons, allotted anew and stopped")
  func life() async throws {
    let service = try Service()
    let declared = try await service.ask(.post, "/v1/experiments", Self.draft)
    #expect(declared.status == 201)
    #expect(declared.json["status"] == .string("draft"))
    #expect(declared.json["revision"] == .integer(1))
    #expect(
      declared.json["ranges"]
        == (try JSONTree(
          Array(
            #"[{"from":0,"to":500000,"variant":"a"},{"from":500000,"to":1000000,"variant":"b"}]"#
              .utf8))))
    let before = try await service.ask(.get, "/v1/experiments/x/assignment?person=ann")
    #expect(before.json["variant"] == .null && before.json["in_experiment"] == .bool(false))
    let started = try await service.ask(.patch, "/v1/experiments/x", #"{"status":"running"}"#)
    #expect(started.status == 200 && started.json["status"] == .string("running"))
    let ways: [(HTTPMethod, String, String)] = [
      (.get, "?person=ann", ""), (.post, "?person=ann", ""), (.post, "", #"{"person":"ann"}"#),
    ]
    let bucket = PersonBucket.of("ann", in: "x")
    for (method, query, body) in ways {
      let answer = try await service.ask(method, "/v1/experiments/x/assignment" + query, body)
      #expect(answer.status == 200)
      #expect(
        answer.json
          == (try JSONTree(
            Array(
              """
              {"experiment":"x","status":"running","person":"ann","variant":\
              "\(bucket < 500_000 ? "a" : "b")","in_experiment":true,"bucket":\(bucket),\
              "probabilities":{"a":0.5,"b":0.5},"epoch":0}
              """.utf8))))
    }
    let allotted = try await service.ask(
      .patch, "/v1/experiments/x", #"{"weights":{"a":0.25,"b":0.75},"revision":2}"#)
    #expect(allotted.status == 200 && allotted.json["revision"] == .integer(3))
    let late = try await service.ask(
      .patch, "/v1/experiments/x", #"{"weights":{"a":0,"b":1},"revision":2}"#)
    #expect(late.status == 409 && late.json["code"] == .string("experiment_conflict"))
    let stopped = try await service.ask(
      .patch, "/v1/experiments/x", #"{"status":"stopped","decision":{"variant":"b"}}"#)
    #expect(stopped.status == 200 && stopped.json["decision"]?["variant"] == .string("b"))
    let after = try await service.ask(.get, "/v1/experiments/x/assignment?person=ann")
    #expect(after.json["variant"] == .string("b") && after.json["in_experiment"] == .bool(false))
    let list = try await service.ask(.get, "/v1/experiments")
    guard case .array(let items)? = list.json["experiments"] else {
      Issue.record("\(list.json)")
      return
    }
    #expect(items == [stopped.json])
    #expect(try await service.ask(.get, "/v1/experiments/x").json == stopped.json)
  }

  @Test("what is wrong is 422, what clashes 409, what is not there 404, what is away 503")
  func refusals() async throws {
    let service = try Service()
    _ = try await service.ask(.post, "/v1/experiments", Self.draft)
    let cases: [(HTTPMethod, String, String, Int, String)] = [
      (.post, "/v1/experiments", "{", 400, "invalid_json"),
      (.post, "/v1/experiments", Self.draft, 409, "experiment_conflict"),
      (.get, "/v1/experiments/x/assignment", "", 422, "invalid_experiment"),
      (.get, "/v1/experiments/x/assignment?person=", "", 422, "invalid_experiment"),
      (.get, "/v1/experiments/x/assignment?user=ann", "", 422, "invalid_experiment"),
      (.get, "/v1/experiments/x/assignment?person=a&person=b", "", 422, "invalid_experiment"),
      (.post, "/v1/experiments/x/assignment", "{}", 422, "invalid_experiment"),
      (.patch, "/v1/experiments/x", #"{"alpha":7}"#, 422, "invalid_experiment"),
      (.get, "/v1/experiments/y", "", 404, "unknown_experiment"),
      (.patch, "/v1/experiments/y", #"{"status":"running"}"#, 404, "unknown_experiment"),
      (.get, "/v1/experiments/y/results", "", 404, "unknown_experiment"),
      (.get, "/v1/experiments/y/assignment?person=ann", "", 404, "unknown_experiment"),
    ]
    for (method, target, body, status, code) in cases {
      let answer = try await service.ask(method, target, body)
      #expect(answer.status == status, "\(method) \(target) \(body)")
      #expect(answer.json["code"] == .string(code))
    }
    let other = Self.draft.replacing("\"x\"", with: "\"z\"")
    let sites = #"{"site":"shop","site_id":"blog","#
    let twoSites = try await service.ask(.post, "/v1/experiments", sites + other.dropFirst())
    #expect(twoSites.status == 422 && twoSites.json["path"] == .string("$.site_id"))
    let place = try await service.ask(.patch, "/v1/experiments/x", #"{"metric":"clicks"}"#)
    #expect(place.json["path"] == .string("$.metric"))
    guard case .array(let allowed)? = place.json["allowed"] else {
      Issue.record("\(place.json)")
      return
    }
    #expect(allowed == ExperimentMetric.allowed.map { .string($0) })
    service.reader.result.withLock { $0 = .failure(.unavailable("Postgres is away")) }
    #expect(try await service.ask(.get, "/v1/experiments/x/results").status == 503)
    service.reader.result.withLock { $0 = .failure(.refused("no exposures")) }
    #expect(try await service.ask(.get, "/v1/experiments/x/results").status == 409)
    service.facts.isAway = true
    #expect(
      try await service.ask(.patch, "/v1/experiments/x", #"{"status":"running"}"#).status == 503)
    #expect(try await service.ask(.get, "/v1/experiments/x/assignment?person=ann").status == 200)
  }

  @Test("of a running experiment it is said that it runs, whatever the change would be good for")
  func fixedPlan() async throws {
    let service = try Service()
    let draft = #"{"site_id":"shop","planned_persons":500,"guardrails":["conversion_rate"],"#
    let declared = try await service.ask(.post, "/v1/experiments", draft + Self.draft.dropFirst())
    #expect(declared.status == 201 && declared.json["site"] == .string("shop"))
    _ = try await service.ask(.patch, "/v1/experiments/x", #"{"status":"running"}"#)
    for change in [
      #"{"metric":"conversion_rate"}"#, #"{"variants":["a","c"]}"#, #"{"control":"d"}"#,
      #"{"variants":["a","c"],"weights":{"a":0.5,"c":0.5}}"#,
    ] {
      let answer = try await service.ask(.patch, "/v1/experiments/x", change)
      #expect(answer.status == 409, "\(change)")
      guard case .string(let detail)? = answer.json["detail"] else {
        Issue.record("\(answer.json)")
        continue
      }
      #expect(detail.contains("is running"))
    }
    let same = #"{"metric":"click_rate","weights":{"a":0.1,"b":0.9}}"#
    #expect(try await service.ask(.patch, "/v1/experiments/x", same).status == 200)
  }

  @Test("results are read from the first whole window on, and written with their reasons")
  func results() async throws {
    let service = try Service()
    _ = try await service.ask(.post, "/v1/experiments", Self.draft)
    _ = try await service.ask(.patch, "/v1/experiments/x", #"{"status":"running"}"#)
    var rows: [ExperimentCohort] = []
    for window in 0..<100 {
      for (variant, clickers) in [("a", 5 as Int64), ("b", 8)] {
        rows.append(
          ExperimentCohort(
            start: Self.start + Int64(window) * Self.minute, variant: variant, channel: "web",
            exposures: Exposures(persons: 100, clickers: clickers)))
      }
    }
    service.reader.result.withLock {
      $0 = .success(
        ExperimentCohorts(
          cohorts: rows, watermark: Self.start + 101 * Self.minute, outcomeWindow: Self.minute,
          position: Position("1~0.7"), logTime: Self.start + 102 * Self.minute))
    }
    let answer = try await service.ask(.get, "/v1/experiments/x/results")
    #expect(answer.status == 200)
    #expect(service.reader.asked.withLock { $0 } == [Self.start..<Int64.max])
    let json = answer.json
    #expect(json["decision"]?["action"] == .string("take_treatment"))
    #expect(json["decision"]?["variant"] == .string("b"))
    #expect(
      json["decision"]?["reasons"]
        == .array([
          .string(
            "b is better: 8 % of 10000 persons against 5 % of 10000, lift 60 % (34.5 to 86.2)")
        ]))
    guard case .array(let variants)? = json["variants"] else {
      Issue.record("\(json)")
      return
    }
    #expect(variants.map { $0["persons"] } == [.integer(10_000), .integer(10_000)])
    let metric = variants[1]["metrics"]?["click_rate"]
    #expect(metric?["value"] == .number(0.08, text: "0.08"))
    #expect(metric?["comparison"]?["decision"] == .string("better"))
    #expect(variants[0]["metrics"]?["click_rate"]?["comparison"] == nil)
    #expect(
      json["completeness"]?["mature_until"]
        == .string(
          Timestamp.format(
            Self.start + 100 * Self.minute)))
    #expect(json["sample_ratio"]?["is_mismatch"] == .bool(false))
    #expect(json["progress"]?["persons"] == .integer(10_000))
    #expect(variants[1]["chance_to_beat_control"]?.double ?? 0 > 0.999)
    #expect(variants[0]["chance_to_beat_control"] == .null)
    guard case .array(let epochs)? = json["epochs"],
      case .array(let parts)? = epochs.first?["variants"]
    else {
      Issue.record("\(json)")
      return
    }
    #expect(epochs.count == 1 && epochs[0]["since"] == .string(Timestamp.format(Self.start)))
    #expect(parts.map { $0["persons"] } == [.integer(10_000), .integer(10_000)])
    #expect(parts[0]["lift"] == .null && (parts[1]["lift"]?.double ?? 0) - 0.6 < 1e-9)
    #expect(json["completeness"]?["position"] == .string("1~0.7"))
    #expect(
      json["completeness"]?["log_time"] == .string(Timestamp.format(Self.start + 102 * Self.minute))
    )
    let table = try await service.routes.answer(.get, "/v1/experiments/x/results?format=csv")
    guard case .bytes(let bytes)? = table?.body else {
      Issue.record("no table")
      return
    }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    #expect(lines.allSatisfy { $0.count == lines[0].count })
    let place = try #require(lines[0].firstIndex(of: "metric"))
    let rates = lines.filter { $0[place] == "click_rate" && $0[1].isEmpty }
    #expect(rates.map { $0[2...4].joined(separator: " ") } == ["a true 10000", "b false 10000"])
    #expect(rates.map { $0[place + 1] } == ["0.05", "0.08"])
    #expect(rates.map { $0[place + 12] } == ["", "better"])
    let wrong = try await service.ask(.get, "/v1/experiments/x/results?format=xml")
    #expect(wrong.status == 422)
  }

  /// Persons as a test says.
  private struct Follower: ExperimentFollower {
    var cohorts: [ExperimentCohort]

    func arrivals(of experiment: Experiment) -> [SampleRatioStep] {
      (0..<100).map { minute in
        SampleRatioStep(
          start: ExperimentRoutesTests.start + minute * ExperimentRoutesTests.minute,
          values: [SampleRatioStep.Value("device", minute % 2 == 0 ? "mobile" : "desktop")],
          visitors: minute % 2 == 0 ? [60, 40] : [50, 50], probabilities: [])
      }
    }

    func cohorts(
      of experiment: Experiment, outcomeWindow: Int64
    ) throws(ViewReadError) -> ExperimentCohorts {
      ExperimentCohorts(
        cohorts: cohorts, watermark: .max, outcomeWindow: experiment.plan.outcomeWindow ?? 0)
    }
  }

  @Test("what rows don't tell comes of persons: devices, goals, an outcome window of its own")
  func persons() async throws {
    let plan = #"{"metric":"goal:Signed Up","segments":["device"],"outcome_window_seconds":30,"#
    var cohorts: [ExperimentCohort] = []
    for window in 0..<100 {
      for (variant, count) in [("a", 5 as Int64), ("b", 8)] {
        for device in ["desktop", "mobile"] {
          cohorts.append(
            ExperimentCohort(
              start: Self.start + Int64(window) * Self.minute, variant: variant, device: device,
              exposures: Exposures(persons: 100), actions: CohortActions(goals: [count])))
        }
      }
    }
    for (follower, status) in [
      (Follower(cohorts: cohorts) as any ExperimentFollower, 200), (NoExperimentFollower(), 409),
    ] {
      let service = try Service(follower: follower)
      _ = try await service.ask(.post, "/v1/experiments", plan + Self.draft.dropFirst())
      _ = try await service.ask(.patch, "/v1/experiments/x", #"{"status":"running"}"#)
      let answer = try await service.ask(.get, "/v1/experiments/x/results")
      #expect(answer.status == status)
      guard status == 200 else { continue }
      #expect(service.reader.asked.withLock { $0 }.isEmpty)
      #expect(answer.json["metric"] == .string("goal:Signed Up"))
      #expect(answer.json["completeness"]?["outcome_window_seconds"] == .number(30, text: "30.0"))
      // Half as many came to b by mobile devices alone.
      #expect(answer.json["decision"]?["action"] == .string("distrust"))
      guard case .array(let failures)? = answer.json["sample_ratio"]?["failures"],
        case .array(let segments)? = answer.json["segments"]
      else {
        Issue.record("\(answer.json)")
        return
      }
      #expect(failures.map { $0["value"] } == [.string("device=mobile")])
      #expect(segments.map { $0["value"] } == [.string("desktop"), .string("mobile")])
    }
  }

  @Test("where devices alone are not in rows, all but their results comes of these")
  func devices() async throws {
    var rows: [ExperimentCohort] = []
    var persons: [ExperimentCohort] = []
    for window in 0..<100 {
      for (variant, count) in [("a", 5 as Int64), ("b", 8)] {
        let start = Self.start + Int64(window) * Self.minute
        let exposures = Exposures(persons: 100, clickers: count)
        rows.append(
          ExperimentCohort(
            start: start, variant: variant, exposures: exposures,
            baselines: Baselines(prior: 50, priorSquared: 100, priorClicked: 2 * count)))
        persons.append(
          ExperimentCohort(start: start, variant: variant, device: "tablet", exposures: exposures))
      }
    }
    let cohorts = ExperimentCohorts(
      cohorts: rows, watermark: .max, outcomeWindow: Self.minute)
    for follower in [Follower(cohorts: persons) as any ExperimentFollower, NoExperimentFollower()] {
      let service = try Service(follower: follower)
      service.reader.result.withLock { $0 = .success(cohorts) }
      let plan = #"{"segments":["device"],"# + Self.draft.dropFirst()
      _ = try await service.ask(.post, "/v1/experiments", plan)
      _ = try await service.ask(.patch, "/v1/experiments/x", #"{"status":"running"}"#)
      let answer = try await service.ask(.get, "/v1/experiments/x/results")
      #expect(answer.status == 200)
      guard case .array(let variants)? = answer.json["variants"],
        case .array(let segments)? = answer.json["segments"],
        case .array(let warnings)? = answer.json["warnings"]
      else {
        Issue.record("\(answer.json)")
        return
      }
      let comparison = variants[1]["metrics"]?["click_rate"]?["comparison"]
      let reduction = try #require(comparison?["variance_reduction"]?.double)
      #expect(reduction > 0, "rows know what persons did before")
      if follower is Follower {
        #expect(segments.map { $0["value"] } == [.string("tablet")])
        #expect(warnings.isEmpty)
      } else {
        #expect(segments.isEmpty)
        let warning = try #require(warnings.first?.text)
        #expect(warning.hasPrefix("there are no results by device: "))
      }
    }
  }

  @Test("cohorts come from durable rows of both measures, joined by what the first exposure was")
  func reader() async throws {
    let spec = PipelineSpec(name: "default", persons: PersonPolicy(experiments: ExperimentPolicy()))
    let durable = CohortRows(of: spec)
    let view = ReadView(
      name: "default", durable: durable, hot: MemoryHotReader(), generation: 1, partitionCount: 1,
      secondStage: ReadView.SecondStage(of: spec, hot: MemoryHotReader()))
    let reader = ViewExperimentReader(ReadViewSource(view), clock: { Self.start })
    let answer = try await reader.cohorts(
      site: "default", campaign: "spring", from: Self.start, to: .max, level: .minute,
      by: [.channel])
    #expect(answer.outcomeWindow == 3_600_000_000)
    #expect(answer.watermark == Self.start + 5 * Self.minute)
    #expect(
      answer.cohorts == [
        ExperimentCohort(
          start: Self.start, variant: "a", channel: "web", exposures: Exposures(persons: 7),
          baselines: Baselines(prior: 3)),
        ExperimentCohort(
          start: Self.start + Self.minute, variant: "b", channel: "web", currency: "USD",
          exposures: Exposures(revenueMicros: 5)),
      ])
    let asked = durable.asked.withLock { $0 }
    #expect(asked.map(\.measure) == [.exposures, .baselines])
    #expect(asked.allSatisfy { $0.groupBy == [.variant, .traffic, .channel] })
    #expect(asked[0].buckets.count == 7, "up to the newest minute of the log")
    await #expect(throws: ViewReadError.self) {
      _ = try await reader.cohorts(
        site: "default", campaign: "spring", from: Self.start - 91 * 86_400_000_000, to: .max,
        level: .minute, by: [])
    }
    let plain = ReadView(
      name: "recent", durable: durable, hot: MemoryHotReader(), generation: 1, partitionCount: 1)
    await #expect(throws: ViewReadError.self) {
      _ = try await ViewExperimentReader(ReadViewSource(plain)).cohorts(
        site: "default", campaign: "spring", from: Self.start, to: .max, level: .minute,
        by: [])
    }
  }
}

extension JSONTree {
  fileprivate var double: Double? {
    guard case .number(let value, _) = self else { return nil }
    return value
  }

  fileprivate var text: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }
}

/// Rows of exposures and baselines, as Postgres gives them, and what was asked for.
private final class CohortRows: DurableViewReader {
  let asked = Mutex<[ViewSelection]>([])
  private let stream: StreamPartition

  init(of spec: PipelineSpec) { stream = .partials(of: spec) }

  func checkpoints() async throws(ViewReadError) -> [StreamPartition: Checkpoint] {
    var checkpoint = Checkpoint()
    checkpoint.watermark = 1_800_000_300_000_000
    checkpoint.logTime = 1_800_000_360_000_001
    return [stream: checkpoint]
  }

  func read(
    _ selection: ViewSelection, belowSeams: Bool
  ) async throws(ViewReadError) -> DurableAnswer {
    asked.withLock { $0.append(selection) }
    let counts = { (name: WritableKeyPath<Counts, Int64>, value: Int64) in
      var counts = Counts()
      counts[keyPath: name] = value
      return counts
    }
    let groups =
      selection.measure == .exposures
      ? [
        ViewGroup(
          bucket: 1, dimensions: ["b", "", "web"], currency: "USD",
          counts: counts(\.revenueMicros, 5)),
        ViewGroup(
          bucket: 0, dimensions: ["a", "", "web"], currency: "",
          counts: counts(\.impressions, 7)),
      ]
      : [
        ViewGroup(
          bucket: 0, dimensions: ["a", "", "web"], currency: "",
          counts: counts(\.impressions, 3))
      ]
    return DurableAnswer(groups: groups, checkpoints: [:])
  }

  func trends(
    site: String, groupBy dimension: Dimension
  ) async throws(ViewReadError) -> TrendAnswer { throw .refused("no trends") }

  func accounting() async throws(ViewReadError) -> Accounting { throw .refused("no accounting") }
}
