/// A run in words and tables, for a terminal.
public struct DemoReport: Sendable {
  public var outcome: DemoOutcome
  public var comparison: DemoComparison

  public init(outcome: DemoOutcome, comparison: DemoComparison) {
    self.outcome = outcome
    self.comparison = comparison
  }

  /// True where the answer is the truth and every request was settled.
  public var isEqual: Bool {
    comparison.isEqual && outcome.unexpectedRefusalCount == 0
      && outcome.unacknowledgedRequestCount == 0
  }

  public var text: String {
    [summary, facets, accounting, table, verdict].compactMap(\.self).joined(separator: "\n\n")
      + "\n"
  }

  private var summary: String {
    let rate = outcome.seconds > 0 ? Double(outcome.eventCount) / outcome.seconds : 0
    let statuses = outcome.statuses.sorted { $0.key < $1.key }
      .map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
    return """
      sent           \(outcome.eventCount) events in \(Self.rounded(outcome.seconds)) s \
      (\(Self.rounded(rate)) per second)
      acknowledged   \(outcome.acknowledgedEventCount) events
      answers        \(statuses.isEmpty ? "none" : statuses)
      sent again     \(outcome.retryCount) requests after 429, 503 or a lost connection
      """
  }

  private var facets: String {
    let rows = outcome.facets.listed.map { [$0.name, "\($0.count)"] }
    return TextTable(header: ["traffic", "count"], rows: rows, textColumnCount: 1).text
  }

  private var accounting: String? {
    guard let pipelines = comparison.accounting?.pipelines else { return nil }
    let classes = ["on_time", "late", "too_late", "duplicate", "rejected"]
    let rows = pipelines.sorted { $0.key < $1.key }.map { pipeline, counts in
      let values = classes.map { counts[$0] ?? 0 }
      return [pipeline] + (values + [values.reduce(0, +)]).map { "\($0)" }
    }
    return "what became of them, by pipeline\n"
      + TextTable(
        header: ["pipeline"] + classes + ["received"], rows: rows, textColumnCount: 1
      ).text
  }

  /// Channels are summed up here; the comparison itself is per channel.
  private var table: String {
    struct Cell { var truth = DemoTruth.Counts(), answer = DemoTruth.Counts() }
    var cells: [DemoPlace: Cell] = [:]
    func row(_ place: DemoPlace) -> DemoPlace {
      var place = place
      place.channel = ""
      return place
    }
    for (place, counts) in comparison.truth.places {
      cells[row(place), default: Cell()].truth.add(counts)
    }
    for (place, counts) in comparison.answer.places {
      cells[row(place), default: Cell()].answer.add(counts)
    }
    let rows = cells.sorted { $0.key < $1.key }.map { place, cell in
      [
        place.campaign, place.content, place.variant,
        Self.pair(cell.truth.impressions, cell.answer.impressions),
        Self.pair(cell.truth.views, cell.answer.views),
        Self.pair(cell.truth.clicks, cell.answer.clicks),
        Self.pair(cell.truth.engagements, cell.answer.engagements),
        Self.pair(cell.truth.conversions, cell.answer.conversions),
        Self.pair(Self.money(cell.truth.revenue), Self.money(cell.answer.revenue)),
      ]
    }
    let header = [
      "campaign", "content", "variant", "impressions", "views", "clicks", "engagements",
      "conversions", "revenue",
    ]
    return "truth = answer\n" + TextTable(header: header, rows: rows, textColumnCount: 3).text
  }

  private var verdict: String {
    var lines: [String] = []
    if let refusal = outcome.firstUnexpectedRefusal {
      lines.append(
        "REFUSED: \(outcome.unexpectedRefusalCount) well-formed requests; the first with \(refusal)"
      )
    }
    if outcome.unacknowledgedRequestCount > 0 {
      let count = outcome.unacknowledgedRequestCount
      lines.append("\(DemoError.unacknowledged(requestCount: count))")
    }
    let differences = comparison.differences
    if differences.isEmpty {
      lines.append(
        "EQUAL to the last event: \(comparison.truth.places.count) combinations of campaign, "
          + "content, variant and channel were compared.")
    } else {
      lines.append("DIFFERENT in \(differences.count) combinations; the first are")
      for place in differences.prefix(20) {
        lines.append(
          "  \(place.campaign) \(place.content) \(place.variant) \(place.channel): truth "
            + "\(Self.words(comparison.truth.places[place])), answer "
            + "\(Self.words(comparison.answer.places[place]))")
      }
      lines.append(
        "Does another run send to the same campaigns? Give this one a --label of its own.")
    }
    return lines.joined(separator: "\n")
  }

  private static func words(_ counts: DemoTruth.Counts?) -> String {
    guard let counts else { return "nothing" }
    return "\(counts.impressions)/\(counts.views)/\(counts.clicks)/\(counts.engagements)/"
      + "\(counts.conversions)/\(money(counts.revenue))"
  }

  private static func pair<Value: Equatable & CustomStringConvertible>(
    _ truth: Value, _ answer: Value
  ) -> String {
    truth == answer ? "\(truth) = \(answer)" : "\(truth) ≠ \(answer)"
  }

  private static func money(_ revenue: [String: Int64]) -> String {
    if revenue.isEmpty { return "0" }
    return revenue.sorted { $0.key < $1.key }.map { currency, micros in
      let cents = micros / 10_000
      let rest = cents % 100
      return "\(currency) \(cents / 100).\(rest < 10 ? "0" : "")\(rest)"
    }.joined(separator: " + ")
  }

  /// One digit after the point.
  private static func rounded(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
