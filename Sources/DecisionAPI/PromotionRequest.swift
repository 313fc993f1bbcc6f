import Events
import HTTPServer

/// What `POST /v1/decisions/{plan}/promotion` says: `{"policy":"forgetful","note":"better for two weeks"}`.
struct PromotionRequest: Hashable {
  /// Of a shadow, or `declared`.
  var policy: String
  var note: String

  static let bodyBytesMax = 8 * 1024
  private static let noteBytesMax = 1_000

  init(json body: [UInt8]) throws(Problem) {
    var policy: String?
    var note = ""
    let isRight = try BodyMembers.read(body) { name, type, json throws(JSONError) in
      switch name {
      case "policy" where type == .string: policy = try json.string()
      case "note" where type == .string: note = try json.string()
      default: return false
      }
      return true
    }
    guard isRight, let policy, note.utf8.count <= Self.noteBytesMax, !note.utf8.contains(0) else {
      throw Problem(
        .badRequest, code: "invalid_value",
        detail:
          "the body has policy, the name of one of the plan's policies, and may have note, a text"
          + " of at most \(Self.noteBytesMax) bytes")
    }
    self.policy = policy
    self.note = note
  }
}
