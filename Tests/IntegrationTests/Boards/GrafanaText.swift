import Foundation

/// What Grafana makes of a query before it sends it, as far as the boards use it.
///
/// | written | sent |
/// |---|---|
/// | `$name`, `${name}` in PromQL | the values as one regular expression |
/// | `${name:sqlstring}` | the values in quotes, commas between them |
/// | `$__rate_interval` | four times the interval of scrapes, or more |
/// | `$__timeFilter(column)` | `column between` the edges of the shown time |
/// | `$__timeGroupAlias(column, '1h')` | seconds since the epoch, rounded down to the hour, `as "time"` |
///
/// Sources: https://grafana.com/docs/grafana/v11.5/dashboards/variables/variable-syntax/ and
/// https://grafana.com/docs/grafana/v11.5/datasources/postgres/#macros
struct GrafanaText {
  /// Values of variables.
  var values: [String: [String]]
  /// The shown time, as Postgres takes it.
  var from = "now() - interval '7 days'"
  var to = "now()"
  var rateInterval = "5s"

  static let intervals = ["1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400]

  /// - Throws: where something is left that Grafana would replace.
  func expand(_ text: String) throws -> String {
    var text = text.replacing("$__rate_interval", with: rateInterval)
    text.replace(/\$__timeFilter\((\w+)\)/) { "\($0.1) between \(from) and \(to)" }
    text.replace(/\$__timeGroupAlias\((\w+), '(\w+)'\)/) { match in
      let seconds = Self.intervals[String(match.2)] ?? 0
      return "floor(extract(epoch from \(match.1)) / \(seconds)) * \(seconds) as \"time\""
    }
    for (name, values) in values {
      let values = values.isEmpty ? [""] : values
      let quoted = values.map { "'\($0.replacing("'", with: "''"))'" }.joined(separator: ",")
      text.replace("${\(name):sqlstring}", with: quoted)
      let expression =
        "(" + values.map(NSRegularExpression.escapedPattern).joined(separator: "|") + ")"
      text.replace("${\(name)}", with: expression)
      text.replace(try Regex("\\$\(name)\\b"), with: expression)
    }
    guard !text.contains("$") else {
      throw HarnessError("this has something that is not replaced: \(text)")
    }
    return text
  }

  /// The variables that a text uses; those of Grafana itself, which begin with `__`, left out.
  static func variables(in text: String) -> Set<String> {
    Set(text.matches(of: /\$\{?([A-Za-z_]\w*)/).map { String($0.1) }.filter { !$0.hasPrefix("__") })
  }
}
