/// What the properties of one event have to be, in one version: a JSON Schema with a few members of its own.
///
/// | member | |
/// |---|---|
/// | `x-event` | the event's name, or a kind such as `conversion`: then of all its events that have no schema by name |
/// | `x-version` | a whole number from 1 |
/// | `x-upcast` | how properties of the version before become this one's; see ``SchemaUpcast`` |
/// | `x-personal` | at any place in the schema: the value is personal data |
public struct EventSchema: Equatable, Sendable {
  static let members: Set<String> = ["x-event", "x-version", "x-upcast"]

  public var event: String
  public var version: Int
  public var schema: JSONSchema
  /// Nil where the schema says nothing of the version before.
  public var upcast: SchemaUpcast?

  public init(event: String, version: Int, schema: JSONSchema, upcast: SchemaUpcast? = nil) {
    self.event = event
    self.version = version
    self.schema = schema
    self.upcast = upcast
  }

  /// Reads a file.
  ///
  /// - Parameters:
  ///   - name: of the file without `.json`; the event where `x-event` does not say it. One that ends with
  ///     `.v2` is of that version where `x-version` does not say it.
  public static func read(
    _ json: [UInt8], named name: String
  ) -> (schema: EventSchema?, problems: [SchemaProblem]) {
    let tree: JSONTree
    do throws(JSONError) {
      tree = try JSONTree(json)
    } catch {
      let problem = SchemaProblem(
        pointer: "", what: "is not JSON: \(error)", allowed: "a JSON Schema",
        fix: "look at this byte and what is before it")
      return (nil, [problem])
    }
    guard case .object = tree else {
      let problem = SchemaProblem(
        pointer: "", what: "is no object", allowed: "a JSON Schema with members", fix: "write { }")
      return (nil, [problem])
    }
    var problems: [SchemaProblem] = []
    let (stem, ofName) = versioned(name)
    let event = text(tree["x-event"], "x-event", &problems) ?? stem
    let version = version(tree["x-version"], &problems) ?? ofName ?? 1
    var upcast: SchemaUpcast?
    if let steps = tree["x-upcast"] { upcast = SchemaUpcast(steps, &problems) }
    var reader = JSONSchemaReader(foreign: members)
    let schema = reader.schema(tree)
    problems += reader.problems
    guard let schema, problems.isEmpty else { return (nil, problems) }
    return (EventSchema(event: event, version: version, schema: schema, upcast: upcast), [])
  }

  /// `order.v2` is version 2 of `order`.
  private static func versioned(_ name: String) -> (stem: String, version: Int?) {
    guard let mark = name.lastRange(of: ".v"), let version = Int(name[mark.upperBound...]),
      version > 0
    else { return (name, nil) }
    return (String(name[..<mark.lowerBound]), version)
  }

  private static func text(
    _ value: JSONTree?, _ name: String, _ problems: inout [SchemaProblem]
  ) -> String? {
    switch value {
    case nil: return nil
    case .string(let text) where !text.isEmpty: return text
    default:
      problems.append(
        SchemaProblem(
          pointer: "/\(name)", what: "is no name", allowed: "the name of an event, or a kind",
          fix: "write it in quotes"))
      return nil
    }
  }

  private static func version(_ value: JSONTree?, _ problems: inout [SchemaProblem]) -> Int? {
    guard let value else { return nil }
    if case .number(let number, _) = value, number.rounded() == number,
      (1...1_000_000).contains(number)
    {
      return Int(number)
    }
    problems.append(
      SchemaProblem(
        pointer: "/x-version", what: "is no version", allowed: "a whole number from 1",
        fix: "write a number"))
    return nil
  }
}

extension String {
  fileprivate func lastRange(of text: String) -> Range<String.Index>? { ranges(of: text).last }
}
