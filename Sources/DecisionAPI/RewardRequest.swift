import Events
import HTTPServer

/// What `POST /v1/decisions/{id}/reward` says: `{"value":0.5,"event_id":"order-7"}`.
struct RewardRequest: Hashable {
  /// The write key; nil where it is elsewhere in the request.
  var key: String?
  /// 0 to 1.
  var value: Double
  /// The same for every copy of the same report; nil: each request is one of its own.
  var eventID: String?

  static let bodyBytesMax = 4 * 1024
  private static let textBytesMax = 256

  init(json body: [UInt8]) throws(Problem) {
    var key: String?
    var value: Double?
    var eventID: String?
    let isRight = try BodyMembers.read(body) { name, type, json throws(JSONError) in
      switch name {
      case "value" where type == .number: value = try json.double()
      case "k" where type == .string: key = try json.string()
      case "event_id" where type == .string: eventID = try json.string()
      default: return false
      }
      return true
    }
    guard isRight, let value, value >= 0, value <= 1,
      (eventID?.utf8.count ?? 1) <= Self.textBytesMax, eventID?.isEmpty != true,
      eventID?.utf8.contains(0) != true
    else {
      throw Problem(
        .badRequest, code: "invalid_value",
        detail: "the body has value, a number from 0 to 1, and may have event_id, a text of 1 to"
          + " \(Self.textBytesMax) bytes, and k, the write key")
    }
    self.key = key
    self.value = value
    self.eventID = eventID
  }
}
