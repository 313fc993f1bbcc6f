/// All schemas of events, by event and version.
public struct EventSchemas: Equatable, Sendable {
  /// The member of an event that says which version it is.
  public static let versionMember = "schema_version"

  /// The versions of an event's schema, the oldest first.
  public struct Versions: Equatable, Sendable {
    public let all: [EventSchema]
  }

  /// What was found of an event's properties.
  public enum Verdict: Equatable, Sendable {
    /// They are of this version; the properties are those of the newest where it is an older one.
    case fits(version: Int, upcast: JSONTree?)
    case violates(SchemaViolation)
  }

  private let byEvent: [String: Versions]

  /// - Parameter schemas: as ``problems(of:)`` finds nothing wrong with them.
  public init(_ schemas: [EventSchema] = []) {
    byEvent = Dictionary(grouping: schemas, by: \.event).mapValues { schemas in
      Versions(all: schemas.sorted { $0.version < $1.version })
    }
  }

  public var isEmpty: Bool { byEvent.isEmpty }
  public var count: Int { byEvent.values.reduce(0) { $0 + $1.all.count } }

  /// By event, or kind of event: see ``Versions/personalPaths``.
  public var personalPaths: [String: [[String]]] { byEvent.mapValues(\.personalPaths) }

  /// What is wrong with schemas beside each other, with the place of the one that is to be mended.
  public static func problems(of schemas: [EventSchema]) -> [(index: Int, problem: SchemaProblem)] {
    var problems: [(index: Int, problem: SchemaProblem)] = []
    for (index, schema) in schemas.enumerated() {
      let others = schemas.filter { $0.event == schema.event }
      if schemas[..<index].contains(where: {
        $0.event == schema.event && $0.version == schema.version
      }) {
        problems.append(
          (
            index,
            SchemaProblem(
              pointer: "/x-version", what: "is \(schema.version), which another file has too",
              allowed: "each version of an event once", fix: "count it up"
            )
          ))
      }
      let hasOlder = others.contains { $0.version < schema.version }
      if hasOlder && schema.upcast == nil {
        problems.append(
          (
            index,
            SchemaProblem(
              pointer: "/x-upcast", what: "is missing",
              allowed: "how version \(schema.version - 1) becomes version \(schema.version)",
              fix: "write [ ] where every event of before fits as it is"
            )
          ))
      }
      if hasOlder && !others.contains(where: { $0.version == schema.version - 1 }) {
        problems.append(
          (
            index,
            SchemaProblem(
              pointer: "/x-version", what: "leaves a version out", allowed: "one more than before",
              fix: "count without gaps"
            )
          ))
      }
    }
    return problems
  }

  /// The schemas of an event: those of its name, else those of its kind.
  public func versions(of name: String, _ kind: EventKind) -> Versions? {
    byEvent[name] ?? byEvent[kind.name]
  }
}

extension EventSchemas.Versions {
  /// Where personal data may be among the properties, of any version; see ``JSONSchema/personalPaths``.
  public var personalPaths: [[String]] {
    all.reduce(into: []) { paths, schema in
      for path in schema.schema.personalPaths where !paths.contains(path) { paths.append(path) }
    }
  }

  /// Checks properties against the version that they name, else against the newest that they fit.
  ///
  /// - Parameter stated: the version that the event names outside of its properties.
  public func check(_ properties: JSONTree, stated: JSONTree? = nil) -> EventSchemas.Verdict {
    let named = properties[EventSchemas.versionMember] ?? stated
    var properties = properties
    // It is about the properties and none of them.
    properties[EventSchemas.versionMember] = nil
    guard let named else { return newest(properties) }
    guard let index = all.firstIndex(where: { Self.isVersion(named, $0.version) }) else {
      let known = all.map { "\($0.version)" }.joined(separator: ", ")
      return .violates(
        SchemaViolation(
          path: "$.\(EventSchemas.versionMember)", expected: "one of \(known)",
          fix: "send a known version, or add its schema"))
    }
    if let violation = all[index].schema.violation(of: properties) { return .violates(violation) }
    return upcast(properties, from: index)
  }

  private func newest(_ properties: JSONTree) -> EventSchemas.Verdict {
    var first: SchemaViolation?
    for index in all.indices.reversed() {
      guard let violation = all[index].schema.violation(of: properties) else {
        return upcast(properties, from: index)
      }
      // The newest says what events are to be.
      if first == nil { first = violation }
    }
    return first.map { .violates($0) } ?? .fits(version: 1, upcast: nil)
  }

  private static func isVersion(_ stated: JSONTree, _ version: Int) -> Bool {
    switch stated {
    case .number(let number, _): number == Double(version)
    case .string(let text): Int(text) == version
    default: false
    }
  }

  private func upcast(_ properties: JSONTree, from index: Int) -> EventSchemas.Verdict {
    let version = all[index].version
    guard index + 1 < all.count else { return .fits(version: version, upcast: nil) }
    var properties = properties
    for next in all[(index + 1)...] {
      next.upcast?.apply(to: &properties)
      if var violation = next.schema.violation(of: properties) {
        violation.expected += " (after x-upcast to version \(next.version))"
        return .violates(violation)
      }
    }
    properties[EventSchemas.versionMember] = .integer(all[all.count - 1].version)
    return .fits(version: version, upcast: properties)
  }
}
