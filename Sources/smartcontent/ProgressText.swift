/// What a line about a long piece of work says: how far it is, how fast it goes, how long it will take.
///
///     [█████████·····················] 30 % default v2 300/1000 frames, 100/s, 7.0 s left
///
/// The rate is that since the first look, so that what was done before does not count. Times are
/// microseconds of a monotonic clock.
struct ProgressText {
  let title: String
  let unit: String
  /// The first look at the work.
  private var start: (done: UInt64, at: Int64)?

  private static let width = 30

  init(_ title: String, unit: String) {
    self.title = title
    self.unit = unit
  }

  /// - Parameters:
  ///   - total: as far as known; it may grow, and it may be less than what is done.
  ///   - hasBar: whether it begins with a bar.
  mutating func text(done: UInt64, total: UInt64, at now: Int64, hasBar: Bool) -> String {
    let start = start ?? (done, now)
    self.start = start
    var text = "\(title) \(done)/\(total) \(unit)"
    if now > start.at, done > start.done {
      let rate = Double(done - start.done) / (Double(now - start.at) / 1_000_000)
      text += ", \(Int(rate))/s"
      if total > done { text += ", \(Self.duration(Double(total - done) / rate)) left" }
    }
    let share = total == 0 ? 1 : min(1, Double(done) / Double(total))
    let percent = "\(Int(share * 100)) %"
    return hasBar ? "\(Self.bar(share)) \(percent) \(text)" : "\(text) (\(percent))"
  }

  private static func bar(_ share: Double) -> String {
    let filled = Int(share * Double(width))
    return "[" + String(repeating: "█", count: filled)
      + String(repeating: "·", count: width - filled) + "]"
  }

  static func duration(_ seconds: Double) -> String {
    if seconds < 10 {
      let tenths = Int(seconds * 10)
      return "\(tenths / 10).\(tenths % 10) s"
    }
    // A rate of nearly nothing leaves more than any integer holds.
    let whole = seconds < Double(Int32.max) ? Int(seconds) : Int(Int32.max)
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}
