import Events
import HTTPClient
import HTTPServer
import Learning
import Synchronization
import Testing

@testable import DecisionAPI
@testable import QueryAPI

/// `GET /v1/decisions` and what is below it.
@Suite struct ReportTests {
  private func reports(
    _ fixture: DecisionFixture, problem: String? = nil, isOpen: Bool = true,
    plan: DecisionPlan = DecisionFixture.plan, promotions: PromotionDesk? = nil
  ) -> Routes {
    var routes = Routes()
    DecisionReports(
      plans: [plan], models: { [board = fixture.board] in board.current },
      problem: { problem }, signer: fixture.signer,
      find: { [fixture] token in
        fixture.events.first { $0.id == token.id.description }.map {
          (event: $0, position: "1~2.9")
        }
      }, promotions: promotions,
      check: { _ throws(Problem) in
        if !isOpen { throw Problem(.unauthorized, code: "token_missing", detail: "no token") }
      }
    ).declare(on: &routes)
    return routes
  }

  private static let shadowed: DecisionPlan = {
    var plan = DecisionFixture.plan
    plan.shadows = [.init(name: "even", policy: .uniform), .init(name: "first", policy: .fixed)]
    return plan
  }()

  private func desk(_ fixture: DecisionFixture) -> PromotionDesk {
    PromotionDesk(
      store: { [fixture] events, completion in
        fixture.stored.withLock { $0 += events }
        completion(fixture.storage.withLock { $0 })
      }, cleaned: { $0 == "asked by ada" ? "asked by [name]" : $0 },
      clock: { DecisionFixture.start + 9_000_000 })
  }

  @Test("A person promotes a shadow: an event says who did it, when, and what was known")
  func promotes() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([16_384, 0, 49_152], of: Self.shadowed)
    let routes = reports(fixture, plan: Self.shadowed, promotions: desk(fixture))
    let report = try await get(routes, "/v1/decisions/hero")
    #expect(report["promotion"]?["deciding"]?.string == "declared")
    #expect(report["promotion"]?["rule"]?.string == "by_person")
    guard case .array(let shadows)? = report["shadows"] else { throw DecisionFixture.Malformed() }
    #expect(shadows.map { $0["policy_name"]?.string } == ["even", "first"])
    func ask(_ body: String) async throws -> HTTPResponse? {
      try await routes.answer(
        .post, "/v1/decisions/hero/promotion", body: Array(body.utf8))
    }
    let answer = try #require(
      try await ask(#"{"policy":"even","note":"asked by ada"}"#))
    guard case .bytes(let bytes) = answer.body else { throw DecisionFixture.Malformed() }
    #expect(try JSONTree(bytes)["position"]?.string == "1~0.7")
    let event = try #require(fixture.events.last)
    #expect(event.kind == .decision && event.name == DecisionPromotion.eventName)
    let promotion = try event.payload.withUnsafeBytes { try DecisionPromotion(payload: $0) }
    #expect(
      promotion
        == DecisionPromotion(
          plan: "hero", version: Self.shadowed.version, policy: "even",
          since: DecisionFixture.start + 9_000_000, cause: .person, note: "asked by [name]"))
    for (body, code) in [
      ("{}", "invalid_value"), (#"{"policy":"none"}"#, "unknown_policy"),
      (#"{"policy":"declared"}"#, "is_deciding"), ("[", "invalid_json"),
      (#"{"policy":"even","who":1}"#, "invalid_value"),
    ] {
      let problem = await #expect(throws: Problem.self) { try await ask(body) }
      #expect(problem?.code == code, "\(body)")
    }
    fixture.storage.withLock { $0 = .unavailable }
    let away = await #expect(throws: Problem.self) { try await ask(#"{"policy":"even"}"#) }
    #expect(away?.code == "log_unavailable" && away?.status == .serviceUnavailable)
    let mute = await #expect(throws: Problem.self) {
      try await reports(fixture, plan: Self.shadowed).answer(
        .post, "/v1/decisions/hero/promotion", body: Array(#"{"policy":"even"}"#.utf8))
    }
    #expect(mute?.code == "promotions_not_taken")
    let closed = await #expect(throws: Problem.self) {
      try await reports(fixture, isOpen: false).answer(
        .post, "/v1/decisions/hero/promotion", body: Array("{}".utf8))
    }
    #expect(closed?.status == .unauthorized)
  }

  private func get(_ routes: Routes, _ target: String) async throws -> JSONTree {
    let answer = try #require(try await routes.answer(.get, target))
    guard case .bytes(let bytes) = answer.body else { throw DecisionFixture.Malformed() }
    return try JSONTree(bytes)
  }

  @Test("A plan's report has what is known of each arm, and a card of what it was learned from")
  func report() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([6_536, 0, 59_000])
    let json = try await get(reports(fixture), "/v1/decisions/hero")
    guard case .array(let arms)? = json["arms"] else {
      Issue.record("arms are a list")
      return
    }
    #expect(arms.map { $0["probability"]?.number } == [6_536.0 / 65_536, 0, 59_000.0 / 65_536])
    #expect(arms[0]["trials"]?.number == 10 && arms[0]["mean"]?.number == 0.1)
    #expect(json["trials"]?.number == 30 && json["complete"]?.bool == true)
    #expect(json["card"]?["reward"]?.string == "click")
    guard case .array(let sentences)? = json["card"]?["sentences"] else { return }
    #expect(
      sentences.first?.string
        == "Learned from 30 decisions of the last 30 days of the log and what they earned within 86400 s,"
        + " up to position 1~0.3.")
  }

