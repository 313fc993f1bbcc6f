import Runtime

/// How far a long piece of work is: a bar that is redrawn on a terminal, plain lines elsewhere.
final class ProgressLine {
  private var text: ProgressText
  private let startedAt: Int64
  private var shownAt: Int64 = 0

  init(_ title: String, unit: String) {
    text = ProgressText(title, unit: unit)
    startedAt = LoopClock.system.monotonic()
  }

  /// Draws a few times a second at most, prints a line every five seconds.
  func update(done: UInt64, total: UInt64) {
    let now = LoopClock.system.monotonic()
    guard now - shownAt >= (StandardError.isTerminal ? 200_000 : 5_000_000) else { return }
    // The first line of a pipe comes after five seconds, not at once.
    if !StandardError.isTerminal && shownAt == 0 && now - startedAt < 5_000_000 { return }
    shownAt = now
    let line = text.text(done: done, total: total, at: now, hasBar: StandardError.isTerminal)
    if StandardError.isTerminal {
      StandardError.status(line)
    } else {
      StandardError.say(line + "\n")
    }
  }

  /// Removes the bar.
  func end() { StandardError.status(nil) }

  /// How long the work has taken.
  var elapsed: String {
    ProgressText.duration(Double(LoopClock.system.monotonic() - startedAt) / 1_000_000)
  }
}
