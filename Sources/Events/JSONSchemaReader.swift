/// Reads a schema, noting every problem on the way.
struct JSONSchemaReader {
  private(set) var problems: [SchemaProblem] = []
  private var nodes: [JSONSchema.Node] = []
  /// References that lead to a definition, which may come later: the node and its pointer.
  private var references: [(node: Int, target: String, pointer: String)] = []
  private var definitions: [String: Int] = [:]
  /// Members of the whole that are the caller's.
  private let foreign: Set<String>

  /// - Parameter foreign: members of the outermost object that are passed over.
  init(foreign: Set<String> = []) { self.foreign = foreign }

  /// - Returns: nil where there are ``problems``.
  mutating func schema(_ tree: JSONTree) -> JSONSchema? {
    _ = read(tree, "")
    for reference in references {
      if reference.target == "#" {
        nodes[reference.node].reference = 0
      } else if let target = definitions[reference.target] {
        nodes[reference.node].reference = target
      } else {
        add(
          reference.pointer, "leads nowhere",
          "# or \(definitions.keys.sorted().joined(separator: ", "))", "correct the name")
      }
    }
    if problems.isEmpty, let place = firstCircle() {
      add(
        "", "needs itself to say what it means (schema \(place))",
        "references that lead around only by way of properties or items", "break the circle")
    }
    return problems.isEmpty ? JSONSchema(nodes: nodes) : nil
  }

  private mutating func add(
    _ pointer: String, _ what: String, _ allowed: String, _ fix: String
  ) {
    problems.append(SchemaProblem(pointer: pointer, what: what, allowed: allowed, fix: fix))
  }

  /// - Returns: the place of the schema among the nodes.
  private mutating func read(_ tree: JSONTree, _ pointer: String) -> Int {
    let index = nodes.count
    nodes.append(JSONSchema.Node())
    switch tree {
    case .bool(let isAny): nodes[index].isNever = !isAny
    case .object(let members):
      for member in members where !(pointer.isEmpty && foreign.contains(member.name)) {
        read(member, of: index, pointer + "/" + Self.escaped(member.name))
      }
    default: add(pointer, "is no schema", "an object, true or false", "write { }")
    }
    return index
  }

  private mutating func read(_ member: JSONTree.Member, of node: Int, _ pointer: String) {
    let value = member.value
    guard let keyword = SchemaKeyword(rawValue: member.name) else {
      if SchemaKeyword.annotations.contains(member.name) { return }
      let all = SchemaKeyword.allCases.map(\.rawValue) + SchemaKeyword.annotations.sorted()
      return add(
        pointer, "is a keyword that is not supported", all.joined(separator: ", "),
        "say it by these, or leave it out")
    }
    switch keyword {
    case .type: nodes[node].types = types(value, pointer)
    case .const: nodes[node].constant = value
    case .enum:
      if let list = list(value, pointer) { nodes[node].choices = list }
    case .required: nodes[node].required = names(value, pointer)
    case .properties:
      for (name, child, place) in children(value, pointer) {
        let index = read(child, place)
        nodes[node].properties[name] = index
        nodes[node].propertyNames.append(name)
      }
    case .patternProperties:
      for (name, child, place) in children(value, pointer) {
        let index = read(child, place)
        if let pattern = pattern(name, place) {
          nodes[node].patterns.append(JSONSchema.PatternProperty(pattern: pattern, node: index))
        }
      }
    case .definitions:
      for (name, child, place) in children(value, pointer) {
        let index = read(child, place)
        if pointer == "/$defs" { definitions["#/$defs/\(name)"] = index }
      }
    case .additionalProperties:
      let index = read(value, pointer)
      nodes[node].additional = index
    case .items:
      let index = read(value, pointer)
      nodes[node].items = index
    case .not:
      let index = read(value, pointer)
      nodes[node].not = index
    case .allOf: nodes[node].allOf = schemas(value, pointer)
    case .anyOf: nodes[node].anyOf = schemas(value, pointer)
    case .oneOf: nodes[node].oneOf = schemas(value, pointer)
    case .minItems: nodes[node].itemsMin = count(value, pointer)
    case .maxItems: nodes[node].itemsMax = count(value, pointer)
    case .minLength: nodes[node].lengthMin = count(value, pointer)
    case .maxLength: nodes[node].lengthMax = count(value, pointer)
    case .pattern:
      if let text = text(value, pointer) { nodes[node].pattern = pattern(text, pointer) }
    case .format: nodes[node].format = format(value, pointer)
    case .minimum: limit(.minimum, value, node, pointer)
    case .maximum: limit(.maximum, value, node, pointer)
    case .exclusiveMinimum: limit(.exclusiveMinimum, value, node, pointer)
    case .exclusiveMaximum: limit(.exclusiveMaximum, value, node, pointer)
    case .multipleOf: nodes[node].multipleOf = step(value, pointer)
    case .reference:
      if let text = text(value, pointer) {
        references.append((node: node, target: text, pointer: pointer))
      }
    case .personal: nodes[node].isPersonal = flag(value, pointer)
    }
  }

  // MARK: Values of keywords

