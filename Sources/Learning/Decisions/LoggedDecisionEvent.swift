public import Events

/// A decision as an event of kind ``EventKind/decision`` in the log: everything that is needed to make it again.
///
/// Its person is who it was for, its tuple has the plan's site, campaign and content and the chosen arm as variant.
/// The payload is this:
///
///     {"decision":"<token>","plan":"hero","policy":"thompson","version":7,"model":"1~0.12","at":1763978400000000,
///      "arms":["a","b"],"p":[60000,5536],"chosen":0,"candidates":[0,1],"features":{"hour":10},"holdout":false,"default":false,
///      "repeated":false,"shadows":{"plain":[2147483648,2147483648]},"server":"s1"}
///
/// Chances of shadows are in 2^32ths; before they were, in 65,536ths.
public struct LoggedDecisionEvent: Hashable, Sendable {
  /// What a shadow policy would have done.
  public struct Shadow: Hashable, Sendable {
    public var name: String
    /// Of each arm; they add up to 1, but for what is rounded.
    public var chances: [Double]

    /// - Parameter chances: are rounded to what the log keeps of them.
    public init(name: String, chances: [Double]) {
      self.name = name
      self.chances = chances.map { ($0 * Self.whole).rounded() / Self.whole }
    }

    /// What it would have done among some of the arms: as ``Propensities/restricted(to:)``.
    func restricted(to arms: [Int]) -> Shadow {
      let allowed = chances.indices.map { arms.contains($0) }
      guard allowed.contains(true), allowed.contains(false) else { return self }
      let sum = zip(chances, allowed).reduce(0) { $1.1 ? $0 + $1.0 : $0 }
      let count = Double(allowed.count { $0 })
      return Shadow(
        name: name,
        chances: zip(chances, allowed).map { !$1 ? 0 : sum > 0 ? $0 / sum : 1 / count })
    }

    fileprivate static let whole = 4_294_967_296.0

    /// As events have them.
    fileprivate init?(name: String, parts: [UInt64]) {
      let sum = Double(parts.reduce(0) { $0 &+ min($1, 1 << 33) })
      guard sum > 0 else { return nil }
      let whole = sum == 65_536 ? sum : Self.whole
      guard (sum / whole - 1).magnitude < 0.000_1 else { return nil }
      self.name = name
      chances = parts.map { Double($0) / whole }
    }
  }

  public var token: DecisionToken
  /// As clients have it.
  public var tokenText: String
  /// ``DecisionPlan/id``.
  public var plan: String
  /// ``DecisionPolicy/name``.
  public var policy: String
  /// How far the log was read for the model.
  public var model: Position
  /// The model's log time, microseconds since the epoch.
  public var at: Int64
  public var arms: [String]
  /// The arms that were to choose among; nil for all.
  public var candidates: [Int]?
  public var features: DecisionFeatures
  public var shadows: [Shadow]
  public var server: String

  public init(
    token: DecisionToken, tokenText: String, plan: String, policy: String, model: Position,
    at: Int64, arms: [String], candidates: [Int]? = nil, features: DecisionFeatures,
    shadows: [Shadow], server: String
  ) {
    self.token = token
    self.tokenText = tokenText
    self.plan = plan
    self.policy = policy
    self.model = model
    self.at = at
    self.arms = arms
    self.candidates = candidates
    self.features = features
    self.shadows = shadows
    self.server = server
  }

  /// Name of the event.
  public static let eventName = "decision"
  /// Ids of events are unique within it.
  public static let source = "api/decide"

  public var payload: [UInt8] {
    var json = JSONWriter(reserving: 512)
    json.beginObject()
    json.key("decision")
    json.string(tokenText)
    json.key("plan")
    json.string(plan)
    json.key("policy")
    json.string(policy)
    json.key("version")
    json.integer(token.version)
    json.key("model")
    json.string(model.description)
    json.key("at")
    json.integer(at)
    json.key("arms")
    json.beginArray()
    for arm in arms { json.string(arm) }
    json.endArray()
    json.key("p")
    Self.write(token.propensities, to: &json)
    json.key("chosen")
    json.integer(token.chosen)
    if let candidates {
      json.key("candidates")
      json.beginArray()
      for arm in candidates { json.integer(arm) }
      json.endArray()
    }
    json.key("features")
    features.write(to: &json)
    for (name, flag) in Self.flags {
      // Events of before there was the last one did not have it.
      if flag == .elsewhere, !token.flags.contains(flag) { continue }
      json.key(name)
      json.bool(token.flags.contains(flag))
    }
    if !shadows.isEmpty {
      json.key("shadows")
      json.beginObject()
      for shadow in shadows {
        json.key(shadow.name)
        json.beginArray()
        for chance in shadow.chances { json.integer(UInt64(chance * Shadow.whole)) }
        json.endArray()
      }
      json.endObject()
    }
    json.key("server")
    json.string(server)
    json.endObject()
    return json.bytes
  }

