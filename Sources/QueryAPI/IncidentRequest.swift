import Events
import Ports
import Views

/// What `GET /v1/incidents` asks for.
struct IncidentRequest: Hashable, Sendable {
  var pipeline: String
  var question = IncidentQuestion(limit: IncidentRequest.limitDefault)
  /// Of the times in `summary`.
  var timezone = "UTC"
  /// Nil: as the request's `Accept` says.
  var format: AnswerFormat?

  static let limitDefault = 50
  static let limitMax = 200
  static let parameters = [
    "site_id", "campaign", "content", "open", "since", "severity", "limit", "before", "timezone",
    "pipeline", "format",
  ]

  /// - Parameter parameters: of the target, each at most once and each a known one.
  init(
    _ parameters: [(name: String, value: String)], parser: QueryRequestParser
  ) throws(QueryError) {
    pipeline = try parser.pipeline(nil, path: "")
    for (name, value) in parameters {
      let path = "?\(name)"
      switch name {
      case "pipeline": pipeline = try parser.pipeline(value, path: path)
      case "timezone": timezone = value
      case "site_id": question.site = value
      case "campaign": question.campaign = value
      case "content": question.content = value
      case "open":
        question.isOpen = try Self.choice(value, ["true": true, "false": false], path: path)
      case "severity":
        question.severity = try Self.choice(
          value,
          Dictionary(uniqueKeysWithValues: IncidentRow.Severity.allCases.map { ($0.name, $0) }),
          path: path)
      case "since":
        guard let since = Timestamp.parse(value) else {
          throw QueryError(
            .invalidValue, path: path,
            detail: "a timestamp is needed, such as 2026-11-30T10:15:00Z")
        }
        question.since = since
      case "format": format = try parser.word(value, path: path)
      case "before": question.before = try Self.place(value, path: path)
      default: question.limit = try parser.integer(value, 1...Self.limitMax, path: path)
      }
    }
  }

  private static func choice<Value>(
    _ text: String, _ choices: [String: Value], path: String
  ) throws(QueryError) -> Value {
    guard let value = choices[text] else {
      throw QueryError(
        .invalidValue, path: path, detail: "\"\(text)\" is none of its values",
        allowed: choices.keys.sorted())
    }
    return value
  }

  /// As ``cursor(_:)`` wrote it.
  private static func place(
    _ text: String, path: String
  ) throws(QueryError) -> IncidentQuestion.Place {
    let parts = text.split(separator: "~", omittingEmptySubsequences: false)
    guard parts.count == 2, let begin = Int64(parts[0]), let id = Int64(parts[1]) else {
      throw QueryError(.invalidValue, path: path, detail: "the `next` of an answer is needed")
    }
    return IncidentQuestion.Place(begin: begin, id: id)
  }

  static func cursor(_ row: IncidentRow) -> String { "\(row.begin)~\(row.id)" }
}
