import Statistics

/// A segment: who is in it is said by conditions on profiles.
public struct SegmentRule: Hashable, Sendable {
  public var id: String
  public var description: String
  public var condition: SegmentExpression
  /// Whether the log gets an event where a person enters or leaves.
  public var isAnnounced: Bool

  public init(
    id: String, description: String, condition: SegmentExpression, isAnnounced: Bool = false
  ) {
    self.id = id
    self.description = description
    self.condition = condition
    self.isAnnounced = isAnnounced
  }

  /// A bit of a profile each.
  public static let countMax = 64
}

public indirect enum SegmentExpression: Hashable, Sendable {
  case compare(ProfileField, Comparison, Double)
  /// What a property was said to be last; numbers and truth values as they are written in JSON.
  case equals(property: String, String)
  case all([SegmentExpression])
  case any([SegmentExpression])
  case not(SegmentExpression)

  public enum Comparison: String, CaseIterable, Sendable {
    case less = "<"
    case atMost = "<="
    case atLeast = ">="
    case more = ">"
  }
}

/// What conditions and features can be about.
public enum ProfileField: Hashable, Sendable {
  /// Days since the last event, and since the first.
  case recency
  case age
  /// Decayed numbers: of what a person did, of impressions, clicks, conversions.
  case frequency
  case impressions
  case clicks
  case conversions
  /// Decayed money.
  case value
  /// Clicks by impressions.
  case clickShare
  /// The part of what a person did that was about a topic, on a channel … 0 to 1.
  case share(PreferenceKind, String)
  /// How often something was done in so many microseconds before now, or the money of that time.
  case within(ProfileAct, Int64)
  /// What a property was said to be last, where it is a number; no comparison holds where it is none.
  case property(String)
  /// The part of the day: night from 0, morning from 6, afternoon from 12, evening from 18 o'clock, UTC.
  case part(Int)

  public static let parts = ["night", "morning", "afternoon", "evening"]

  public static let plain: [(name: String, field: ProfileField)] = [
    ("recency", .recency), ("age", .age), ("frequency", .frequency),
    ("impressions", .impressions), ("clicks", .clicks), ("conversions", .conversions),
    ("value", .value), ("click_share", .clickShare),
  ]

  /// Such as `recency`, `topic.sport`, `part.evening`, `hour.18`, `property.age`; not what is counted within a time.
  public init?(_ text: String) {
    if let plain = Self.plain.first(where: { $0.name == text }) {
      self = plain.field
      return
    }
    guard let dot = text.firstIndex(of: ".") else { return nil }
    let name = String(text[text.index(after: dot)...])
    if text[..<dot] == "part" {
      guard let part = Self.parts.firstIndex(of: name) else { return nil }
      self = .part(part)
    } else if text[..<dot] == "property" {
      guard !name.isEmpty else { return nil }
      self = .property(name)
    } else {
      guard let kind = PreferenceKind(name: text[..<dot]), !name.isEmpty else { return nil }
      if kind == .hour {
        guard let hour = Int(name), (0..<24).contains(hour), name == "\(hour)" else { return nil }
      }
      self = .share(kind, name)
    }
  }

  /// Whether it is a time: conditions on it have a duration.
  public var isTime: Bool { self == .recency || self == .age }

  static let day = 86_400_000_000.0

  /// - Parameter number: of a name; nil where nobody has it.
  public func value(in view: ProfileView, _ number: (String) -> Int?) -> Double {
    switch self {
    case .recency: return Double(view.recency) / Self.day
    case .age: return Double(view.age) / Self.day
    case .frequency: return view[.activity]
    case .impressions: return view[.impressions]
    case .clicks: return view[.clicks]
    case .conversions: return view[.conversions]
    case .value: return view[.value]
    case .clickShare: return view.clickShare
    case .share(let kind, let name):
      guard let wanted = kind == .hour ? Int(name) : number(name) else { return 0 }
      return view.share(kind) { $0 == wanted }
    case .part(let part): return view.share(.hour) { $0 / 6 == part }
    case .within(let act, let window): return view.sum(of: act, within: window)
    case .property(let name): return view.note(of: name)?.number ?? .nan
    }
  }

