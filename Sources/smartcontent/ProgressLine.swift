import Runtime

/// How far a long piece of work is: a bar that is redrawn on a terminal, plain lines elsewhere.
final class ProgressLine {
  private let title: String
  private let unit: String
  private let startedAt: Int64
  private var shownAt: Int64 = 0
  private var first: (done: UInt64, at: Int64)?

  private static let width = 30

  init(_ title: String, unit: String) {
    self.title = title
    self.unit = unit
    startedAt = LoopClock.system.monotonic()
  }

  /// Draws a few times a second at most, prints a line every five seconds.
  func update(done: UInt64, total: UInt64) {
    let now = LoopClock.system.monotonic()
    guard now - shownAt >= (StandardError.isTerminal ? 200_000 : 5_000_000) else { return }
    // The first line of a pipe comes after five seconds, not at once.
    if !StandardError.isTerminal && shownAt == 0 && now - startedAt < 5_000_000 { return }
    shownAt = now
    let start = first ?? (done, now)
    first = start
    let share = total == 0 ? 1 : min(1, Double(done) / Double(total))
    var text = "\(title) \(done)/\(total) \(unit)"
    if now > start.at, done > start.done {
      let rate = Double(done - start.done) / (Double(now - start.at) / 1_000_000)
      text += ", \(Int(rate))/s"
      if total > done { text += ", \(Self.duration(Double(total - done) / rate)) left" }
    }
    let percent = Int(share * 100)
    guard StandardError.isTerminal else { return StandardError.say("\(text) (\(percent) %)\n") }
    let filled = Int(share * Double(Self.width))
    StandardError.status(
      "[" + String(repeating: "█", count: filled)
        + String(repeating: "·", count: Self.width - filled) + "] \(percent) % \(text)")
  }

  /// Removes the bar.
  func end() { StandardError.status(nil) }

  /// How long the work has taken.
  var elapsed: String {
    Self.duration(Double(LoopClock.system.monotonic() - startedAt) / 1_000_000)
  }

  static func duration(_ seconds: Double) -> String {
    if seconds < 10 {
      let tenths = Int(seconds * 10)
      return "\(tenths / 10).\(tenths % 10) s"
    }
    let whole = Int(seconds)
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}
