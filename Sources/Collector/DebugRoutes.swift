import Events
public import HTTPServer
import Synchronization

/// What becomes of events, as it happens: `GET /v1/debug/events` and `GET /v1/debug/stream`.
///
/// | field | |
/// |---|---|
/// | `key` | only of this write key: its id, or the key itself |
/// | `outcome` | only accepted, rejected, dropped or refused |
/// | `after` | only what came after this number |
/// | `limit` | at most so many, the newest of them |
public struct DebugRoutes: Sendable {
  private static let limitDefault = 100
  private static let streamsMax = 32
  /// Between two looks of a stream. People read no faster.
  private static let spacing = Duration.milliseconds(200)
  /// Looks between comments that keep proxies from closing a quiet connection: 15 s.
  private static let looksPerHeartbeat = 75

  private final class Streams: Sendable {
    let count = Atomic<Int>(0)
  }

  private let debugger: EventDebugger
  private let keyID: @Sendable (String) -> String?
  private let check: @Sendable (HTTPRequest) throws(Problem) -> Void
  private let streams = Streams()

  /// - Parameters:
  ///   - keyID: of a write key that is accepted now.
  ///   - check: refuses requests of those who may not see events.
  public init(
    _ debugger: EventDebugger, keyID: @escaping @Sendable (String) -> String? = { _ in nil },
    check: @escaping @Sendable (HTTPRequest) throws(Problem) -> Void
  ) {
    self.debugger = debugger
    self.keyID = keyID
    self.check = check
  }

  public func declare(on routes: inout Routes) {
    let debugger = debugger
    let keyID = keyID
    let check = check
    let streams = streams
    routes.on(.get, "/v1/debug/events") { request in
      try check(request)
      let question = try Question(request, keyID)
      var response = HTTPResponse.json(Self.json(question.page(of: debugger)))
      response.headers.append((name: "Cache-Control", value: "no-store"))
      return response
    }
    routes.on(.get, "/v1/debug/stream") { request in
      try check(request)
      let question = try Question(request, keyID)
      guard streams.count.load(ordering: .relaxed) < Self.streamsMax else {
        throw Problem(
          .serviceUnavailable, code: "too_many_streams",
          detail: "\(Self.streamsMax) people look on already; close one of the pages.",
          retryAfterSeconds: 10)
      }
      return .eventStream { stream in
        streams.count.add(1, ordering: .relaxed)
        defer { streams.count.subtract(1, ordering: .relaxed) }
        try await Self.follow(debugger, question, stream)
      }
    }
  }

  private static func follow(
    _ debugger: EventDebugger, _ question: Question, _ stream: ResponseStream
  ) async throws {
    var question = question
    var skipped = question.page(of: debugger).skipped
    var quietLooks = 0
    try await stream.write(": looking on\n\n")
    while true {
      let page = question.page(of: debugger)
      question.after = page.last
      var text: [UInt8] = []
      for entry in page.entries {
        var json = JSONWriter()
        entry.write(to: &json)
        text += Array("id: \(entry.number)\nevent: event\ndata: ".utf8) + json.bytes
        text += Array("\n\n".utf8)
      }
      if page.skipped > skipped {
        text += Array("event: skipped\ndata: {\"skipped\":\(page.skipped - skipped)}\n\n".utf8)
        skipped = page.skipped
      }
      quietLooks = text.isEmpty ? quietLooks + 1 : 0
      if quietLooks == looksPerHeartbeat {
        quietLooks = 0
        text = Array(": nothing\n\n".utf8)
      }
      if !text.isEmpty { try await stream.write(text) }
      if stream.isClosed { throw StreamClosed() }
      try await Task.sleep(for: spacing)
    }
  }

  private static func json(_ page: EventDebugger.Page) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("events")
    json.beginArray()
    for entry in page.entries { entry.write(to: &json) }
    json.endArray()
    json.key("last")
    json.integer(page.last)
    json.key("skipped")
    json.integer(page.skipped)
    json.endObject()
    return json.bytes
  }

  /// What is asked for.
  private struct Question: Sendable {
    var key: String?
    var outcome: EventDebugger.Outcome?
    var after: UInt64 = 0
    var limit = DebugRoutes.limitDefault

    init(_ request: HTTPRequest, _ keyID: (String) -> String?) throws(Problem) {
      guard let fields = request.queryFields() else {
        throw Self.invalid("the query is UTF-8, percent-encoded as %41")
      }
      if let last = request.header("Last-Event-ID").flatMap({ UInt64($0) }) { after = last }
      for field in fields where !field.value.isEmpty {
        switch field.name {
        case "key": key = keyID(field.value) ?? field.value
        case "outcome":
          guard let outcome = EventDebugger.Outcome(rawValue: field.value) else {
            let all = EventDebugger.Outcome.allCases.map(\.rawValue)
            throw Self.invalid("outcome is one of \(all.joined(separator: ", "))")
          }
          self.outcome = outcome
        case "after":
          guard let number = UInt64(field.value) else {
            throw Self.invalid("after is the number of an event")
          }
          after = number
        case "limit":
          guard let limit = Int(field.value), (1...EventDebugger.entriesMax).contains(limit) else {
            throw Self.invalid("limit is from 1 to \(EventDebugger.entriesMax)")
          }
          self.limit = limit
        default: throw Self.invalid("the fields are key, outcome, after and limit")
        }
      }
    }

    func page(of debugger: EventDebugger) -> EventDebugger.Page {
      debugger.page(after: after, key: key, outcome: outcome, limit: limit)
    }

    private static func invalid(_ detail: String) -> Problem {
      Problem(.badRequest, code: "invalid_query", detail: detail)
    }
  }
}
