import Analyses
import Events
import Ports
import Views

/// Reads questions about persons. Everything unknown is an error that says where it is and what is allowed.
struct PersonRequestParser {
  let parser: QueryRequestParser

  static let common = [
    "site_id", "pipeline", "date_range", "timezone", "traffic", "filters", "by", "compare", "limit",
    "format", "as_known_at",
  ]

  static func members(of kind: PersonRequest.Kind) -> [String] {
    switch kind {
    case .funnels: common + ["steps", "within"]
    case .retention: common + ["begin", "return", "period"]
    case .attribution: common + ["model", "half_life", "touches", "conversions", "look_back"]
    case .sessions: common
    }
  }

  static let eventMembers = ["kind", "kinds", "event", "filters"]
  static let stepMembers = eventMembers + ["name", "optional"]
  static let models = ["last_touch", "first_touch", "linear", "position", "time_decay"]
  static let periods: [Granularity] = [.hour, .day, .week, .month]

  /// - Parameter now: microseconds since the epoch.
  func request(
    _ kind: PersonRequest.Kind, json bytes: [UInt8], now: Int64
  ) throws(QueryError) -> PersonRequest {
    guard case .object(let members) = try JSONValue(parsing: bytes) else {
      throw QueryError(.invalidJSON, path: "$", detail: "the body is not a JSON object")
    }
    let given = try object(members, path: "$", allowed: Self.members(of: kind))
    let (by, time) = try dimensions(given["by"], of: kind)
    var base = try parser.request(
      members: members.filter {
        Self.common.contains($0.name) && !["as_known_at", "filters", "by"].contains($0.name)
      } + [
        JSONValue.Member(name: "metrics", value: .array([.string("clicks")]))
      ], parameters: [])
    let body: PersonRequest.Body =
      switch kind {
      case .funnels: try funnel(given)
      case .retention: try retention(given)
      case .attribution: try attribution(given)
      case .sessions: .sessions
      }
    base.granularity = time
    let request = PersonRequest(
      base: base, body: body, by: by ?? (kind == .attribution ? [.content] : []),
      filters: try given["filters"].map { value throws(QueryError) in
        try scans.filters(value, path: "$.filters")
      } ?? ScanRequest.Filters(),
      knownAt: try given["as_known_at"].map { value throws(QueryError) in
        try scans.knownAt(value, now: now)
      })
    try ScanRequestParser.checkProperties(
      request.by + request.filters.dimensions + request.body.selectors.flatMap(\.asked), path: "$")
    return request
  }

  private var scans: ScanRequestParser { ScanRequestParser(parser: parser) }

  // MARK: Kinds

  private func funnel(_ given: [String: JSONValue]) throws(QueryError) -> PersonRequest.Body {
    guard case .array(let items) = given["steps"] ?? .null,
      Funnel.Question.stepCounts.contains(items.count)
    else {
      throw QueryError(
        .invalidValue, path: "$.steps",
        detail: "a funnel has \(Funnel.Question.stepCounts.lowerBound) to "
          + "\(Funnel.Question.stepCounts.upperBound) steps, such as {\"kind\":\"click\"}")
    }
    var steps: [PersonRequest.Step] = []
    for (index, item) in items.enumerated() {
      let path = "$.steps[\(index)]"
      let members = try object(item, path: path, allowed: Self.stepMembers)
      var isOptional = false
      if let value = members["optional"] {
        guard case .bool(let optional) = value else {
          throw QueryError(
            .invalidValue, path: path + ".optional", detail: "\(value.kind) is not a boolean")
        }
        isOptional = optional
      }
      guard !isOptional || (index > 0 && index < items.count - 1) else {
        throw QueryError(
          .invalidValue, path: path + ".optional",
          detail: "the first and the last step of a funnel must be done")
      }
      let selector = try selector(members, path: path)
      let name = try members["name"].map { value throws(QueryError) in
        try text(value, path: path + ".name")
      }
      steps.append(
        PersonRequest.Step(
          name: name ?? Self.name(of: selector), selector: selector, isOptional: isOptional))
    }
    return .funnel(steps: steps, within: try duration(given, "within"))
  }

