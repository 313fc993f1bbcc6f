/// Writes metric families as Prometheus text 0.0.4 or OpenMetrics 1.0.
///
/// They differ in that OpenMetrics types a counter without `_total`, states units, escapes quotes
/// in help texts, and ends with `# EOF`.
struct ExpositionWriter {
  private let format: ExpositionFormat
  private var text = ""

  init(_ format: ExpositionFormat) { self.format = format }

  mutating func begin(_ metric: MetricDeclaration) {
    let name = format == .openMetrics ? metric.familyName : metric.name
    let type =
      switch metric.kind {
      case .counter: "counter"
      case .gauge: "gauge"
      case .histogram: "histogram"
      }
    text += "# HELP \(name) \(escaped(metric.help, quotes: format == .openMetrics))\n"
    text += "# TYPE \(name) \(type)\n"
    if format == .openMetrics, let unit = metric.unit { text += "# UNIT \(name) \(unit)\n" }
  }

  mutating func sample(_ metric: MetricDeclaration, _ labels: [String], _ value: Double) {
    line(metric.name, metric, labels, bound: nil, value)
  }

  mutating func histogram(
    _ metric: MetricDeclaration, _ labels: [String], bounds: [Double], _ totals: Histogram.Totals
  ) {
    var count = 0
    for (index, bucket) in totals.counts.enumerated() {
      count += bucket
      let bound = index < bounds.count ? number(bounds[index]) : "+Inf"
      line(metric.name + "_bucket", metric, labels, bound: bound, Double(count))
    }
    line(metric.name + "_sum", metric, labels, bound: nil, totals.sum)
    line(metric.name + "_count", metric, labels, bound: nil, Double(count))
  }

  consuming func finish() -> [UInt8] {
    if format == .openMetrics { text += "# EOF\n" }
    return Array(text.utf8)
  }

  private mutating func line(
    _ name: String, _ metric: MetricDeclaration, _ labels: [String], bound: String?,
    _ value: Double
  ) {
    text += name
    var pairs = zip(metric.labels, labels).map { "\($0)=\"\(escaped($1, quotes: true))\"" }
    if let bound { pairs.append("le=\"\(bound)\"") }
    if !pairs.isEmpty { text += "{\(pairs.joined(separator: ","))}" }
    text += " \(number(value))\n"
  }

  /// As Swift writes it: the shortest text that reads back the same, `1.0` for whole numbers.
  private func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return value.description
  }

  private func escaped(_ text: String, quotes: Bool) -> String {
    var output = ""
    for character in text.unicodeScalars {
      switch character {
      case "\\": output += "\\\\"
      case "\n": output += "\\n"
      case "\"" where quotes: output += "\\\""
      default: output.unicodeScalars.append(character)
      }
    }
    return output
  }
}
