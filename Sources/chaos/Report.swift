import Events

/// A run as Markdown.
struct Report {
  var seed: UInt64
  var command: String
  var versions: [(name: String, version: String)]
  var begunAt: Int64
  var seconds: Double
  var load: [String]
  var records: [Record]
  var facts: [String]
  var failures: [String]
  var notes: [String]

  var text: String {
    var lines = ["# Chaos: \(records.count) faults on real processes", ""]
    lines.append(failures.isEmpty ? "**All is right.**" : "**\(failures.count) failures.**")
    lines += ["", "- seed \(seed), which makes the same faults again: `\(command)`"]
    lines.append("- begun \(Timestamp.format(begunAt)), \(Fault.tenths(seconds)) s")
    lines += versions.map { "- \($0.name) \($0.version)" }
    lines += load.map { "- \($0)" }
    lines += section("What was verified", facts)
    lines += section("Failures", failures)
    lines += section("Notes", notes)
    lines += ["", "## Recovery", "", Self.explanation, ""]
    lines.append("| fault | count | p50 s | p90 s | p99 s | max s | over the goal | never |")
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    for kind in Fault.Kind.allCases {
      let own = records.filter { $0.fault.kind == kind }
      if !own.isEmpty { lines.append(Self.row(kind.rawValue, own)) }
    }
    lines.append(Self.row("**all**", records))
    lines += ["", "## Timeline", ""]
    lines.append("| at s | fault | lasted s | queryable s | recovered s | |")
    lines.append("|--:|---|--:|--:|--:|---|")
    for record in records {
      lines.append(
        "| \(Fault.tenths(record.at)) | \(record.fault) | \(Fault.tenths(record.lasted)) | "
          + "\(Self.figure(record.queryable)) | \(Self.figure(record.recovered)) | "
          + "\(record.note.replacing("\n", with: " ").replacing("|", with: "/").prefix(300)) |")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static let explanation = """
    From the end of a fault (its beginning, where others could go on: a kill, a cut, one of several \
    equal processes frozen) until new events of every partition are in the answers of every pipeline \
    and all processes that are not frozen say that they are ready. Goals: 5 s, 2 s for a killed \
    processor while nothing else fails. Faults that were made at once have the same time, that of all of them.
    """

  private func section(_ title: String, _ items: [String]) -> [String] {
    items.isEmpty ? [] : ["", "## \(title)", ""] + items.map { "- \($0)" }
  }

  private static func row(_ name: String, _ records: [Record]) -> String {
    let times = records.compactMap(\.recovered).sorted()
    let over = records.filter { ($0.recovered ?? 0) > $0.goal }.count
    let never = records.count - times.count
    let figures = [0.5, 0.9, 0.99, 1].map { figure(percentile(times, $0)) }
    return
      "| \(name) | \(records.count) | \(figures.joined(separator: " | ")) | \(over) | \(never) |"
  }

  /// The smallest time that this share of all is not above.
  private static func percentile(_ sorted: [Double], _ share: Double) -> Double? {
    guard !sorted.isEmpty else { return nil }
    let index = Int((share * Double(sorted.count)).rounded(.up)) - 1
    return sorted[max(0, min(sorted.count - 1, index))]
  }

  private static func figure(_ seconds: Double?) -> String {
    guard let seconds else { return "–" }
    let hundredths = Int((seconds * 100).rounded())
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
  }
}
