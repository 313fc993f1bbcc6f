import HTTPServer
import Testing

@testable import QueryAPI

@Suite struct HealthTests {
  private func text(_ response: HTTPResponse) -> String {
    guard case .bytes(let bytes) = response.body else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test("ready is 200 where everything is well")
  func ready() async {
    let response = await OperationsRoutes.readiness(of: [
      HealthCheck(name: "postgres") { .ok }, HealthCheck(name: "redis") { .ok },
    ])
    #expect(response.status == .ok)
    #expect(
      text(response)
        == #"{"status":"ok","checks":[{"name":"postgres","status":"ok"},{"name":"redis","status":"ok"}]}"#
    )
  }

  @Test("ready is 503 and says what is wrong where something is")
  func failing() async {
    let response = await OperationsRoutes.readiness(of: [
      HealthCheck(name: "postgres") { .ok },
      HealthCheck(name: "log") { .failing("cannot be reached; is nats-server running?") },
    ])
    #expect(response.status == .serviceUnavailable)
    #expect(
      text(response)
        == #"{"status":"failing","checks":[{"name":"postgres","status":"ok"},"#
        + #"{"name":"log","status":"failing","detail":"cannot be reached; is nats-server running?"}]}"#
    )
    #expect(response.headers.contains { $0.name == "Retry-After" })
  }

  @Test("what is degraded is ready, and is named")
  func degraded() async {
    let response = await OperationsRoutes.readiness(of: [
      HealthCheck(name: "postgres") { .ok },
      HealthCheck(name: "log") { .degraded("events go to the spool") },
    ])
    #expect(response.status == .ok)
    #expect(
      text(response)
        == #"{"status":"degraded","checks":[{"name":"postgres","status":"ok"},"#
        + #"{"name":"log","status":"degraded","detail":"events go to the spool"}]}"#
    )
  }

  @Test("a check that hangs counts as failing, and nothing waits for it")
  func hangs() async {
    let check = HealthCheck(name: "redis") {
      do {
        try await Task.sleep(for: .seconds(3600))
      } catch {
        // The limit has ended the check.
      }
      return .ok
    }
    let state = await check.limited(to: .milliseconds(20))
    #expect(state == .failing("gave no answer within 0.02 seconds"))
  }
}
