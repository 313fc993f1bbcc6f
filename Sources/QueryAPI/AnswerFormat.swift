import HTTPServer

/// How an answer is written.
enum AnswerFormat: String, CaseIterable, Sendable {
  case json
  case csv

  var mediaType: String {
    switch self {
    case .json: "application/json"
    case .csv: "text/csv; charset=utf-8; header=present"
    }
  }

  /// What a client would rather have, by the header `Accept` (RFC 9110 section 12.5.1); JSON where it has no
  /// preference. Only names count: `*/*` is no wish for CSV.
  init(accept: String?) {
    var qualities: [String: Double] = [:]
    for range in (accept ?? "").split(separator: ",") {
      let parts = range.split(separator: ";").map {
        $0.filter { $0 != " " && $0 != "\t" }.lowercased()
      }
      guard let media = parts.first else { continue }
      let quality = parts.dropFirst().first { $0.hasPrefix("q=") }.map {
        Double($0.dropFirst(2)) ?? 0
      }
      qualities[media] = quality ?? 1
    }
    let csv = qualities["text/csv"] ?? 0
    self = csv > 0 && csv > qualities["application/json"] ?? 0 ? .csv : .json
  }
}
