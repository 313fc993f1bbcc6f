import Events
import Yams

/// A mapping of a YAML file while it is read: every key must be known, and every wrong value is
/// noted with its line.
///
/// Readers return nil after they have noted a problem, so that one pass finds all of them.
struct Section {
  let key: String
  let line: Int
  let problems: ProblemList
  private(set) var entries: [Entry] = []

  struct Entry {
    let name: String
    let line: Int
    let value: Node
  }

  /// - Returns: nil where `node` is no mapping.
  init?(_ node: Node, key: String, problems: ProblemList) {
    self.key = key
    line = node.mark?.line ?? 0
    self.problems = problems
    guard let mapping = node.mapping else {
      problems.add(
        line: line, key: key, what: "is not a mapping", allowed: "lines of the form `name: value`",
        fix: "indent what belongs to it by two spaces below it")
      return nil
    }
    for (name, value) in mapping {
      entries.append(
        Entry(
          name: name.scalar?.string ?? "", line: name.mark?.line ?? line, value: value))
    }
  }

  /// A mapping with fixed keys: others are problems, and so are missing ones that are not optional.
  init?(
    _ node: Node, key: String, keys: [String], optional: [String] = [], problems: ProblemList
  ) {
    self.init(node, key: key, problems: problems)
    let known = keys + optional
    for entry in entries where !known.contains(entry.name) {
      let near = Spelling.nearest(to: entry.name, among: known)
      problems.add(
        line: entry.line, key: path(entry.name), what: "is not known",
        allowed: known.joined(separator: ", "),
        fix: near.map { "write \($0)" } ?? "remove the line")
    }
    for name in keys where self[name] == nil {
      problems.add(
        line: line, key: path(name), what: "is missing", allowed: keys.joined(separator: ", "),
        fix: "add a line `\(name): …`")
    }
  }

  subscript(_ name: String) -> Entry? { entries.first { $0.name == name } }

  func path(_ name: String) -> String { key.isEmpty ? name : "\(key).\(name)" }

  // MARK: Values

  func section(_ name: String, keys: [String]) -> Section? {
    self[name].flatMap {
      Section($0.value, key: path(name), keys: keys, problems: problems)
    }
  }

  func section(_ name: String) -> Section? {
    self[name].flatMap { Section($0.value, key: path(name), problems: problems) }
  }

  func text(_ name: String, allowed: String = "a text") -> String? {
    guard let entry = self[name] else { return nil }
    return scalar(entry.value, path(name), allowed: allowed)
  }

  /// A sequence of texts, each once.
  func texts(_ name: String, allowed: String) -> [String]? {
    guard let entry = self[name] else { return nil }
    guard let sequence = entry.value.sequence else {
      problems.add(
        line: entry.line, key: path(name), what: "is not a list", allowed: allowed,
        fix: "write it as `\(name): [first, second]`")
      return nil
    }
    let texts = sequence.compactMap { scalar($0, path(name), allowed: allowed) }
    for (index, text) in texts.enumerated() where texts[..<index].contains(text) {
      problems.add(
        line: entry.line, key: path(name), what: "has \(text) twice", allowed: allowed,
        fix: "remove one of them")
    }
    return texts.count == sequence.count ? texts : nil
  }

  func choice(_ name: String, _ choices: [String], because reason: String = "") -> String? {
    guard let entry = self[name] else { return nil }
    let allowed = choices.joined(separator: ", ")
    guard let text = scalar(entry.value, path(name), allowed: allowed) else { return nil }
    guard choices.contains(text) else {
      let choice = Spelling.nearest(to: text, among: choices) ?? choices[0]
      problems.add(
        line: line(of: entry), key: path(name), what: "is \(text)", allowed: allowed,
        fix: "write \(choice)" + (reason.isEmpty ? "" : ": \(reason)"))
      return nil
    }
    return text
  }

  func integer(_ name: String, _ range: ClosedRange<Int>) -> Int? {
    let allowed = "a whole number from \(range.lowerBound) to \(range.upperBound)"
    return value(name, allowed: allowed, fix: "write one of these") { text in
      Int(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }

  func number(_ name: String, _ range: ClosedRange<Double>) -> Double? {
    value(
      name, allowed: "a number from \(range.lowerBound) to \(range.upperBound)",
      fix: "write one of these"
    ) { text in Double(text).flatMap { range.contains($0) ? $0 : nil } }
  }

  /// As RFC 3339 has it; in microseconds since the epoch.
  func time(_ name: String) -> Int64? {
    value(
      name, allowed: "a time as RFC 3339 has it", fix: "write it as 2026-01-01T00:00:00Z"
    ) { Timestamp.parse($0) }
  }

  /// In microseconds.
  func duration(_ name: String, _ range: ClosedRange<Int64>) -> Int64? {
    let units = Quantity.durationUnits.map(\.unit).joined(separator: ", ")
    let allowed =
      "a duration from \(Quantity.text(micros: range.lowerBound)) to"
      + " \(Quantity.text(micros: range.upperBound))"
    return value(
      name, allowed: allowed, fix: "write a whole number and one of the units \(units)"
    ) { text in Quantity.duration(text).flatMap { range.contains($0) ? $0 : nil } }
  }

  func bytes(_ name: String, _ range: ClosedRange<Int64>) -> Int64? {
    let units = Quantity.byteUnits.map(\.unit).joined(separator: ", ")
    let allowed =
      "a size from \(Quantity.text(bytes: range.lowerBound)) to"
      + " \(Quantity.text(bytes: range.upperBound))"
    return value(
      name, allowed: allowed, fix: "write a whole number and one of the units \(units)"
    ) { text in Quantity.bytes(text).flatMap { range.contains($0) ? $0 : nil } }
  }

  /// A text that `read` understands.
  func value<Value>(
    _ name: String, allowed: String, fix: String, _ read: (String) -> Value?
  ) -> Value? {
    guard let entry = self[name] else { return nil }
    guard let text = scalar(entry.value, path(name), allowed: allowed) else { return nil }
    guard let value = read(text) else {
      problems.add(
        line: line(of: entry), key: path(name), what: "is \(text)", allowed: allowed, fix: fix)
      return nil
    }
    return value
  }

  func line(of entry: Entry) -> Int { entry.value.mark?.line ?? entry.line }

  private func scalar(_ node: Node, _ path: String, allowed: String) -> String? {
    guard let text = node.scalar?.string, !text.isEmpty else {
      problems.add(
        line: node.mark?.line ?? line, key: path,
        what: node.scalar == nil ? "is a list or a mapping" : "is empty", allowed: allowed,
        fix: "write one value on the line of its name")
      return nil
    }
    return text
  }
}

/// Finds what somebody who mistyped a word meant.
enum Spelling {
  /// The word at the smallest distance, if that is at most a third of its length.
  static func nearest(to word: String, among words: [String]) -> String? {
    let nearest = words.map { (distance(word, $0), $0) }.min { $0.0 < $1.0 }
    return nearest.flatMap { $0.0 <= max(1, $0.1.utf8.count / 3) ? $0.1 : nil }
  }

  /// Levenshtein's distance of at most 64 characters each.
  static func distance(_ first: String, _ second: String) -> Int {
    let second = Array(second.utf8.prefix(64))
    var row = Array(0...second.count)
    for (index, byte) in first.utf8.prefix(64).enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for column in second.indices {
        let substituted = diagonal + (byte == second[column] ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(substituted, diagonal + 1, row[column] + 1)
      }
    }
    return row[second.count]
  }
}
