import Events
import HTTPClient
import Testing

/// Persons who are anonymous first and known later, with ids in different partitions.
@Suite("Anonymous and known persons", .serialized, .endsWhatItStarts)
struct IdentityTests {
  /// When the user signs in on the device.
  enum Link: Int, CaseIterable {
    case before, between, after
  }

  /// A device and a user whose ids lie in different partitions.
  private func ids(_ name: String) throws -> (device: String, user: String) {
    func partition(_ id: String) -> Int {
      KeyGroup.partition(of: EventIdentity.personKey(site: "default", id: id), partitions: 4)
    }
    let device = "device-\(name)"
    for number in 0..<100 where partition("user-\(name)-\(number)") != partition(device) {
      return (device, "user-\(name)-\(number)")
    }
    throw HarnessError("no user id lies in another partition than \(device)")
  }

  private func send(_ roles: SDKRoles, _ event: String) throws -> String {
    let answer = try HTTPClient().post(
      roles.url(.collect) + "/v1/batch",
      headers: [HTTPHeader("Content-Type", "application/json")],
      body: Array("{\"writeKey\":\"\(SDKRoles.writeKey)\",\"batch\":[\(event)]}".utf8))
    guard answer.status == 200, let position = answer.header("SmartContent-Position") else {
      throw HarnessError("answered with \(answer.status): \(answer.text)")
    }
    return position
  }

  /// Asks until the answer is the wanted one: a position says only how far the last event's partition is.
  private func expectOutcomes(
    _ wanted: String, _ roles: SDKRoles, campaign: String, after: String
  ) async throws {
    let query = """
      {"metrics":["sessions","attributed_clicks","attributed_conversions"],"date_range":"1h",\
      "dimensions":["campaign"],"filters":[["is","campaign",["\(campaign)"]]]}
      """
    var last = ""
    let isAnswered = try await eventually(withinMs: 30_000, everyMs: 100) {
      let answer = try HTTPClient().post(
        roles.url(.serve) + "/v1/query?after=\(after)",
        headers: [HTTPHeader("Content-Type", "application/json")], body: Array(query.utf8))
      last = answer.text
      return answer.status == 200 && last.contains("\"metrics\":\(wanted)")
    }
    #expect(isAnswered, "\(campaign): \(last)")
  }

  @Test(
    "An anonymous impression and click and a known conversion are one history, the link before, between or after, with a kill at each step",
    .timeLimit(.minutes(3)), arguments: [false, true])
  func oneHistory(kills: Bool) async throws {
    let roles = try await SDKRoles("identity-\(kills)")
    for link in Link.allCases {
      let name = "\(link)-\(kills)"
      let (device, user) = try ids(name)
      let properties = "\"campaign_id\":\"\(name)\",\"content_id\":\"post\""
      let anonymous = "\"anonymousId\":\"\(device)\""
      func track(_ event: String, _ who: String, _ more: String = "") -> String {
        """
        {"type":"track","event":"\(event)",\(who),"messageId":"\(name)-\(event)",\
        "properties":{\(properties)\(more)}}
        """
      }
      let identify = """
        {"type":"identify",\(anonymous),"userId":"\(user)","messageId":"\(name)-identify","traits":{}}
        """
      var steps = [
        track("Content Impression", anonymous), track("Content Clicked", anonymous),
        track("Order Completed", "\"userId\":\"\(user)\"", ",\"revenue\":5,\"currency\":\"EUR\""),
      ]
      steps.insert(identify, at: [Link.before: 0, .between: 2, .after: 3][link] ?? 0)
      var position = ""
      for (number, step) in steps.enumerated() {
        position = try send(roles, step)
        guard kills else { continue }
        let role: SDKRoles.Role = number % 2 == 0 ? .processOne : .processTwo
        await roles.kill(role)
        try await roles.start(role)
      }
      try await expectOutcomes("[1,1,1]", roles, campaign: name, after: position)
    }
  }

  @Test("Events that have nothing for the second stage hold none of its queries up")
  func identifyAlone() async throws {
    let roles = try await SDKRoles("identify-alone")
    for number in 0..<3 {
      let position = try send(
        roles,
        """
        {"type":"identify","anonymousId":"alone","userId":"alone-user","messageId":"alone-\(number)",\
        "traits":{}}
        """)
      let answer = try HTTPClient().post(
        roles.url(.serve) + "/v1/query?after=\(position)&timeout=5",
        headers: [HTTPHeader("Content-Type", "application/json")],
        body: Array(#"{"metrics":["sessions"],"date_range":"1h"}"#.utf8))
      #expect(answer.status == 200, "\(number): \(answer.text)")
    }
  }
}
