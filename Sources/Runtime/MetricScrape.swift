import Metrics

/// What processes said at one moment: values by metric and labels.
public struct MetricScrape: Sendable {
  /// Which loop, and of a metric with another label its value.
  struct Series: Hashable, Sendable {
    var pipeline: String
    var stream: String
    var other: String
  }

  /// Microseconds that never go back.
  var at: Int64
  private var samples: [String: [Series: Double]] = [:]

  public init(at: Int64) { self.at = at }

  /// Adds Prometheus text; series of several processes that are the same loop's are added up.
  public mutating func add(_ text: String) {
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      guard let open = line.firstIndex(of: "{"), let close = line.lastIndex(of: "}"),
        let value = Double(
          line[line.index(after: close)...].drop { $0 == " " }.prefix { $0 != " " })
      else { continue }
      var series = Series(pipeline: "", stream: "", other: "")
      for label in line[line.index(after: open)..<close].split(separator: ",") {
        let parts = label.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { continue }
        let value = String(parts[1].dropFirst().dropLast())
        switch parts[0] {
        case "pipeline": series.pipeline = value
        case "stream": series.stream = value
        default: series.other = value
        }
      }
      guard !series.pipeline.isEmpty, !series.stream.isEmpty else { continue }
      samples[String(line[..<open]), default: [:]][series, default: 0] += value
    }
  }

  func value(_ metric: MetricDeclaration, _ loop: Series, _ other: String = "") -> Double? {
    samples[metric.name]?[Series(pipeline: loop.pipeline, stream: loop.stream, other: other)]
  }

  /// Of one loop, by the value of the other label.
  func values(_ metric: MetricDeclaration, _ loop: Series) -> [(other: String, value: Double)] {
    (samples[metric.name] ?? [:]).filter {
      $0.key.pipeline == loop.pipeline && $0.key.stream == loop.stream
    }.map { ($0.key.other, $0.value) }.sorted { $0.0 < $1.0 }
  }

  /// Every loop that runs.
  var loops: [Series] {
    (samples[RuntimeMetrics.running.name] ?? [:]).keys.sorted {
      ($0.pipeline, $0.stream) < ($1.pipeline, $1.stream)
    }
  }
}