  private func retention(_ given: [String: JSONValue]) throws(QueryError) -> PersonRequest.Body {
    let period = try given["period"].map { value throws(QueryError) in
      try text(value, path: "$.period")
    }
    guard let granularity = Granularity(name: period ?? "week"), Self.periods.contains(granularity)
    else {
      throw QueryError(
        .invalidValue, path: "$.period", detail: "\"\(period ?? "")\" is not a period",
        allowed: Self.periods.map(\.rawValue))
    }
    return .retention(
      begin: try event(given, "begin"), back: try event(given, "return"), period: granularity)
  }

  private func attribution(_ given: [String: JSONValue]) throws(QueryError) -> PersonRequest.Body {
    let name = try given["model"].map { value throws(QueryError) in
      try text(value, path: "$.model")
    }
    let model: AttributionModel
    switch name ?? "last_touch" {
    case "last_touch": model = .lastTouch
    case "first_touch": model = .firstTouch
    case "linear": model = .linear
    case "position": model = .position
    case "time_decay": model = .timeDecay(halfLife: try duration(given, "half_life"))
    default:
      throw QueryError(
        .invalidValue, path: "$.model", detail: "\"\(name ?? "")\" is not a model of attribution",
        allowed: Self.models)
    }
    if given["half_life"] != nil, name != "time_decay" {
      throw QueryError(
        .invalidValue, path: "$.half_life", detail: "only time_decay has a half-life")
    }
    let conversions = given["conversions"] == nil
    let touches = given["touches"] == nil
    return .attribution(
      model: model,
      touches: touches ? TouchSelector(kinds: [.click]) : try event(given, "touches"),
      conversions: conversions
        ? TouchSelector(kinds: [.conversion]) : try event(given, "conversions"),
      lookBack: given["look_back"] == nil
        ? PersonPolicy().clickLookBack : try duration(given, "look_back"))
  }

  // MARK: Events

  private func event(
    _ given: [String: JSONValue], _ name: String
  ) throws(QueryError) -> TouchSelector {
    guard let value = given[name] else {
      throw QueryError(
        .missingMember, path: "$.\(name)",
        detail: "the event is needed, such as {\"kind\":\"click\"} or {\"event\":\"Signed Up\"}")
    }
    let path = "$.\(name)"
    return try selector(try object(value, path: path, allowed: Self.eventMembers), path: path)
  }

  private func selector(
    _ members: [String: JSONValue], path: String
  ) throws(QueryError) -> TouchSelector {
    var kinds: [EventKind] = []
    var names: [(text: String, path: String)] = []
    if let value = members["kind"] {
      names.append((try text(value, path: path + ".kind"), path + ".kind"))
    }
    if let value = members["kinds"] {
      guard case .array(let items) = value, !items.isEmpty else {
        throw QueryError(
          .invalidValue, path: path + ".kinds", detail: "\(value.kind) is not a list of kinds",
          allowed: Self.kindNames)
      }
      for (index, item) in items.enumerated() {
        let place = path + ".kinds[\(index)]"
        names.append((try text(item, path: place), place))
      }
    }
    for name in names {
      guard let kind = EventKind(name: name.text), Self.kindNames.contains(name.text) else {
        throw QueryError(
          .invalidValue, path: name.path, detail: "\"\(name.text)\" is not a kind of event",
          allowed: Self.kindNames)
      }
      kinds.append(kind)
    }
    let event = try members["event"].map { value throws(QueryError) in
      Array(try text(value, path: path + ".event").utf8)
    }
    guard !kinds.isEmpty || event != nil else {
      throw QueryError(
        .missingMember, path: path, detail: "an event is told by its kind, or its name as `event`",
        allowed: Self.kindNames)
    }
    let filters = try members["filters"].map { value throws(QueryError) in
      try scans.filters(value, path: path + ".filters")
    }
    return TouchSelector(
      kinds: kinds, name: event, filters: filters?.all ?? [],
      alternatives: filters?.alternatives ?? [])
  }

  /// What a person does; who somebody is, is no touch.
  static let kindNames = EventKind.sent.filter { $0 != .alias && $0 != .unlink }.map(\.name)

