/// Rules and configurations as they are, with all of their durations shorter, so that what takes minutes
/// can be seen in a test.
///
/// `[5m]`, `for: 1m`, `interval: 30s` and `group_wait: 10s` become a 60th, so that a minute is a second; at
/// least 100 ms. Names such as `ratio_rate5m` stay, and so do all limits.
enum RuleText {
  static let factor = 60

  static func shortened(_ text: String) -> String {
    text.replacing(/(^|[^\w.])(\d+)(s|m|h|d)\b/) { match in
      let seconds = ["s": 1, "m": 60, "h": 3_600, "d": 86_400][String(match.3)] ?? 1
      return "\(match.1)\(max(100, (Int(match.2) ?? 0) * seconds * 1_000 / factor))ms"
    }
  }
}