  @Test("Before anything is learned the report says so, and what is wrong")
  func unlearned() async throws {
    let fixture = try DecisionFixture()
    let json = try await get(reports(fixture, problem: "the log is away"), "/v1/decisions")
    guard case .array(let plans)? = json["decisions"] else {
      Issue.record("decisions are a list")
      return
    }
    #expect(plans.count == 1 && plans[0]["complete"]?.bool == false)
    #expect(plans[0]["problem"]?.string == "the log is away")
    let hero = try await get(reports(fixture), "/v1/decisions/hero")
    guard case .array(let arms)? = hero["arms"] else { return }
    #expect(arms.count == 3)
  }

  @Test("A token is explained with its alternatives and their odds")
  func why() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([16_384, 0, 49_152])
    guard
      let propensities = Propensities(parts: [16_384, 0, 49_152])
    else { throw DecisionFixture.Malformed() }
    let token = DecisionToken(
      id: DecisionID(Key128(low: 1, high: 2)), plan: DecisionFixture.plan.fingerprint,
      timeMs: DecisionFixture.start / 1_000, chosen: 2, propensities: propensities,
      version: DecisionFixture.plan.version, features: 0, flags: [])
    let routes = reports(fixture)
    let json = try await get(
      routes, "/v1/decisions/hero/why?token=\(fixture.signer.text(of: token))")
    #expect(json["arm"]?.string == "c" && json["probability"]?.number == 0.75)
    #expect(json["is_present_version"]?.bool == true)
    guard case .array(let others)? = json["alternatives"],
      case .array(let reasons)? = json["reasons"]
    else { throw DecisionFixture.Malformed() }
    #expect(others.map { $0["odds"]?.number } == [1.0 / 3, 0])
    #expect(reasons.first?.string == "c was drawn with a chance of 75 % by thompson.")
    #expect(json["model"] != nil && json["model"]?["position"] == nil)
    var other = token
    other.plan = 7
    for (target, code) in [
      ("/v1/decisions/hero/why?token=x", "invalid_token"),
      ("/v1/decisions/hero/why", "missing_parameter"),
      ("/v1/decisions/villain", "unknown_decision"), ("/v1/decisions?x=1", "unknown_parameter"),
      ("/v1/decisions/hero/why?token=\(fixture.signer.text(of: other))", "other_decision"),
    ] {
      let problem = await #expect(throws: Problem.self) { try await routes.answer(.get, target) }
      #expect(problem?.code == code, "\(target)")
    }
    let closed = await #expect(throws: Problem.self) {
      try await reports(fixture, isOpen: false).answer(.get, "/v1/decisions/hero")
    }
    #expect(closed?.status == .unauthorized)
  }

  @Test(
    "A decision whose event is in the log is explained with its features and the model's position")
  func whyLogged() async throws {
    let fixture = try DecisionFixture()
    try fixture.learn([16_384, 0, 49_152])
    try await fixture.withServer { port in
      let decided = try JSONTree(
        try DecisionFixture.post(
          port, "/v1/decide", #"{"decision":"hero","person":"ann","context":{"hour":9}}"#
        ).body)
      let token = try #require(decided["token"]?.string)
      let json = try await get(reports(fixture), "/v1/decisions/hero/why?token=\(token)")
      #expect(json["features"]?["hour"]?.number == 9)
      #expect(json["event_position"]?.string == "1~2.9")
      #expect(json["model"]?["position"]?.string == "1~0.3")
      // Whose policy looks at no context, has no contributions.
      guard case .array(let none)? = json["contributions"] else {
        throw DecisionFixture.Malformed()
      }
      #expect(none.isEmpty)
    }
  }

  @Test("Why says what each feature does for the arm")
  func whyContributions() async throws {
    var plan = DecisionFixture.plan
    plan.policy = .given(GivenChances(feature: "hour", rows: ["9": [0.5, 0.5, 0]]))
    let fixture = try DecisionFixture(plans: [plan])
    try fixture.learn([32_768, 32_768, 0], of: plan)
    try await fixture.withServer { port in
      let decided = try JSONTree(
        try DecisionFixture.post(
          port, "/v1/decide", #"{"decision":"hero","person":"ann","context":{"hour":9,"note":"x"}}"#
        ).body)
      let token = try #require(decided["token"]?.string)
      let arm = try #require(decided["arm"]?.string)
      let json = try await get(
        reports(fixture, plan: plan), "/v1/decisions/hero/why?token=\(token)")
      guard case .array(let parts)? = json["contributions"],
        case .array(let reasons)? = json["reasons"]
      else { throw DecisionFixture.Malformed() }
      #expect(parts.map { $0["feature"]?.string } == ["hour", "note"])
      // A third without the hour, and with it a half, but for the floor of 0.01 for each of three arms.
      let chance = try #require(parts[0]["chance"]?.number)
      #expect(arm != "c" && (chance - 0.97 * (0.5 - 1.0 / 3)).magnitude < 1e-9, "\(chance)")
      #expect(parts[1]["chance"]?.number == 0 && parts[0]["reward"]?.number == nil)
      #expect(
        reasons.contains {
          $0.string?.hasPrefix("Of what was known, hour says most: with it the chance of") ?? false
        })
    }
  }

  @Test("The OpenAPI document has each of the routes that are declared")
  func documented() throws {
    let fixture = try DecisionFixture()
    var routes = fixture.routes
    DecisionReports(
      plans: [], models: { nil }, problem: { nil }, signer: fixture.signer, find: { _ in nil },
      check: { _ in }
    ).declare(on: &routes)
    let paths = try #require(try JSONTree(Array(OpenAPIDocument.text.utf8))["paths"])
    guard case .object(let members) = paths else { throw DecisionFixture.Malformed() }
    let documented = members.flatMap { path -> [String] in
      guard case .object(let methods) = path.value else { return [] }
      return methods.map { "\($0.name.uppercased()) \(path.name)" }
    }
    for path in routes.paths { #expect(documented.contains(path), "\(path)") }
    let known = documented.filter { path in
      ["/v1/decide", "/v1/decisions", "/flags", "/decide", "/v1/retractions"].contains {
        path.contains(" \($0)")
      }
    }
    #expect(known.count == routes.paths.count)
  }
}
