import Events
import HTTPServer
import Learning

/// What `POST /v1/retractions` says: of what nothing is to be learned any more, a decision or all that a person was decided
/// until now.
///
///     {"decision_id":"…"}
///     {"person":"ann"}
struct RetractionRequest: Hashable {
  enum Subject: Hashable {
    case decision(DecisionID)
    /// As events name them.
    case person(String)
  }

  /// The write key; nil where it is elsewhere in the request.
  var key: String?
  var subject: Subject

  static let bodyBytesMax = 4 * 1024
  private static let textBytesMax = 256

  init(json body: [UInt8]) throws(Problem) {
    var key: String?
    var subject: Subject?
    var isWrong = false
    let isRight = try BodyMembers.read(body) { name, type, json throws(JSONError) in
      switch name {
      case "k" where type == .string: key = try json.string()
      case "decision_id" where type == .string && subject == nil:
        subject = DecisionID(try json.string()).map { .decision($0) }
        isWrong = isWrong || subject == nil
      case "person" where type == .string && subject == nil:
        subject = .person(try json.string())
      default: return false
      }
      return true
    }
    if case .person(let person)? = subject {
      isWrong =
        isWrong || person.isEmpty || person.utf8.count > Self.textBytesMax
        || person.utf8.contains(0)
    }
    guard isRight, !isWrong, let subject else {
      throw Problem(
        .badRequest, code: "invalid_value",
        detail:
          "the body has one of decision_id, the decision_id of an answer, and person, a text of 1 to"
          + " \(Self.textBytesMax) bytes, and may have k, the write key")
    }
    self.key = key
    self.subject = subject
  }
}
