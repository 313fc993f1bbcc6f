import Learning
import Yams

/// Reads `Streams/segments.yaml`: how profiles are kept, and which segments there are.
enum SegmentFile {
  static let fileName = "segments.yaml"
  static let rootKeys = [
    "half_life", "memory", "persons", "currency", "segments", "clusters",
  ]
  private static let hour: Int64 = 3_600_000_000
  private static let day: Int64 = 24 * hour
  private static let partsMax = 32
  private static let depthMax = 8

  static func read(_ root: Section) -> ProfilePolicy? {
    let halfLife = root.duration("half_life", hour...(365 * day))
    let memory = root.duration("memory", hour...(3_650 * day))
    let persons = root.integer("persons", 1_000...10_000_000)
    let currency = root.value(
      "currency", allowed: "a code of ISO 4217", fix: "write one such as USD"
    ) { text in
      text.utf8.count == 3 && text.utf8.allSatisfy { (0x41...0x5a).contains($0) } ? text : nil
    }
    let segments = readSegments(root, memory ?? .max)
    let clusters = root.section("clusters", keys: ["count", "every"])
    let count = clusters?.integer("count", 0...32)
    let every = clusters?.duration("every", 1_000_000...day)
    guard let halfLife, let memory, let persons, let currency, let segments, let count, let every
    else { return nil }
    return ProfilePolicy(
      decay: Decay(halfLife: halfLife), memory: memory, personsMax: persons, currency: currency,
      segments: segments, clusterCount: count, clustersEvery: every)
  }

  private static func readSegments(_ root: Section, _ memory: Int64) -> [SegmentRule]? {
    guard let section = root.section("segments") else { return nil }
    guard section.entries.count <= SegmentRule.countMax else {
      root.problems.add(
        line: section.line, key: "segments", what: "has \(section.entries.count) segments",
        allowed: "at most \(SegmentRule.countMax)", fix: "remove those that are over")
      return nil
    }
    let rules = section.entries.compactMap { read($0, section, memory) }
    guard rules.count == section.entries.count else { return nil }
    return hasRoom(SegmentInputs(rules), section) ? rules : nil
  }

  /// What is asked for of each person is kept of each person.
  private static func hasRoom(_ inputs: SegmentInputs, _ section: Section) -> Bool {
    let counts: [(what: String, count: Int, max: Int)] = [
      ("different things within a time", inputs.acts.count, SegmentInputs.actsMax),
      ("different properties", inputs.properties.count, SegmentInputs.propertiesMax),
      (
        "different values of one property", inputs.properties.map(\.values.count).max() ?? 0,
        SegmentInputs.valuesMax
      ),
    ]
    for (what, count, max) in counts where count > max {
      section.problems.add(
        line: section.line, key: "segments", what: "asks for \(count) \(what)",
        allowed: "at most \(max)", fix: "remove those that are over")
      return false
    }
    return true
  }

  private static func read(
    _ entry: Section.Entry, _ all: Section, _ memory: Int64
  ) -> SegmentRule? {
    let key = all.path(entry.name)
    guard isID(entry.name) else {
      all.problems.add(
        line: entry.line, key: key, what: "is no id of a segment",
        allowed: "1 to 64 of a-z, 0-9, - and _, of which the first is a letter", fix: "rename it")
      return nil
    }
    guard
      let section = Section(
        entry.value, key: key, keys: ["when"], optional: ["description", "events"],
        problems: all.problems),
      let when = section["when"],
      let condition = expression(
        when.value, key: section.path("when"), line: when.line, all.problems, depth: 1,
        memory: memory)
    else { return nil }
    let description = section.text("description")
    guard section["description"] == nil || description != nil else { return nil }
    let events = section.choice("events", ["true", "false"])
    guard section["events"] == nil || events != nil else { return nil }
    return SegmentRule(
      id: entry.name, description: description ?? "", condition: condition,
      isAnnounced: events == "true")
  }

