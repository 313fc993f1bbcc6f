/// The keywords that a schema may have.
enum SchemaKeyword: String, CaseIterable {
  case type, const, `enum`
  case properties, required, additionalProperties, patternProperties
  case items, minItems, maxItems
  case minLength, maxLength, pattern, format
  case minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf
  case allOf, anyOf, oneOf, not
  case reference = "$ref"
  case definitions = "$defs"
  /// The value is personal data; the edge treats it as the write key's policy says.
  case personal = "x-personal"

  /// Said for people, and not checked.
  static let annotations: Set<String> = [
    "$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated",
    "readOnly", "writeOnly",
  ]
}

/// Something wrong in a schema: where in its JSON, what, what would be right.
public struct SchemaProblem: Error, Hashable, Sendable {
  /// A JSON pointer (RFC 6901), such as `/properties/price/minimum`; empty for the whole.
  public var pointer: String
  public var what: String
  public var allowed: String
  public var fix: String

  public init(pointer: String, what: String, allowed: String, fix: String) {
    self.pointer = pointer
    self.what = what
    self.allowed = allowed
    self.fix = fix
  }
}