  private static let flags: [(String, DecisionToken.Flags)] = [
    ("holdout", .holdout), ("default", .fallback), ("repeated", .repeated),
    ("elsewhere", .elsewhere),
  ]

  private static func write(_ propensities: Propensities, to json: inout JSONWriter) {
    json.beginArray()
    for part in propensities.parts { json.integer(part) }
    json.endArray()
  }

  /// Reads a payload. What the token says is taken from the token; the rest of the payload repeats it for who
  /// reads the log, and must agree.
  ///
  /// - Parameter isAuthentic: see ``DecisionToken/init(text:isAuthentic:)``.
  public init(
    payload bytes: UnsafeRawBufferPointer,
    isAuthentic: (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool
  ) throws(LoggedDecisionError) {
    var members = Members()
    do throws(JSONError) {
      try members.read(bytes)
    } catch {
      throw .json(error)
    }
    guard let text = members.token else { throw .missing("decision") }
    guard let plan = members.plan else { throw .missing("plan") }
    guard let model = members.model.flatMap({ Position($0) }) else { throw .missing("model") }
    guard let at = members.at else { throw .missing("at") }
    let token: DecisionToken
    do throws(DecisionTokenError) {
      token = try DecisionToken(text: Array(text.utf8), isAuthentic: isAuthentic)
    } catch {
      throw .token(error)
    }
    guard members.arms.count == token.propensities.count,
      members.parts.map({ $0 == token.propensities.parts.map(UInt64.init) }) ?? true
    else { throw .disagrees }
    self.token = token
    tokenText = text
    self.plan = plan
    policy = members.policy
    self.model = model
    self.at = at
    arms = members.arms
    candidates = members.candidates?.map { Int(clamping: $0) }
    features = members.features
    shadows = members.shadows.compactMap { name, parts in
      parts.count == members.arms.count ? Shadow(name: name, parts: parts) : nil
    }
    server = members.server
  }

  /// The members of a payload as they come.
  private struct Members {
    var token: String?
    var plan: String?
    var policy = ""
    var model: String?
    var at: Int64?
    var arms: [String] = []
    var parts: [UInt64]?
    var candidates: [UInt64]?
    var features = DecisionFeatures.none
    var shadows: [(String, [UInt64])] = []
    var server = ""

    mutating func read(_ bytes: UnsafeRawBufferPointer) throws(JSONError) {
      var json = JSONScanner(bytes)
      try json.beginObject()
      while let key = try json.nextKey() {
        switch key {
        case "decision": token = try json.string()
        case "plan": plan = try json.string()
        case "policy": policy = try json.string()
        case "model": model = try json.string()
        case "at": at = try json.int64()
        case "arms":
          arms = []
          try json.beginArray()
          while try json.nextElement() { arms.append(try json.string()) }
        case "p": parts = try Self.parts(&json)
        case "candidates": candidates = try Self.parts(&json)
        case "features": features = try DecisionFeatures(&json)
        case "shadows":
          shadows = []
          try json.beginObject()
          while let name = try json.nextKey() {
            shadows.append((name.string, try Self.parts(&json)))
          }
        case "server": server = try json.string()
        default: try json.skipValue()
        }
      }
      try json.end()
    }

    private static func parts(_ json: inout JSONScanner) throws(JSONError) -> [UInt64] {
      var parts: [UInt64] = []
      try json.beginArray()
      while try json.nextElement() {
        parts.append(UInt64(clamping: try json.int64()))
      }
      return parts
    }
  }
}

/// Why a payload is no decision's.
public enum LoggedDecisionError: Error, Hashable, Sendable {
  case json(JSONError)
  case missing(String)
  case token(DecisionTokenError)
  case disagrees
}

extension LoggedDecisionError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .json(let error): "the payload of a decision is no JSON as it is written here: \(error)"
    case .missing(let name): "the payload of a decision has no \(name) that can be read"
    case .token(let error): "\(error)"
    case .disagrees: "the payload of a decision says something else than its token"
    }
  }
}
