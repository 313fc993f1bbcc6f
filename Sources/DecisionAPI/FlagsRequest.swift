import Events
import HTTPServer
import Learning

/// What PostHog's SDKs ask with `POST /flags/?v=4`.
///
///     {"api_key":"phc_…","distinct_id":"ann","$device_id":"…","person_properties":{…},"groups":{},
///      "flag_keys_to_evaluate":["spring-teaser"]}
///
/// Properties of the person are the context. Members that mean nothing here are passed over, as PostHog does.
/// Source: PostHog's SDKs for Python and browsers.
struct FlagsRequest: Hashable {
  var key: String?
  /// The person: the id of the device where one is sent, as events of the SDKs have it.
  var person = ""
  var context = DecisionFeatures.none
  /// Nil for all.
  var flags: [String]?

  static let bodyBytesMax = 1024 * 1024
  private static let flagCountMax = 1_000
  private static let textBytesMax = 256

  init(json body: [UInt8]) throws(Problem) {
    var distinctID = ""
    var deviceID = ""
    // SDKs send more than what flags need.
    _ = try BodyMembers.read(body) { name, type, json throws(JSONError) in
      switch name {
      case "api_key", "token": key = try Self.text(&json, type) ?? key
      case "distinct_id", "$distinct_id": distinctID = try Self.text(&json, type) ?? distinctID
      case "$device_id": deviceID = try Self.text(&json, type) ?? deviceID
      case "person_properties" where type == .object: context = try DecisionFeatures(&json)
      case "flag_keys_to_evaluate" where type == .array: flags = try Self.texts(&json)
      default: return false
      }
      return true
    }
    person = deviceID.isEmpty ? distinctID : deviceID
    guard !person.isEmpty, person.utf8.count <= Self.textBytesMax, !person.utf8.contains(0) else {
      throw Problem(
        .badRequest, code: "no_identity",
        detail: "distinct_id names the person in at most \(Self.textBytesMax) bytes")
    }
  }

  private static func text(
    _ json: inout JSONScanner, _ type: JSONScanner.ValueType
  ) throws(JSONError) -> String? {
    switch type {
    case .string: return try json.string()
    case .number: return String(decoding: try json.numberText(), as: UTF8.self)
    case .object, .array, .boolean, .null:
      try json.skipValue()
      return nil
    }
  }

  private static func texts(_ json: inout JSONScanner) throws(JSONError) -> [String] {
    var texts: [String] = []
    try json.beginArray()
    while try json.nextElement() {
      let type = try json.peek()
      if let text = try text(&json, type), texts.count < flagCountMax { texts.append(text) }
    }
    return texts
  }
}
