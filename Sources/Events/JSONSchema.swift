/// A JSON Schema (draft 2020-12), as far as ``SchemaKeyword`` goes; what else a schema has is refused when
/// it is read, so that nothing is taken for checked that is not.
///
/// Checking looks at each value once per schema that is about it and stops at what is wrong first. Numbers
/// are compared as doubles; what the edge took out (``Removed``) or encrypted (``SealedText``) fits anything; a `format` must be met, as with the format-assertion vocabulary.
public struct JSONSchema: Equatable, Sendable {
  /// One schema object. Others are named by their place in ``nodes``.
  struct Node: Equatable, Sendable {
    /// The schema `false`.
    var isNever = false
    var types: [SchemaType] = []
    var constant: JSONTree?
    var choices: [JSONTree]?
    var required: [String] = []
    var properties: [String: Int] = [:]
    /// As the schema lists them.
    var propertyNames: [String] = []
    var patterns: [PatternProperty] = []
    var additional: Int?
    var items: Int?
    var itemsMin: Int?
    var itemsMax: Int?
    var lengthMin: Int?
    var lengthMax: Int?
    var pattern: SchemaPattern?
    var format: SchemaFormat?
    var limits: [NumberLimit] = []
    var multipleOf: SchemaDecimal?
    var reference: Int?
    var allOf: [Int] = []
    var anyOf: [Int]?
    var oneOf: [Int]?
    var not: Int?
    var isPersonal = false
  }

  struct PatternProperty: Equatable, Sendable {
    var pattern: SchemaPattern
    var node: Int
  }

  /// The first is the whole.
  let nodes: [Node]

  /// - Returns: nil where the value fits; what is wrong first where it does not.
  public func violation(of value: JSONTree) -> SchemaViolation? {
    do throws(SchemaViolation) {
      try check(value, 0, SchemaPath())
      return nil
    } catch {
      return error
    }
  }

  /// Where values are that the schema marks as personal, from the whole inwards; `*` stands for every
  /// element of an array or every other member.
  public var personalPaths: [[String]] {
    var paths: [[String]] = []
    var seen: Set<Int> = []
    collectPersonal(0, [], &seen, &paths)
    return paths
  }

  private func collectPersonal(
    _ index: Int, _ path: [String], _ seen: inout Set<Int>, _ paths: inout [[String]]
  ) {
    let node = nodes[index]
    if node.isPersonal && !paths.contains(path) { paths.append(path) }
    // A schema that is about parts of itself has no end.
    guard seen.insert(index).inserted else { return }
    for name in node.propertyNames {
      if let child = node.properties[name] { collectPersonal(child, path + [name], &seen, &paths) }
    }
    for child in node.patterns.map(\.node) + [node.additional, node.items].compactMap(\.self) {
      collectPersonal(child, path + ["*"], &seen, &paths)
    }
    let others = node.allOf + (node.anyOf ?? []) + (node.oneOf ?? [])
    for child in others + [node.reference].compactMap(\.self) {
      collectPersonal(child, path, &seen, &paths)
    }
    seen.remove(index)
  }

  // MARK: Checking

  private func check(
    _ value: JSONTree, _ index: Int, _ path: SchemaPath
  ) throws(SchemaViolation) {
    let node = nodes[index]
    if node.isNever {
      throw SchemaViolation(path, "nothing: it is not allowed", "remove it, or allow it")
    }
    if case .string(let text) = value, text.utf8.contains(UInt8(ascii: "[")) {
      if Removed(rawValue: text) != nil || SealedText(text) != nil { return }
      // What is encrypted within a text makes it no longer than what is removed.
      let removed = SealedTexts.removed(from: text)
      if removed != text { return try check(.string(removed), index, path) }
    }
    if let reference = node.reference { try check(value, reference, path) }
    if !node.types.isEmpty, !node.types.contains(where: { $0.contains(value) }) {
      let names = node.types.map(\.article).joined(separator: " or ")
      throw SchemaViolation(path, names, "send \(names)")
    }
    if let constant = node.constant, constant != value {
      throw SchemaViolation(path, "exactly \(constant.short)", "send \(constant.short)")
    }
    if let choices = node.choices, !choices.contains(value) {
      let names = choices.map(\.short).joined(separator: ", ")
      throw SchemaViolation(path, "one of \(names)", "send one of these")
    }
    switch value {
    case .object(let members): try check(members, node, path)
    case .array(let items): try check(items, node, path)
    case .string(let text): try check(text, node, path)
    case .number(let number, let text): try check(number, text, node, path)
    case .null, .bool: break
    }
    try checkChoices(value, node, path)
  }

