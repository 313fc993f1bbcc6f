import Events
import Views

/// What `POST /v1/incidents/{id}/feedback` says: `{"verdict":"expected","note":"a sale"}`.
struct FeedbackRequest: Hashable, Sendable {
  var verdict: IncidentFeedback.Verdict
  var note: String

  static let noteBytesMax = 1_000
  static let members = ["verdict", "note"]
  /// Ids of events are unique within it.
  static let source = "api/feedback"

  init(json bytes: [UInt8]) throws(QueryError) {
    guard case .object(let members) = try JSONValue(parsing: bytes) else {
      throw QueryError(.invalidJSON, path: "$", detail: "the body is not a JSON object")
    }
    var verdict: IncidentFeedback.Verdict?
    note = ""
    for member in members {
      let path = "$.\(member.name)"
      guard Self.members.contains(member.name) else {
        throw QueryError(
          .unknownMember, path: path, detail: "there is no such member", allowed: Self.members)
      }
      guard case .string(let text) = member.value else {
        throw QueryError(.invalidValue, path: path, detail: "a text is needed")
      }
      if member.name == "note" {
        guard text.utf8.count <= Self.noteBytesMax else {
          throw QueryError(
            .invalidValue, path: path, detail: "a note has at most \(Self.noteBytesMax) bytes")
        }
        note = text
      } else {
        guard let known = IncidentFeedback.Verdict(name: text) else {
          throw QueryError(
            .invalidValue, path: path, detail: "\"\(text)\" is no verdict",
            allowed: IncidentFeedback.Verdict.allCases.map(\.name))
        }
        verdict = known
      }
    }
    guard let verdict else {
      throw QueryError(
        .missingMember, path: "$.verdict", detail: "the verdict is needed",
        allowed: IncidentFeedback.Verdict.allCases.map(\.name))
    }
    self.verdict = verdict
  }

  /// The event that the log gets. The same verdict on the same incident is the same event, however often it is
  /// said: it counts once.
  ///
  /// - Parameter now: microseconds since the epoch.
  func event(about row: IncidentRow, now: Int64) -> IncomingEvent {
    let id = "\(row.id).\(verdict.name)"
    let payload = IncidentFeedback(incident: row.id, verdict: verdict).payload(note: note)
    return IncomingEvent(
      kind: .feedback,
      key: EventIdentity.dedupeKey(site: row.site, source: Self.source, eventID: id),
      person: EventIdentity.personKey(site: row.site, id: id), eventTime: now, receivedAt: now,
      dimensions: DimensionTuple(site: row.site).encoded, id: id, name: IncidentFeedback.eventName,
      source: Self.source, payload: payload)
  }
}
