public import Events

/// What is counted one by one, within a time: `clicks in 7d`.
public enum ProfileAct: Hashable, Sendable {
  case kind(EventKind)
  /// What a person does, as `frequency` counts it.
  case any
  /// Events of a name: `event.Signed Up`.
  case named(String)
  /// Money of the currency that counts, instead of how often.
  case value

  public static let plain: [(name: String, act: ProfileAct)] = [
    ("impressions", .kind(.impression)), ("views", .kind(.view)), ("clicks", .kind(.click)),
    ("engagements", .kind(.engagement)), ("conversions", .kind(.conversion)), ("frequency", .any),
    ("value", .value),
  ]
  private static let prefix = "event."

  public init?(_ text: String) {
    if let plain = Self.plain.first(where: { $0.name == text }) {
      self = plain.act
      return
    }
    guard text.hasPrefix(Self.prefix), text.utf8.count > Self.prefix.utf8.count else { return nil }
    self = .named(String(text.dropFirst(Self.prefix.count)))
  }

  public var text: String {
    if case .named(let name) = self { return Self.prefix + name }
    return Self.plain.first { $0.act == self }?.name ?? ""
  }
}

/// What rules want to know of persons beside what every profile has: so much is kept of each, and no more.
public struct SegmentInputs: Hashable, Sendable {
  public struct Act: Hashable, Sendable {
    public let act: ProfileAct
    /// How many of the latest have to be known for every rule.
    public internal(set) var countMax: Int
  }

  public struct Property: Hashable, Sendable {
    public let name: String
    /// That rules ask for.
    public internal(set) var values: [String]
  }

  public private(set) var acts: [Act] = []
  public private(set) var properties: [Property] = []

  public static let actsMax = 32
  public static let propertiesMax = 32
  public static let valuesMax = 64
  /// The greatest number that something counted is compared with, and the payments that sums of money are of.
  public static let countMax = 100

  public init(_ segments: [SegmentRule]) {
    for segment in segments { segment.condition.visit { take($0) } }
  }

  private mutating func take(_ expression: SegmentExpression) {
    switch expression {
    case .compare(.within(let act, _), _, let limit):
      // One more than the limit tells all comparisons apart; of money the latest payments have to do.
      let count = act == .value ? Self.countMax : Int(limit) + 1
      if let place = acts.firstIndex(where: { $0.act == act }) {
        acts[place].countMax = max(acts[place].countMax, count)
      } else {
        acts.append(Act(act: act, countMax: count))
      }
    case .compare(.property(let name), _, _): take(name, nil)
    case .equals(let name, let value): take(name, value)
    default: break
    }
  }

  private mutating func take(_ name: String, _ value: String?) {
    let place: Int
    if let known = properties.firstIndex(where: { $0.name == name }) {
      place = known
    } else {
      place = properties.count
      properties.append(Property(name: name, values: []))
    }
    if let value, !properties[place].values.contains(value) {
      properties[place].values.append(value)
    }
  }
}

/// Something that was done: once, or an amount of money in thousandths.
struct TimedAmount: Hashable, Comparable, Sendable {
  /// Microseconds since the epoch.
  var time: Int64
  var amount: Int64

  static func < (a: Self, b: Self) -> Bool { (a.time, a.amount) < (b.time, b.amount) }
}

/// What a person's property was said to be last.
struct PropertyNote: Hashable, Sendable {
  /// Of the event that said it, microseconds since the epoch; `.min` where none did.
  var time = Int64.min
  /// Of ``SegmentInputs/Property/values``; −1 for any other.
  var value: Int32 = -1
  /// Nil where it is no number.
  var number: Double?

  /// The later one is right, and of two at the same time always the same one.
  mutating func take(_ other: Self) {
    let order = { (note: Self) in (note.time, note.value, note.number ?? -.infinity) }
    if order(other) > order(self) { self = other }
  }
}