  private static func name(of selector: TouchSelector) -> String {
    selector.name.map { String(decoding: $0, as: UTF8.self) }
      ?? selector.kinds.map(\.name).joined(separator: " or ")
  }

  // MARK: Values

  private func object(
    _ value: JSONValue, path: String, allowed: [String]
  ) throws(QueryError) -> [String: JSONValue] {
    guard case .object(let members) = value else {
      throw QueryError(.invalidValue, path: path, detail: "\(value.kind) is not an object")
    }
    return try object(members, path: path, allowed: allowed)
  }

  private func object(
    _ members: [JSONValue.Member], path: String, allowed: [String]
  ) throws(QueryError) -> [String: JSONValue] {
    var given: [String: JSONValue] = [:]
    for member in members {
      guard allowed.contains(member.name) else {
        throw QueryError(
          .unknownMember, path: "\(path).\(member.name)", detail: "there is no such member",
          allowed: allowed)
      }
      given[member.name] = member.value
    }
    return given
  }

  private func text(_ value: JSONValue, path: String) throws(QueryError) -> String {
    guard case .string(let text) = value else {
      throw QueryError(.invalidValue, path: path, detail: "\(value.kind) is not a string")
    }
    return text
  }

  /// One dimension, or a list of some, of which one may be a time bucket; nil where none is given.
  private func dimensions(
    _ value: JSONValue?, of kind: PersonRequest.Kind
  ) throws(QueryError) -> (by: [BreakdownDimension]?, time: Granularity?) {
    let allowed =
      ScanRequestParser.allowedDimensions
      + (kind == .retention ? [] : Granularity.allCases.map(\.dimensionName))
    guard let value else { return (nil, nil) }
    let isList = if case .array = value { true } else { false }
    let names = isList ? try value.texts(path: "$.by") : [try value.text(path: "$.by")]
    guard (1...PersonRequest.byCountMax).contains(names.count) else {
      throw QueryError(
        .invalidValue, path: "$.by",
        detail: "an answer is told apart by 1 to \(PersonRequest.byCountMax) dimensions",
        allowed: allowed)
    }
    var dimensions: [BreakdownDimension] = []
    var time: Granularity?
    for (index, name) in names.enumerated() {
      let path = isList ? "$.by[\(index)]" : "$.by"
      if name.hasPrefix("time:"), let granularity = Granularity(name: String(name.dropFirst(5))) {
        time = try bucket(granularity, beside: time, of: kind, path: path)
        continue
      }
      let dimension = try scans.dimension(name, path: path, allowed: allowed)
      guard !dimensions.contains(dimension) else {
        throw QueryError(.invalidValue, path: path, detail: "\"\(name)\" is repeated")
      }
      dimensions.append(dimension)
    }
    return (dimensions, time)
  }

  private func bucket(
    _ granularity: Granularity, beside other: Granularity?, of kind: PersonRequest.Kind,
    path: String
  ) throws(QueryError) -> Granularity {
    guard kind != .retention else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "cohorts are by time already; say how long their periods are with `period`",
        allowed: Self.periods.map(\.rawValue))
    }
    guard other == nil else {
      throw QueryError(
        .invalidValue, path: path, detail: "there are time buckets already; ask for one length")
    }
    return granularity
  }

  /// Such as 30m, 12h or 7d; microseconds.
  private func duration(
    _ given: [String: JSONValue], _ name: String
  ) throws(QueryError) -> Int64 {
    let units: [Character: Int64] = [
      "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000,
    ]
    guard case .string(let text) = given[name] ?? .null,
      let unit = text.last.flatMap({ units[$0] }),
      text.dropLast().utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let count = Int64(text.dropLast()), count <= PersonRequest.durations.upperBound / unit,
      PersonRequest.durations.contains(count * unit)
    else {
      throw QueryError(
        given[name] == nil ? .missingMember : .invalidValue, path: "$.\(name)",
        detail: "a time from a second to 366 days is needed", allowed: ["45s", "30m", "12h", "7d"])
    }
    return count * unit
  }
}
