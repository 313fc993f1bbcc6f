import Events
import HTTPServer
import Learning

/// What `POST /v1/decisions/{id}/reward` answers once the reward is durable:
///
///     {"decision_id":"…","value":0.5,"position":"1~0.12"}
enum RewardAnswer {
  static func response(
    _ desk: DecisionDesk, _ reward: LoggedRewardEvent, eventID: String?, site: String
  ) async throws(Problem) -> HTTPResponse {
    // Without an id of its own a report is none of another's copies: the last one counts in any case.
    let id =
      eventID
      ?? Key128(low: .random(in: .min ... .max), high: .random(in: .min ... .max)).description
    guard case .stored(let position) = await desk.reward(reward, eventID: id, site: site) else {
      throw Problem(
        .serviceUnavailable, code: "log_unavailable",
        detail: "The log takes nothing now; send the same reward again.", retryAfterSeconds: 1)
    }
    var json = JSONWriter()
    json.beginObject()
    json.key("decision_id")
    json.string(reward.decision.description)
    json.key("value")
    json.double(reward.value)
    json.key("position")
    if let position { json.string(position) } else { json.null() }
    json.endObject()
    return .json(json.bytes)
  }
}
