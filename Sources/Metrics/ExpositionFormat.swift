/// The two text formats that a scrape can be answered in.
public enum ExpositionFormat: Sendable, CaseIterable {
  /// Prometheus text format 0.0.4.
  case prometheusText
  /// OpenMetrics 1.0.
  case openMetrics

  public var contentType: String {
    switch self {
    case .prometheusText: "text/plain; version=0.0.4; charset=utf-8"
    case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    }
  }

  /// Chooses by an `Accept` field (RFC 9110 section 12.5.1): the highest q of what is known here,
  /// the first of equals, and the Prometheus text where nothing matches, as Prometheus asks.
  public static func negotiate(accept: String?) -> ExpositionFormat {
    var best: (format: ExpositionFormat, quality: Double) = (.prometheusText, 0)
    for range in (accept ?? "").split(separator: ",") {
      let parts = range.split(separator: ";").map { trimmed($0).lowercased() }
      guard let media = parts.first else { continue }
      var quality = 1.0
      var version: String?
      for part in parts.dropFirst() {
        let pair = part.split(separator: "=", maxSplits: 1).map { trimmed($0) }
        guard pair.count == 2 else { continue }
        if pair[0] == "q" { quality = Double(pair[1]) ?? 0 }
        if pair[0] == "version" { version = pair[1].filter { $0 != "\"" } }
      }
      guard let format = format(media: media, version: version), quality > best.quality else {
        continue
      }
      best = (format, quality)
    }
    return best.format
  }

  private static func format(media: String, version: String?) -> ExpositionFormat? {
    switch media {
    case "application/openmetrics-text":
      version == nil || version == "1.0.0" || version == "0.0.1" ? .openMetrics : nil
    case "text/plain": version == nil || version == "0.0.4" ? .prometheusText : nil
    case "text/*", "*/*": .prometheusText
    default: nil
    }
  }

  private static func trimmed(_ text: some StringProtocol) -> String {
    let start = text.drop { $0 == " " || $0 == "\t" }
    let reversed = start.reversed().drop { $0 == " " || $0 == "\t" }
    return String(reversed.reversed())
  }
}
