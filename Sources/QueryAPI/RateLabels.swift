import HTTPServer
import Views

/// The rates among a query's metrics, and what is written before the interval of each; made once per answer, as
/// answers have many rows.
struct RateLabels {
  private let rates: [(metric: Metric, label: [UInt8])]

  init(_ metrics: [Metric]) {
    rates = metrics.filter(\.isRate).enumerated().map { index, metric in
      (metric, Array("\(index > 0 ? "," : "")\"\(metric.rawValue)\":".utf8))
    }
  }

  /// Ends by the names of the rates, as another member of an object; nothing where there is none.
  func write(
    _ name: String, to output: inout [UInt8],
    _ ends: (Metric) -> (lower: Double, upper: Double)?
  ) {
    guard !rates.isEmpty else { return }
    output.append(contentsOf: ",\"".utf8)
    output.append(contentsOf: name.utf8)
    output.append(contentsOf: "\":{".utf8)
    for rate in rates {
      output.append(contentsOf: rate.label)
      JSONText.append(ends: ends(rate.metric), to: &output)
    }
    output.append(UInt8(ascii: "}"))
  }
}
