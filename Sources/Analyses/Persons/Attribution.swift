import Statistics
import Views

/// How a conversion's credit is divided among the touches before it.
public enum AttributionModel: Hashable, Sendable {
  case lastTouch
  case firstTouch
  /// The same for each.
  case linear
  /// 40 % each for the first and the last, the rest for those between; two have half each.
  case position
  /// Half as much for a touch that is so much earlier, microseconds.
  case timeDecay(halfLife: Int64)

  /// - Parameter ages: how long before the conversion each touch was, microseconds, falling; at least one.
  func weights(_ ages: [Int64]) -> [UInt64] {
    let count = ages.count
    switch self {
    case .lastTouch: return (0..<count).map { $0 == count - 1 ? 1 : 0 }
    case .firstTouch: return (0..<count).map { $0 == 0 ? 1 : 0 }
    case .linear: return Array(repeating: 1, count: count)
    case .position:
      guard count > 2 else { return Array(repeating: 1, count: count) }
      let end = UInt64(2 * (count - 2))
      return (0..<count).map { $0 == 0 || $0 == count - 1 ? end : 1 }
    case .timeDecay(let halfLife):
      // In steps of 2^−40 of the latest one's.
      return ages.map { age in
        let halvings = Double(age - ages[count - 1]) / Double(max(1, halfLife))
        return UInt64((Elementary.exp(-Elementary.ln2 * halvings) * 0x1p40).rounded())
      }
    }
  }
}

/// Attribution of conversions to what touched their persons before.
///
///     touches   t₁ ─── t₂ ──── t₃ ── v        last touch: t₃; first: t₁; linear: a third each;
///               └───── look-back ────┘        position: 40/20/40; time decay: t₃ most
///
/// A touch counts for a conversion of its person that comes at most the look-back after it, or at the same
/// time. A conversion whose time is in the question's times is divided among all of them in whole
/// millionths (``CreditSplit``), and so is its revenue: credits add up to the attributed conversions and
/// their revenue exactly, whatever the model. A conversion without a touch is unattributed. The last touch
/// with clicks alone is what the pipeline counts as attributed conversions (`PersonTimeline`), which is
/// held to it by a test. By segments a touch is credited to each that its person was in: then they overlap.
///
/// A model says how credit is divided, not what caused a conversion: persons who would have converted anyway
/// count in full. That takes an experiment.
///
/// Cost: one pass over a person's touches, and for each conversion one over those within its look-back.
public struct Attribution: GroupedFold {
  public struct Question: Hashable, Sendable {
    public var model: AttributionModel
    /// Microseconds.
    public var lookBack: Int64
    /// Of conversions, microseconds since the epoch.
    public var times: Range<Int64>
    /// Bits of what touches and of what converts.
    public var touch: UInt32
    public var conversion: UInt32

    public init(
      model: AttributionModel, lookBack: Int64, times: Range<Int64>, touch: UInt32 = 1,
      conversion: UInt32 = 2
    ) {
      self.model = model
      self.lookBack = lookBack
      self.times = times
      self.touch = touch
      self.conversion = conversion
    }
  }

  /// What touches with one value are given.
  public struct Credit: Hashable, Sendable {
    /// Millionths of a conversion.
    public var conversionMicros: Int64 = 0
    /// Conversions that one of them had a part in.
    public var touched: Int64 = 0
    /// By currency, millionths.
    public var revenueMicros: [UInt32: Int64] = [:]

    public init() {}

    mutating func add(_ conversionMicros: Int64, _ revenueMicros: Int64, _ currency: UInt32) {
      self.conversionMicros = Counts.sum(self.conversionMicros, conversionMicros)
      guard revenueMicros != 0 else { return }
      self.revenueMicros[currency] = Counts.sum(
        self.revenueMicros[currency] ?? 0, revenueMicros)
    }
  }

  /// Conversions and their revenue.
  public struct Total: Hashable, Sendable {
    public var conversions: Int64 = 0
    public var revenueMicros: [UInt32: Int64] = [:]

    public init() {}

    public static func += (a: inout Self, b: Self) {
      a.conversions += b.conversions
      for (currency, micros) in b.revenueMicros {
        a.revenueMicros[currency] = Counts.sum(a.revenueMicros[currency] ?? 0, micros)
      }
    }

    mutating func add(_ conversion: PersonTouch) {
      conversions += 1
      guard conversion.revenueMicros != 0 else { return }
      revenueMicros[conversion.currency] = Counts.sum(
        revenueMicros[conversion.currency] ?? 0, conversion.revenueMicros)
    }
  }

  public let question: Question
  /// By value.
  public private(set) var credits: [UInt32: Credit] = [:]
  public private(set) var attributed = Total()
  public private(set) var unattributed = Total()

  public static let groupCountMax = PersonQuestion.valueCountMax
  public var groupCount: Int { credits.count }

  public init(_ question: Question) { self.question = question }

  /// One conversion.
  public static let unit: Int64 = 1_000_000

  public mutating func add(_ history: PersonHistory) {
    let touches = history.touches
    // The touches within the look-back of the conversion, as it moves on.
    var (begin, end) = (0, 0)
    for (index, conversion) in touches.enumerated()
    where conversion.marks & question.conversion != 0 && question.times.contains(conversion.time) {
      while begin < touches.count, touches[begin].time < conversion.time - question.lookBack {
        begin += 1
      }
      while end < touches.count, touches[end].time <= conversion.time { end += 1 }
      let all = (begin..<max(begin, end)).filter {
        $0 != index && touches[$0].marks & question.touch != 0
      }
      attribute(conversion, to: Self.met(all, by: conversion, in: history), in: history)
    }
  }

  /// Of the touches of users that became one, those that were looked at together with the conversion: what
  /// had left state by then stays what it was.
  private static func met(
    _ all: [Int], by conversion: PersonTouch, in history: PersonHistory
  ) -> [Int] {
    let groups = history.groups[Int(conversion.group)]
    guard !groups.isEmpty else { return all }
    var found: [Int] = []
    for group in groups {
      if let last = found.last,
        !history.groups[Int(history.touches[last].group)].contains(group)
      {
        return found
      }
      found = all.filter { history.groups[Int(history.touches[$0].group)].contains(group) }
    }
    return found
  }

  private mutating func attribute(
    _ conversion: PersonTouch, to path: [Int], in history: PersonHistory
  ) {
    let touches = history.touches
    guard !path.isEmpty else { return unattributed.add(conversion) }
    attributed.add(conversion)
    let weights = question.model.weights(path.map { conversion.time - touches[$0].time })
    let units = CreditSplit.parts(of: Self.unit, by: weights)
    let revenue = CreditSplit.parts(of: conversion.revenueMicros, by: weights)
    var values: Set<UInt32> = []
    for (place, index) in path.enumerated() {
      guard weights[place] > 0 else { continue }
      for value in history.values(of: touches[index]) {
        credits[value, default: Credit()].add(units[place], revenue[place], conversion.currency)
        if values.insert(value).inserted { credits[value, default: Credit()].touched += 1 }
      }
    }
  }
}
