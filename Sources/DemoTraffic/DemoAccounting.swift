/// What the processor says became of the events of a run: shown, not compared, because others may
/// send at the same time.
///
/// Read from `/metrics` beside the query API, so only where one process has both roles.
struct DemoAccounting: Hashable, Sendable {
  private static let metric = "smartcontent_events_accounted_total{"

  /// Pipeline to class (`on_time`, `late`, `too_late`, `duplicate`, `rejected`) to events.
  private(set) var pipelines: [String: [String: Int]] = [:]

  /// - Parameter text: Prometheus' text format.
  init(metrics text: String) {
    for line in text.split(separator: "\n") where line.hasPrefix(Self.metric) {
      guard let pipeline = Self.label("pipeline", in: line),
        let kind = Self.label("class", in: line),
        let value = line.split(separator: " ").last.flatMap({ Double($0) })
      else { continue }
      pipelines[pipeline, default: [:]][kind, default: 0] += Int(value)
    }
  }

  init() {}

  /// What was added since `earlier`.
  func since(_ earlier: Self) -> Self {
    var difference = self
    for (pipeline, classes) in pipelines {
      for (kind, count) in classes {
        difference.pipelines[pipeline]?[kind] =
          count - (earlier.pipelines[pipeline]?[kind] ?? 0)
      }
    }
    return difference
  }

  /// All events of the pipeline that has the fewest.
  var received: Int {
    pipelines.values.map { $0.values.reduce(0, +) }.min() ?? 0
  }

  private static func label(_ name: String, in line: Substring) -> String? {
    let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() where index + 1 < parts.count {
      if part.hasSuffix("{\(name)=") || part.hasSuffix(",\(name)=") {
        return String(parts[index + 1])
      }
    }
    return nil
  }
}