  private func checkChoices(
    _ value: JSONTree, _ node: Node, _ path: SchemaPath
  ) throws(SchemaViolation) {
    for part in node.allOf { try check(value, part, path) }
    if let anyOf = node.anyOf {
      let violations = violations(of: value, anyOf, path)
      if violations.count == anyOf.count, let first = violations.first {
        throw SchemaViolation(
          path: first.path,
          expected: "what one of \(anyOf.count) choices asks, such as \(first.expected)",
          fix: first.fix)
      }
    }
    if let oneOf = node.oneOf {
      let violations = violations(of: value, oneOf, path)
      let fitting = oneOf.count - violations.count
      if fitting == 0, let first = violations.first {
        throw SchemaViolation(
          path: first.path,
          expected: "what one of \(oneOf.count) choices asks, such as \(first.expected)",
          fix: first.fix)
      }
      if fitting > 1 {
        throw SchemaViolation(
          path, "what exactly one of \(oneOf.count) choices asks, not \(fitting) of them",
          "send what only one of them allows")
      }
    }
    if let not = node.not, violations(of: value, [not], path).isEmpty {
      throw SchemaViolation(path, "anything but what `not` describes", "send something else")
    }
  }

  private func violations(
    of value: JSONTree, _ nodes: [Int], _ path: SchemaPath
  ) -> [SchemaViolation] {
    nodes.compactMap { node in
      do throws(SchemaViolation) {
        try check(value, node, path)
        return nil
      } catch {
        return error
      }
    }
  }

  private func check(
    _ members: [JSONTree.Member], _ node: Node, _ path: SchemaPath
  ) throws(SchemaViolation) {
    for name in node.required where !members.contains(where: { $0.name == name }) {
      throw SchemaViolation(path.member(name), "a value: it is required", "send \(name)")
    }
    if node.properties.isEmpty && node.patterns.isEmpty && node.additional == nil { return }
    for member in members {
      let place = path.member(member.name)
      var isKnown = false
      if let child = node.properties[member.name] {
        isKnown = true
        try check(member.value, child, place)
      }
      for pattern in node.patterns where pattern.pattern.matches(member.name) {
        isKnown = true
        try check(member.value, pattern.node, place)
      }
      guard !isKnown, let additional = node.additional else { continue }
      if nodes[additional].isNever {
        let known = node.propertyNames.joined(separator: ", ")
        throw SchemaViolation(
          place, known.isEmpty ? "no property" : "no property but \(known)",
          "remove it, or add it to the schema")
      }
      try check(member.value, additional, place)
    }
  }

  private func check(
    _ items: [JSONTree], _ node: Node, _ path: SchemaPath
  ) throws(SchemaViolation) {
    if let min = node.itemsMin, items.count < min {
      throw SchemaViolation(path, "at least \(min) elements", "send more")
    }
    if let max = node.itemsMax, items.count > max {
      throw SchemaViolation(path, "at most \(max) elements", "send fewer")
    }
    guard let child = node.items else { return }
    for (index, item) in items.enumerated() { try check(item, child, path.element(index)) }
  }

  private func check(
    _ text: String, _ node: Node, _ path: SchemaPath
  ) throws(SchemaViolation) {
    if node.lengthMin != nil || node.lengthMax != nil {
      let length = text.unicodeScalars.count
      if let min = node.lengthMin, length < min {
        throw SchemaViolation(path, "at least \(min) characters", "send a longer text")
      }
      if let max = node.lengthMax, length > max {
        throw SchemaViolation(path, "at most \(max) characters", "send a shorter text")
      }
    }
    if let pattern = node.pattern, !pattern.matches(text) {
      throw SchemaViolation(
        path, "a text that matches \(pattern.text)", "send one that does")
    }
    if let format = node.format, !format.matches(text) {
      throw SchemaViolation(
        path, "a text of the form \(format.rawValue)", "write it as \(format.example)")
    }
  }

  private func check(
    _ number: Double, _ text: String, _ node: Node, _ path: SchemaPath
  ) throws(SchemaViolation) {
    for limit in node.limits where !limit.allows(number) {
      throw SchemaViolation(path, limit.words, "send \(limit.words)")
    }
    if let step = node.multipleOf, !step.divides(text) {
      throw SchemaViolation(path, "a multiple of \(step.text)", "send a multiple of it")
    }
  }
}
