import Statistics
import Views

/// What has become of a group's numbers since the period before.
struct NumbersChange {
  enum Relative {
    /// By which part of what it was; nil where it was nothing.
    case one(Double?)
    case byCurrency([(currency: String, value: Double?)])
  }

  private let now: QueryAnswer.Numbers
  private let before: QueryAnswer.Numbers

  init(_ now: QueryAnswer.Numbers, before: QueryAnswer.Numbers) {
    self.now = now
    self.before = before
  }

  /// 0.25 for a quarter more.
  func relative(_ metric: Metric) -> Relative {
    switch (now.value(metric), before.value(metric)) {
    case (.count(let now), .count(let before)):
      return .one(Self.change(Double(now), Double(before)))
    case (.ratio(let now?), .ratio(let before?)): return .one(Self.change(now, before))
    case (.money, .money):
      let measure = metric.measure
      let currencies = Set((now.money(measure) + before.money(measure)).map(\.currency)).sorted()
      return .byCurrency(currencies.map { ($0, change(currency: $0, of: metric)) })
    default: return .one(nil)
    }
  }

  func change(currency: String, of metric: Metric) -> Double? {
    Self.change(
      Double(now.micros(currency, metric.measure)), Double(before.micros(currency, metric.measure)))
  }

  /// By how much a rate is above what it was: the ends of the interval of the difference. Nil of what is no
  /// rate, or has no denominator in one of the periods.
  func difference(_ metric: Metric) -> (lower: Double, upper: Double)? {
    guard let now = now.interval(metric), let before = before.interval(metric) else { return nil }
    let difference = now.difference(from: before)
    return (difference.lower, difference.upper)
  }

  static func change(_ now: Double, _ before: Double) -> Double? {
    before == 0 ? nil : (now - before) / before.magnitude
  }
}
