import Events
import Glibc

/// Reads texts of events with the checks that every protocol shares.
enum FieldText {
  /// The longest event id and event name, in bytes of UTF-8.
  static let bytesMax = 256

  /// - Throws: where the text is too long or holds U+0000, which Postgres cannot store.
  static func check(_ text: String, _ field: String) throws(Refusal) -> String {
    if text.utf8.count > bytesMax {
      throw Refusal(.textTooLong, "\(field) may have \(bytesMax) bytes", at: path(field))
    }
    var text = text
    let hasNul = text.withUTF8 { utf8 in
      utf8.baseAddress.map { memchr($0, 0, utf8.count) != nil } ?? false
    }
    if hasNul {
      throw Refusal(
        .nulCharacter, "\(field) holds U+0000, which is not allowed", at: path(field))
    }
    return text
  }

  static func check(
    _ text: JSONString, _ field: @autoclosure () -> String
  ) throws(Refusal) -> String {
    // An escape is at most six times as long as what it stands for.
    if text.bytes.count > bytesMax * (text.isEscaped ? 6 : 1) {
      throw Refusal(.textTooLong, "\(field()) may have \(bytesMax) bytes", at: path(field()))
    }
    return text.isEscaped ? try check(text.string, field()) : text.string
  }

  /// A text, or a number or truth value as text; nil for null.
  static func scalar(
    _ json: inout JSONScanner, _ field: @autoclosure () -> String
  ) throws(Refusal) -> String? {
    do {
      if let text = try json.textIfThere() { return try check(text, field()) }
      switch try json.peek() {
      case .string: return try check(json.text(), field())
      case .number:
        let digits = try json.numberText()
        return try check(String(decoding: digits, as: UTF8.self), field())
      case .boolean: return try json.bool() ? "true" : "false"
      case .null:
        _ = try json.skipNull()
        return nil
      case .object, .array:
        throw Refusal(
          .wrongFieldType, "\(field()) is a text, number, truth value or null", at: path(field()))
      }
    } catch let refusal as Refusal {
      throw refusal
    } catch {
      throw Refusal(.malformedJSON, "\(error)")
    }
  }

  /// The same of a field that means something only to some events, so that what it holds in others is their
  /// sender's own affair: of any length, and empty where it is neither text nor number.
  static func lenient(_ json: inout JSONScanner) throws(JSONError) -> String {
    switch try json.peek() {
    case .string: return try json.string()
    case .number: return String(decoding: try json.numberText(), as: UTF8.self)
    case .object, .array, .boolean, .null:
      try json.skipValue()
      return ""
    }
  }

  /// Where a member is in its event; `$` where the field is called by what it means.
  static func path(_ field: String) -> String { field.contains(" ") ? "$" : "$." + field }
}
