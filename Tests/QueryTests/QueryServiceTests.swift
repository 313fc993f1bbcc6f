import Events
import HTTPServer
import MemoryPorts
import Metrics
import Ports
import Testing
import Views

@testable import QueryAPI

/// Requests to the routes' handlers, without a socket.
@Suite struct QueryServiceTests {
  private static let start: Int64 = 1_793_491_200_000_000

  private let view = SimulatedView(
    partitions: [
      SimulatedPartition(
        events: (0..<30).map { index in
          SimulatedEvent(
            logTime: start + Int64(index) * 1_000_000, time: start + Int64(index) * 1_000_000,
            tuple: DimensionTuple(
              site: "default", campaign: "x", content: "c\(index % 2)", variant: "a"),
            kind: index % 5 == 0 ? 3 : 1, revenueMicros: 0)
        })
    ])

  private func set(_ sequence: Int) {
    view.set(committed: [1], coarse: [1], hot: [sequence], made: [1])
  }

  private var service: QueryService { service(QueryRoutes.Limits()) }

  private func service(_ limits: QueryRoutes.Limits) -> QueryService {
    let now = view.now
    return QueryService(
      views: [ReadViewSource(view.executor.view)], registry: MetricRegistry(), limits: limits,
      logHeads: { [0: 40] }, clock: { now })
  }

  private func post(_ json: String, query: String = "") -> HTTPRequest {
    HTTPRequest(method: .post, path: "/v1/query", query: query, body: Array(json.utf8))
  }

