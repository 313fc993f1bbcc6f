/// The hour of the week in the zone of a question, 0 for Monday from midnight on to 167.
struct HourOfWeek {
  /// Where some filter does not let the hour pass.
  static let filtered = UInt64.max

  let isNeeded: Bool
  private let offsets: [BreakdownQuestion.ZoneOffset]
  /// By hour, whether filters let it pass.
  private let passes: [Bool]
  /// By hour, the bits of the alternatives that hold in it.
  private let heldByHour: [UInt64]
  /// Those of the hour that was asked for last.
  private(set) var held: UInt64 = 0
  /// Times that have the same number as the last one.
  private var from = Int64.max
  private var to = Int64.min
  private var last: UInt64 = 0

  private static let hour: Int64 = 3_600_000_000
  /// 1970-01-01 was a Thursday.
  private static let epoch: Int64 = 3 * 24

  /// - Parameters:
  ///   - filters: on the hour.
  ///   - alternatives: on the hour, each with the bit of its list.
  init(
    isNeeded: Bool, offsets: [BreakdownQuestion.ZoneOffset], filters: [BreakdownFilter] = [],
    alternatives: [(bit: UInt64, filter: BreakdownFilter)] = []
  ) {
    self.isNeeded = isNeeded
    self.offsets = offsets
    let texts = (0..<168).map { Array(Self.text($0).utf8) }
    passes = texts.map { text in filters.allSatisfy { $0.admits(text) } }
    heldByHour = texts.map { text in
      alternatives.reduce(0) { $1.filter.admits(text) ? $0 | $1.bit : $0 }
    }
  }

  /// Such as `1-13`: the day of the week as in ISO 8601, and the hour.
  static func text(_ hour: Int) -> String {
    "\(hour / 24 + 1)-\(hour % 24 < 10 ? "0" : "")\(hour % 24)"
  }

  @inline(__always)
  mutating func number(at time: Int64) -> UInt64 {
    if time < from || time >= to { find(time) }
    return last
  }

  private mutating func find(_ time: Int64) {
    let index = max(0, (offsets.firstIndex { $0.from > time } ?? offsets.count) - 1)
    let offset = offsets.isEmpty ? 0 : offsets[index].seconds * 1_000_000
    let local = Self.floorDivide(time + offset, Self.hour)
    from = local * Self.hour - offset
    to = from + Self.hour
    if index < offsets.count, index > 0 { from = max(from, offsets[index].from) }
    if index + 1 < offsets.count { to = min(to, offsets[index + 1].from) }
    let hour = Int(local + Self.epoch - Self.floorDivide(local + Self.epoch, 168) * 168)
    last = passes[hour] ? UInt64(hour) : Self.filtered
    held = heldByHour[hour]
  }

  private static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
    a >= 0 ? a / b : (a - b + 1) / b
  }
}
