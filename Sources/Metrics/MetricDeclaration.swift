/// One metric, declared once: its name, meaning and shape. Handles come from ``MetricRegistry``.
///
/// Names follow Prometheus' conventions (https://prometheus.io/docs/practices/naming): the prefix
/// `smartcontent_`, base units at the end (`_seconds`, `_bytes`, `_ratio`), `_total` after the
/// unit for counters and only for them. Labels never carry persons, sessions or URLs.
public struct MetricDeclaration: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    /// Only rises, by whole numbers, until the process ends.
    case counter
    case gauge
    /// Counts of observations up to each bound; the bound +Inf is added.
    case histogram(bounds: [Double])
  }

  public let name: String
  /// One sentence with the unit.
  public let help: String
  public let kind: Kind
  public let labels: [String]
  /// Label sets beyond this are dropped and counted in ``MetricRegistry/droppedSeries``.
  public let maxSeries: Int

  /// - Parameter name: checked against the naming rules; a wrong one is a programming error.
  public init(
    _ name: String, _ help: String, _ kind: Kind, labels: [String] = [], maxSeries: Int = 200
  ) {
    self.name = name
    self.help = help
    self.kind = kind
    self.labels = labels
    self.maxSeries = maxSeries
    let fault = namingFault
    precondition(fault == nil, "metric \(name): \(fault ?? "")")
  }

  /// The name of the metric's family in OpenMetrics: a counter's without `_total`.
  var familyName: String { kind == .counter ? String(name.dropLast("_total".count)) : name }

  /// The unit that the name ends with; nil where it has none.
  var unit: String? {
    ["seconds", "bytes", "ratio"].first { familyName.hasSuffix("_" + $0) }
  }

  private var namingFault: String? {
    func isWord(_ text: String) -> Bool {
      guard let first = text.utf8.first, first != UInt8(ascii: "_"), !text.contains("__")
      else { return false }
      return !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
        && text.utf8.allSatisfy {
          (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "_")
        }
    }
    guard isWord(name), name.hasPrefix("smartcontent_") else {
      return "the name is snake case and starts with smartcontent_"
    }
    if name.hasSuffix("_total") != (kind == .counter) {
      return "counters and only counters end with _total"
    }
    for suffix in ["_ms", "_milliseconds", "_us", "_microseconds", "_minutes", "_kb", "_percent"]
    where familyName.hasSuffix(suffix) {
      return "use base units: seconds, bytes, ratio"
    }
    if help.isEmpty { return "the help text is missing" }
    if !labels.allSatisfy({ isWord($0) && $0 != "le" && $0 != "quantile" }) {
      return "labels are snake case, not le or quantile"
    }
    if Set(labels).count != labels.count { return "a label is named twice" }
    if maxSeries < 1 { return "maxSeries is at least 1" }
    if case .histogram(let bounds) = kind {
      let isRising = zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }
      if bounds.isEmpty || !isRising || !bounds.allSatisfy(\.isFinite) {
        return "histogram bounds are finite and rise"
      }
    }
    return nil
  }
}