  private static func isID(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.first.map { (0x61...0x7a).contains($0) } ?? false
      && text.utf8.allSatisfy {
        (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d || $0 == 0x5f
      }
  }

  // MARK: Conditions

  private static let forms =
    "`FIELD OPERATOR VALUE`, `FIELD in TIME OPERATOR VALUE`, or one of all, any and not with conditions"

  private static func expression(
    _ node: Node, key: String, line: Int, _ problems: ProblemList, depth: Int,
    memory: Int64
  ) -> SegmentExpression? {
    let line = node.mark?.line ?? line
    func refuse(_ what: String, _ allowed: String, _ fix: String) -> SegmentExpression? {
      problems.add(line: line, key: key, what: what, allowed: allowed, fix: fix)
      return nil
    }
    if let text = node.scalar?.string { return condition(text, memory, refuse) }
    guard depth <= depthMax else {
      return refuse("is nested too deeply", "\(depthMax) levels", "write it with fewer of them")
    }
    guard let mapping = node.mapping, mapping.count == 1, let (name, value) = mapping.first else {
      return refuse("is no condition", forms, "write it as `all: [recency <= 7d, clicks > 0]`")
    }
    let word = name.scalar?.string ?? ""
    switch word {
    case "not":
      return expression(
        value, key: "\(key).not", line: line, problems, depth: depth + 1, memory: memory
      )
      .map { .not($0) }
    case "all", "any":
      guard let sequence = value.sequence, (1...partsMax).contains(sequence.count) else {
        return refuse(
          "has no list of conditions below \(word)", "1 to \(partsMax) conditions",
          "write it as `\(word): [recency <= 7d, clicks > 0]`")
      }
      let parts = sequence.compactMap {
        expression(
          $0, key: "\(key).\(word)", line: line, problems, depth: depth + 1, memory: memory)
      }
      guard parts.count == sequence.count else { return nil }
      return word == "all" ? .all(parts) : .any(parts)
    default:
      return refuse("has \(word)", "all, any, not", "write one of these")
    }
  }

  private static func condition(
    _ text: String, _ memory: Int64, _ refuse: (String, String, String) -> SegmentExpression?
  ) -> SegmentExpression? {
    let words = text.split(separator: " ").map(String.init)
    let operators = SegmentExpression.Comparison.allCases.map(\.rawValue) + [equal]
    guard words.count >= 3 else {
      return refuse("is \(text)", forms, "write it with spaces, such as `clicks > 0`")
    }
    guard let place = words.firstIndex(where: operators.contains), place > 0,
      place < words.count - 1
    else {
      let word = words[words.count - 2]
      return refuse("compares by \(word)", operators.joined(separator: ", "), "write one of these")
    }
    let value = words[(place + 1)...].joined(separator: " ")
    let isCounted = place >= 3 && words[place - 2] == "in"
    let name = words[..<(isCounted ? place - 2 : place)].joined(separator: " ")
    if isCounted {
      return counted(name, in: words[place - 1], words[place], value, memory, refuse)
    }
    guard let field = ProfileField(name) else { return unknown(name, refuse) }
    if words[place] == equal {
      guard case .property(let name) = field else {
        return refuse(
          "compares \(words[0]) by =", "= for property.… alone", "write <, <=, >= or >")
      }
      return .equals(property: name, value)
    }
    guard let comparison = SegmentExpression.Comparison(rawValue: words[place]) else { return nil }
    if field.isTime {
      guard let micros = Quantity.duration(value) else {
        return refuse("has \(value)", "a duration such as 36h or 7d", "write one")
      }
      return .compare(field, comparison, Double(micros) / Double(day))
    }
    guard let number = Double(value), number.isFinite, number >= 0 else {
      return refuse("has \(value)", "a number from 0 on", "write one such as 0.5")
    }
    return .compare(field, comparison, number)
  }

  private static let equal = "="

  private static func unknown(
    _ name: String, _ refuse: (String, String, String) -> SegmentExpression?
  ) -> SegmentExpression? {
    if ProfileAct(name) != nil {
      return refuse(
        "is about \(name) without a time", "\(name) in 7d", "write within which time it counts")
    }
    let known = ProfileField.plain.map(\.name)
    let shares = PreferenceKind.allCases.map { "\($0.name).…" } + ["part.…", "property.…"]
    let near = Spelling.nearest(to: name, among: known)
    return refuse(
      "is about \(name)",
      (known + shares + ["event.… in 7d"]).joined(separator: ", "),
      near.map { "write \($0)" } ?? "write one of these")
  }

  /// Such as `event.Signed Up in 30d >= 1`.
  private static func counted(
    _ name: String, in window: String, _ word: String, _ value: String, _ memory: Int64,
    _ refuse: (String, String, String) -> SegmentExpression?
  ) -> SegmentExpression? {
    guard let act = ProfileAct(name) else {
      return refuse(
        "counts \(name)",
        (ProfileAct.plain.map(\.name) + ["event.…"]).joined(separator: ", "),
        Spelling.nearest(to: name, among: ProfileAct.plain.map(\.name)).map { "write \($0)" }
          ?? "write one of these")
    }
    guard let micros = Quantity.duration(window), micros >= 1_000_000 else {
      return refuse("counts in \(window)", "a duration from 1s on, such as 36h or 7d", "write one")
    }
    guard micros <= memory else {
      return refuse(
        "counts in \(window)", "at most the memory, \(Quantity.text(micros: memory))",
        "raise memory, or count within a shorter time")
    }
    guard let comparison = SegmentExpression.Comparison(rawValue: word) else {
      return refuse(
        "compares by \(word)",
        SegmentExpression.Comparison.allCases.map(\.rawValue).joined(separator: ", "),
        "write one of these")
    }
    let most = act == .value ? 1e12 : Double(SegmentInputs.countMax)
    guard let number = Double(value), (0...most).contains(number) else {
      return refuse("has \(value)", "a number from 0 to \(Int(most))", "write one such as 3")
    }
    return .compare(.within(act, micros), comparison, number)
  }
}
