import HTTPServer
import Testing

@testable import QueryAPI

@Suite struct AccessTests {
  private let token = "0123456789abcdef"

  private func request(_ authorization: String?) -> HTTPRequest {
    HTTPRequest(
      method: .get, path: "/v1/stream",
      headers: authorization.map { [("Authorization", $0)] } ?? [])
  }

  @Test(
    "on this machine alone no token is needed",
    arguments: ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
  func loopback(host: String) throws {
    let access = try QueryAccess(token: nil, boundTo: host)
    try access.check(request(nil))
  }

  @Test(
    "on any other address the API does not start without one",
    arguments: ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.org", "example.org", "127.0.0.256"])
  func reachable(host: String) {
    #expect(throws: QueryAccessError.tokenMissing(host: host)) {
      try QueryAccess(token: nil, boundTo: host)
    }
    #expect(throws: QueryAccessError.tokenTooShort) {
      try QueryAccess(token: "short", boundTo: host)
    }
  }

  @Test("the right token passes, in any case of its scheme")
  func passes() throws {
    let access = try QueryAccess(token: token, boundTo: "0.0.0.0")
    try access.check(request("Bearer \(token)"))
    try access.check(request("bearer \(token)"))
  }

  @Test("no token is a challenge without an error, a wrong one names it")
  func refuses() throws {
    let access = try QueryAccess(token: token, boundTo: "127.0.0.1")
    let missing = #expect(throws: Problem.self) { try access.check(request(nil)) }
    #expect(missing?.status == .unauthorized)
    #expect(missing?.headers.map(\.value) == [#"Bearer realm="smartcontent""#])
    for wrong in [
      "Bearer", "Bearer ", "Basic \(token)", "Bearer \(token)0", "Bearer 0123456789abcde",
      "Bearer \(token) x", "Bearer \(token)\(token)",
    ] {
      let problem = #expect(throws: Problem.self) { try access.check(request(wrong)) }
      #expect(
        problem?.headers.map(\.value) == [
          #"Bearer realm="smartcontent", error="invalid_token""#
        ])
    }
  }
}