  private mutating func types(_ value: JSONTree, _ pointer: String) -> [SchemaType] {
    var texts: [JSONTree] = [value]
    if case .array(let items) = value { texts = items }
    let types = texts.compactMap { item -> SchemaType? in
      guard case .string(let name) = item else { return nil }
      return SchemaType(rawValue: name)
    }
    if types.isEmpty || types.count < texts.count {
      add(
        pointer, "is no type", SchemaType.allCases.map(\.rawValue).joined(separator: ", "),
        "write one of these, or an array of them")
    }
    return types
  }

  private mutating func list(_ value: JSONTree, _ pointer: String) -> [JSONTree]? {
    guard case .array(let items) = value, !items.isEmpty else {
      add(pointer, "is no list", "an array of at least one element", "write [ ] around it")
      return nil
    }
    return items
  }

  private mutating func names(_ value: JSONTree, _ pointer: String) -> [String] {
    guard case .array(let items) = value else {
      add(pointer, "is no list of names", "an array of texts", "write [ ] around it")
      return []
    }
    return items.enumerated().compactMap { text($0.element, "\(pointer)/\($0.offset)") }
  }

  private mutating func children(
    _ value: JSONTree, _ pointer: String
  ) -> [(name: String, value: JSONTree, pointer: String)] {
    guard case .object(let members) = value else {
      add(pointer, "is no object", "an object of schemas by name", "write { } around them")
      return []
    }
    return members.map { ($0.name, $0.value, pointer + "/" + Self.escaped($0.name)) }
  }

  private mutating func schemas(_ value: JSONTree, _ pointer: String) -> [Int] {
    (list(value, pointer) ?? []).enumerated().map { read($0.element, "\(pointer)/\($0.offset)") }
  }

  private mutating func count(_ value: JSONTree, _ pointer: String) -> Int? {
    if case .number(let number, _) = value, number.rounded() == number,
      (0...1_000_000_000).contains(number)
    {
      return Int(number)
    }
    add(pointer, "is no count", "a whole number from 0", "write a number")
    return nil
  }

  private mutating func text(_ value: JSONTree, _ pointer: String) -> String? {
    if case .string(let text) = value { return text }
    add(pointer, "is no text", "a text", "write it in quotes")
    return nil
  }

  private mutating func flag(_ value: JSONTree, _ pointer: String) -> Bool {
    if case .bool(let flag) = value { return flag }
    add(pointer, "is neither true nor false", "true, false", "write true")
    return false
  }

  private mutating func pattern(_ text: String, _ pointer: String) -> SchemaPattern? {
    do throws(SchemaPattern.Malformed) {
      return try SchemaPattern(text)
    } catch {
      add(
        pointer, "is a pattern that \(error.what)",
        "a regular expression of characters, classes, groups, |, * + ? {m,n}, ^ and $",
        "correct the pattern")
      return nil
    }
  }

  private mutating func format(_ value: JSONTree, _ pointer: String) -> SchemaFormat? {
    guard let name = text(value, pointer) else { return nil }
    if let format = SchemaFormat(rawValue: name) { return format }
    add(
      pointer, "is a format that is not supported",
      SchemaFormat.allCases.map(\.rawValue).joined(separator: ", "),
      "write one of these, or a pattern")
    return nil
  }

  private mutating func limit(
    _ kind: NumberLimit.Kind, _ value: JSONTree, _ node: Int, _ pointer: String
  ) {
    guard case .number(let number, let text) = value, number.isFinite else {
      return add(pointer, "is no number", "a number", "write a number")
    }
    nodes[node].limits.append(NumberLimit(kind: kind, value: number, text: text))
  }

  private mutating func step(_ value: JSONTree, _ pointer: String) -> SchemaDecimal? {
    if case .number(_, let text) = value, let step = SchemaDecimal(text), step.isPositive {
      return step
    }
    add(pointer, "is no step", "a number above 0 of at most 18 digits", "write one, such as 0.01")
    return nil
  }

  /// RFC 6901 section 3.
  private static func escaped(_ name: String) -> String {
    name.replacing("~", with: "~0").replacing("/", with: "~1")
  }

  // MARK: Circles

  /// A schema that is about the same value as itself, by way of others, would never be done with it.
  private func firstCircle() -> Int? {
    var isDone = [Bool](repeating: false, count: nodes.count)
    var isOpen = isDone
    func visit(_ index: Int) -> Int? {
      if isOpen[index] { return index }
      if isDone[index] { return nil }
      isOpen[index] = true
      defer {
        isOpen[index] = false
        isDone[index] = true
      }
      let node = nodes[index]
      let same =
        node.allOf + (node.anyOf ?? []) + (node.oneOf ?? [])
        + [node.not, node.reference].compactMap(\.self)
      for next in same {
        if let circle = visit(next) { return circle }
      }
      return nil
    }
    for index in nodes.indices {
      if let circle = visit(index) { return circle }
    }
    return nil
  }
}

extension JSONSchema {
  /// - Throws: the first thing that is wrong with it.
  public init(_ tree: JSONTree) throws(SchemaProblem) {
    var reader = JSONSchemaReader()
    guard let schema = reader.schema(tree) else { throw reader.problems[0] }
    self = schema
  }
}