  /// As rules write it.
  public var text: String {
    switch self {
    case .share(let kind, let name): return "\(kind.name).\(name)"
    case .part(let part): return "part.\(Self.parts[part])"
    case .within(let act, let window): return "\(act.text) in \(Self.duration(window))"
    case .property(let name): return "property.\(name)"
    default: return Self.plain.first { $0.field == self }?.name ?? ""
    }
  }

  /// In the largest unit that leaves no rest.
  static func duration(_ micros: Int64) -> String {
    let units: [(micros: Int64, unit: String)] = [
      (86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"),
    ]
    for (size, unit) in units where micros >= size && micros % size == 0 {
      return "\(micros / size)\(unit)"
    }
    return "\(micros / 1_000)ms"
  }

  /// How it goes on if nothing comes.
  fileprivate enum Course { case grows, decays, stays, leaves }

  fileprivate var course: Course {
    switch self {
    case .recency, .age: .grows
    case .frequency, .impressions, .clicks, .conversions, .value: .decays
    case .clickShare, .share, .part, .property: .stays
    case .within: .leaves
    }
  }
}

extension SegmentExpression {
  func holds(for view: ProfileView, _ number: (String) -> Int?) -> Bool {
    switch self {
    case .compare(let field, let comparison, let limit):
      let value = field.value(in: view, number)
      switch comparison {
      case .less: return value < limit
      case .atMost: return value <= limit
      case .atLeast: return value >= limit
      case .more: return value > limit
      }
    case .equals(let name, let value): return view.value(of: name) == value
    case .all(let parts): return parts.allSatisfy { $0.holds(for: view, number) }
    case .any(let parts): return parts.contains { $0.holds(for: view, number) }
    case .not(let part): return !part.holds(for: view, number)
    }
  }

  /// The first time after the view's at which a condition may change without an event, microseconds since the
  /// epoch; `.max` where none will. A millisecond late at most.
  func nextChange(of view: ProfileView, _ decay: Decay, _ number: (String) -> Int?) -> Int64 {
    switch self {
    case .compare(let field, _, let limit):
      let value = field.value(in: view, number)
      let micros: Double
      switch field.course {
      case .stays: return .max
      case .leaves:
        guard case .within(let act, let window) = field else { return .max }
        return view.nextLeaving(of: act, within: window)
      case .grows:
        guard value <= limit else { return .max }
        micros = (limit - value) * ProfileField.day
      case .decays:
        guard value >= limit, limit > 0 else { return .max }
        micros = Elementary.log2(value / limit) * Double(decay.halfLife)
      }
      // Beyond 200 years nobody waits for it.
      return micros < 6e15 ? view.now + Int64(micros) + 1_000 : .max
    case .equals: return .max
    case .all(let parts), .any(let parts):
      return parts.map { $0.nextChange(of: view, decay, number) }.min() ?? .max
    case .not(let part): return part.nextChange(of: view, decay, number)
    }
  }

  /// Itself and what it is made of.
  func visit(_ body: (SegmentExpression) -> Void) {
    body(self)
    switch self {
    case .compare, .equals: break
    case .all(let parts), .any(let parts): for part in parts { part.visit(body) }
    case .not(let part): part.visit(body)
    }
  }

  /// As rules write it.
  public var text: String {
    switch self {
    case .compare(let field, let comparison, let limit):
      let value =
        field.isTime
        ? ProfileField.duration(Int64((limit * ProfileField.day).rounded())) : Self.number(limit)
      return "\(field.text) \(comparison.rawValue) \(value)"
    case .equals(let name, let value): return "property.\(name) = \(value)"
    case .all(let parts): return "all: [" + parts.map(\.text).joined(separator: ", ") + "]"
    case .any(let parts): return "any: [" + parts.map(\.text).joined(separator: ", ") + "]"
    case .not(let part): return "not: " + part.text
    }
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && value.magnitude < 1e15 ? "\(Int64(value))" : "\(value)"
  }
}