  private func text(_ response: HTTPResponse) -> String {
    guard case .bytes(let bytes) = response.body else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test("a query is answered with its rows, position and lag")
  func query() async throws {
    set(20)
    let response = try await service.query(
      post(
        #"{"metrics":["impressions","clicks"],"dimensions":["content"],"date_range":"all","#
          + #""filters":[["is","campaign",["x"]]]}"#))
    #expect(response.status == .ok)
    #expect(
      text(response).hasPrefix(
        #"{"results":[{"dimensions":["c0"],"metrics":[8,2]},{"dimensions":["c1"],"metrics":[8,2]}],"#
          + #""meta":{"position":"1~0.20","#))
    #expect(text(response).contains(#""lag_frames":20"#))
  }

  @Test("CSV is answered to who asks for it by Accept or by format, with the position in a header")
  func csv() async throws {
    set(20)
    let json = #"{"metrics":["clicks"],"dimensions":["content"],"date_range":"all"}"#
    let request = HTTPRequest(
      method: .post, path: "/v1/query", headers: [("Accept", "text/csv")],
      body: Array(json.utf8))
    let format = post(#"{"format":"csv","# + json.dropFirst())
    for request in [request, format] {
      let response = try await service.query(request)
      #expect(text(response) == "content,clicks\r\nc0,2\r\nc1,2\r\n")
      #expect(
        response.headers.contains {
          $0.name == "Content-Type" && $0.value.hasPrefix("text/csv")
        })
      #expect(
        response.headers.contains { $0.name == "SmartContent-Position" && $0.value == "1~0.20" })
    }
    let problem = await #expect(throws: Problem.self) {
      try await service.stream(
        HTTPRequest(
          method: .get, path: "/v1/stream",
          query:
            "query=%7B%22metrics%22:%5B%22clicks%22%5D,%22date_range%22:%22all%22,%22format%22:%22csv%22%7D"
        ))
    }
    #expect(problem?.detail.contains("a stream is of JSON") == true)
  }

  @Test("a client reads its own write: the answer waits for the position")
  func after() async throws {
    set(10)
    let service = service
    let request = post(
      #"{"metrics":["impressions"],"date_range":"all"}"#, query: "after=1~0.12&timeout=20")
    let task = Task { try await service.query(request) }
    set(12)
    let response = try await task.value
    #expect(text(response).contains(#""position":"1~0.12""#))
  }

  @Test(
    "an answer that is kept is read once, and after late events it is soon that of a fresh process")
  func kept() async throws {
    set(10)
    var limits = QueryRoutes.Limits()
    limits.answerAgeMax = .milliseconds(100)
    let service = service(limits)
    let request = post(#"{"metrics":["impressions"],"dimensions":["content"],"date_range":"all"}"#)
    let first = text(try await service.query(request))
    view.set(committed: [25], coarse: [25], hot: [28], made: [1])
    let fresh = text(try await self.service.query(request))
    #expect(first != fresh)
    try await eventually {
      do {
        return text(try await service.query(request)) == fresh
      } catch {
        return false
      }
    }
    // Who has seen that far does not wait for it.
    set(30)
    let after = post(
      #"{"metrics":["impressions"],"dimensions":["content"],"date_range":"all"}"#,
      query: "after=1~0.30")
    #expect(text(try await service.query(after)).contains(#""position":"1~0.30""#))
  }

  @Test("a position that is not reached in time is a 504 that says how far it came")
  func timeout() async throws {
    set(10)
    let problem = await #expect(throws: Problem.self) {
      try await service.query(
        post(
          #"{"metrics":["impressions"],"date_range":"all","after":"1~0.12","timeout":0.02}"#))
    }
    #expect(problem?.status == .gatewayTimeout)
    #expect(problem?.code == "position_not_reached")
    let json = String(decoding: problem?.json ?? [], as: UTF8.self)
    #expect(json.contains(#""position":"1~0.10""#))
  }

  @Test("a wrong query is a 400 before any wait")
  func wrong() async throws {
    set(10)
    let problem = await #expect(throws: Problem.self) {
      try await service.query(
        post(
          #"{"metrics":["impressions"],"date_range":["2026-11-01T00:00:01Z","2026-11-02"]}"#,
          query: "after=1~0.99&timeout=60"))
    }
    #expect(problem?.code == "range_unaligned")
    let zone = await #expect(throws: Problem.self) {
      try await service.query(
        post(#"{"metrics":["impressions"],"date_range":"all","timezone":"Mars/Olympus"}"#))
    }
    #expect(zone?.code == "unknown_timezone")
  }

  @Test("the metrics of a content come by variant, in the shape of a query")
  func content() async throws {
    set(20)
    let response = try await service.content(
      HTTPRequest(
        method: .get, path: "/v1/content/c0/metrics", query: "date_range=all",
        parameters: ["id": "c0"]))
    #expect(
      text(response).hasPrefix(
        #"{"results":[{"dimensions":["a"],"metrics":[8,0,2,0.25,0,null,0,0,{}],"#
          + #""intervals":{"ctr":[0.0559669,0.591624],"engagement_rate":null,"#
          + #""conversion_rate":[0,0.666822]}}],"meta":"#))
  }

  @Test("what became of the events adds up")
  func accounting() async throws {
    view.durable.update {
      $0.accounting.received = 9
      $0.accounting.onTime = 4
      $0.accounting.late = 2
      $0.accounting.duplicate = 2
      $0.accounting.rejected = 1
    }
    let response = try await service.accounting(
      HTTPRequest(method: .get, path: "/v1/accounting"))
    #expect(
      text(response)
        == #"{"pipeline":"default","received":9,"on_time":4,"late":2,"too_late":0,"duplicate":2,"#
        + #""rejected":1,"clamped_future":0,"conserved":true}"#)
  }

  @Test("unknown and repeated parameters are refused")
  func parameters() async throws {
    for (query, path) in [("page=2", "?page"), ("after=1&after=2", "?after")] {
      let problem = await #expect(throws: Problem.self) {
        try await service.query(
          post(#"{"metrics":["impressions"],"date_range":"all"}"#, query: query))
      }
      #expect(problem?.detail.hasPrefix(path) == true)
    }
  }

  @Test("more streams than allowed are refused, and a stream that never ran gives its place back")
  func streams() async throws {
    set(10)
    let metrics = QueryMetrics(MetricRegistry())
    let slots = StreamSlots(countMax: 1, metrics: metrics)
    var slot: StreamSlots.Slot? = try slots.take()
    #expect(slot != nil)
    let error = #expect(throws: QueryError.self) { try slots.take() }
    #expect(error?.code == .tooManyStreams)
    slot = nil
    _ = try slots.take()
  }
}
