import Glibc

/// Text on standard error, without a buffer: from any thread and just before the end.
enum StandardError {
  static func say(_ text: String) {
    let count = text.utf8.count
    _ = text.withCString { write(STDERR_FILENO, $0, count) }
  }

  /// True where a person looks at it.
  static let isTerminal = isatty(STDERR_FILENO) == 1

  /// Replaces the line that stands on the terminal; nil removes it. Nothing where it is none.
  static func status(_ text: String?) {
    guard isTerminal else { return }
    say("\r\u{1B}[K" + (text ?? ""))
  }
}
