import Events
import HTTPServer
import Learning

/// What `POST /v1/decide` asks:
///
///     {"decision":"spring-teaser","person":"ann","context":{"device":"phone","hour":9},"candidates":["a","b"],"slots":1}
///
/// or, where somebody else has decided, with a chance that they know:
///
///     {"decision":"spring-teaser","person":"ann","context":{"device":"phone"},"made":{"arm":"a","probability":0.25}}
struct DecideRequest: Hashable {
  /// The write key, as in events that browsers send; nil where it is elsewhere in the request.
  var key: String?
  var plan = ""
  var person = ""
  var context = DecisionFeatures.none
  /// Arms to choose among; nil for all.
  var candidates: [String]?
  var slots = 1
  /// What somebody else has decided; nil where it is to be decided here.
  var made: Made?

  struct Made: Hashable {
    var arm: String
    /// Above 0, at most 1.
    var probability: Double
  }

  static let members = ["k", "decision", "person", "context", "candidates", "slots", "made"]
  static let slotsMax = 16
  static let bodyBytesMax = 64 * 1024
  /// As long as an id of a person may be in events.
  private static let textBytesMax = 256

  init(json bytes: UnsafeRawBufferPointer) throws(Problem) {
    var faults = Faults()
    do throws(JSONError) {
      var json = JSONScanner(bytes)
      try json.beginObject()
      while let name = try json.nextKey() { try take(name, &json, &faults) }
      try json.end()
    } catch {
      throw Self.refusal("invalid_json", "the body is no JSON object: \(error)")
    }
    if let unknown = faults.unknown {
      throw Self.refusal(
        "unknown_member",
        "there is no member \(unknown.prefix(64)); there are "
          + Self.members.joined(separator: ", "))
    }
    if let wrong = faults.wrong { throw Self.refusal("invalid_value", wrong) }
    for (name, value) in [("decision", plan), ("person", person)] where value.isEmpty {
      throw Self.refusal("missing_member", "\(name) is needed")
    }
    if made != nil, candidates != nil || slots != 1 {
      throw Self.refusal(
        "invalid_value", "made says what was decided; leave candidates and slots out")
    }
  }

  /// What is wrong with a body, each as it was seen first.
  private struct Faults {
    var unknown: String?
    var wrong: String?
  }

  private mutating func take(
    _ name: JSONString, _ json: inout JSONScanner, _ faults: inout Faults
  ) throws(JSONError) {
    func text(_ json: inout JSONScanner, _ what: String) throws(JSONError) -> String? {
      if try json.peek() == .string {
        let text = try json.string()
        if text.utf8.count <= Self.textBytesMax, !text.utf8.contains(0) { return text }
      } else {
        try json.skipValue()
      }
      faults.wrong = faults.wrong ?? "\(what) is a text of at most \(Self.textBytesMax) bytes"
      return nil
    }
    switch name {
    case "k": key = try text(&json, "k")
    case "decision": plan = try text(&json, "decision") ?? ""
    case "person": person = try text(&json, "person") ?? ""
    case "context":
      if try json.peek() == .object {
        context = try DecisionFeatures(&json)
      } else if !(try json.skipNull()) {
        try json.skipValue()
        faults.wrong = faults.wrong ?? "context is an object of texts, numbers and truth values"
      }
    case "candidates":
      guard try json.peek() == .array else {
        if !(try json.skipNull()) {
          try json.skipValue()
          faults.wrong = faults.wrong ?? "candidates is a list of arms"
        }
        return
      }
      var names: [String] = []
      try json.beginArray()
      while try json.nextElement() {
        if let name = try text(&json, "a candidate"), names.count < DecisionPlan.armCountMax {
          names.append(name)
        }
      }
      candidates = names
    case "made":
      if try json.peek() == .object {
        made = try Self.made(&json)
      } else {
        try json.skipValue()
      }
      if made == nil {
        faults.wrong =
          faults.wrong
          ?? "made is an object of arm, a text, and probability, a number above 0 and at most 1"
      }
    case "slots":
      guard try json.peek() == .number else {
        try json.skipValue()
        faults.wrong = faults.wrong ?? "slots is a whole number from 1 to \(Self.slotsMax)"
        return
      }
      let digits = String(decoding: try json.numberText(), as: UTF8.self)
      if let count = Int(digits), (1...Self.slotsMax).contains(count) {
        slots = count
      } else {
        faults.wrong = faults.wrong ?? "slots is a whole number from 1 to \(Self.slotsMax)"
      }
    default:
      faults.unknown = faults.unknown ?? name.string
      try json.skipValue()
    }
  }

  private static func made(_ json: inout JSONScanner) throws(JSONError) -> Made? {
    var arm: String?
    var probability: Double?
    var isWrong = false
    try json.beginObject()
    while let name = try json.nextKey() {
      let type = try json.peek()
      switch name {
      case "arm" where type == .string: arm = try json.string()
      case "probability" where type == .number: probability = try json.double()
      default:
        isWrong = true
        try json.skipValue()
      }
    }
    guard !isWrong, let arm, let probability, probability > 0, probability <= 1 else { return nil }
    return Made(arm: arm, probability: probability)
  }

  private static func refusal(_ code: String, _ detail: String) -> Problem {
    Problem(.badRequest, code: code, detail: detail)
  }
}
