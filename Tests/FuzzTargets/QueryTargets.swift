import Events
import HTTPServer
import Ports
import Views

@testable import QueryAPI

/// What the query API reads: queries, their parameters, feedback on incidents, and the files of time zones.
enum QueryTargets {
  private static let query = """
    {"site_id":"s","pipeline":"recent","metrics":["impressions","ctr","revenue"],
    "date_range":["2026-11-01T00:00:00Z","2026-11-03"],"dimensions":["time:hour","campaign","variant"],
    "filters":[["is","campaign",["x","y"]],["and",[["is_not","variant",["a"]]]],
    ["or",[["is","channel",["m"]],["and",[["is","content",["c"]],["contains","campaign",["d"]]]]]]],"granularity":"hour",
    "order_by":[["ctr","desc"],["time","asc"]],"limit":10,"offset":1,"timezone":"Europe/Berlin",
    "after":"1~0.5","timeout":2.5}
    """

  static let all: [FuzzTarget] = [
    FuzzTarget(
      "query", seeds: [query.bytes, #"{"metrics":["clicks"],"date_range":"7d"}"#.bytes],
      words: words(QueryRequestParser.members, ["\"30d\"", "\"today\"", "\"is\""]), run: query),
    FuzzTarget(
      "query-parameters",
      seeds: [
        "date_range=7d&granularity=day&limit=5&timezone=UTC&after=1~0.5&timeout=1".bytes,
        "by=content&window=5m&limit=10&site_id=default".bytes,
      ], words: ["date_range=", "&", "=", "%2C", "limit=", "after=", "timeout=", "24h"],
      run: parameters),
    FuzzTarget(
      "incident-parameters",
      seeds: [
        "site_id=s&campaign=c&open=true&since=2026-11-30T10:15:00Z&severity=warning&limit=5".bytes,
        "before=1796033700000000~4711&timezone=Europe/Berlin&pipeline=default".bytes,
      ], words: ["open=false", "&", "=", "%20", "before=", "~", "since=", "severity=critical"],
      run: incidents),
    FuzzTarget(
      "incident-feedback",
      seeds: [
        #"{"verdict":"expected","note":"a \"sale\" \u00e4"}"#.bytes,
        #"{"verdict":"not_an_anomaly"}"#.bytes,
      ], words: words(FeedbackRequest.members, ["\"expected\"", "\"not_an_anomaly\"", "\\u0000"]),
      run: feedback),
    FuzzTarget(
      "time-zone",
      seeds: [zoneFile(footer: "CET-1CEST,M3.5.0,M10.5.0/3"), zoneFile(footer: "<-03>3")],
      words: ["TZif2", "\n", "EST5EDT,M3.2.0,M11.1.0", "J60", "/167"], run: zone),
    FuzzTarget(
      "zone-rule",
      seeds: ["EST5EDT,M3.2.0,M11.1.0".bytes, "<+0330>-3:30<+0430>,J79/24,J263/24".bytes],
      words: [",", "M", "J", "/", "<", ">", ".", "-", "167"], run: rule),
  ]

  /// A file of version 2 without changes: two heads, each with one type, then the footer.
  private static func zoneFile(footer: String) -> [UInt8] {
    var file: [UInt8] = []
    for _ in 0..<2 {
      file.append(contentsOf: "TZif2".utf8)
      file.append(contentsOf: [UInt8](repeating: 0, count: 31))
      file.append(contentsOf: [0, 0, 0, 1, 0, 0, 0, 1])
      let type: [UInt8] = [0, 0, 0x0e, 0x10, 0, 0, 0]
      file.append(contentsOf: type)
    }
    file.append(contentsOf: "\n\(footer)\n".utf8)
    return file
  }

  @Sendable private static func query(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let parser = QueryRequestParser(pipelines: ["default", "recent"])
    do throws(QueryError) {
      let request = try parser.request(json: Array(input), parameters: [])
      precondition((1...QueryRequest.limitMax).contains(request.limit), "a limit is in range")
      _ = try QueryPlan.make(for: request, now: ProtocolTargets.now, zone: .utc)
    } catch {
      // It is said what is wrong with it, and where.
    }
  }

  @Sendable private static func parameters(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let http = HTTPRequest(method: .get, path: "/", query: text(input))
    guard let fields = http.queryFields() else { return }
    do throws(QueryError) {
      _ = try QueryRequestParser(pipelines: ["default"]).request(content: "c", parameters: fields)
    } catch {
      // It is said what is wrong with it, and where.
    }
  }

  @Sendable private static func incidents(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let http = HTTPRequest(method: .get, path: "/", query: text(input))
    guard let fields = http.queryFields() else { return }
    do throws(QueryError) {
      let request = try IncidentRequest(
        fields.filter { IncidentRequest.parameters.contains($0.name) },
        parser: QueryRequestParser(pipelines: ["default"]))
      precondition((1...IncidentRequest.limitMax).contains(request.question.limit))
    } catch {
      // It is said what is wrong with it, and where.
    }
  }

  @Sendable private static func feedback(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let request: FeedbackRequest
    do throws(QueryError) {
      request = try FeedbackRequest(json: Array(input))
    } catch {
      return
    }
    let row = IncidentRow(
      id: 7, site: "s", campaign: "", content: "", kind: .rateUp, begin: 0, evidence: 6,
      severity: .info, observed: 1, expected: 0, lower: 0, upper: 0, group: 7)
    let payload = request.event(about: row, now: ProtocolTargets.now).payload
    let read = payload.withUnsafeBytes { IncidentFeedback(payload: $0) }
    try BrokenLaw.unless(
      read == IncidentFeedback(incident: 7, verdict: request.verdict),
      "what the log gets is read as it was said")
  }

  @Sendable private static func zone(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let rules = ZoneRules(parsing: Array(input)) else { return }
    for seconds: Int64 in [0, 1_795_424_400, -3_000_000_000, 7_000_000_000] {
      _ = rules.offset(at: seconds)
      _ = rules.start(ofLocalDay: rules.localDay(at: seconds))
      _ = rules.change(after: seconds, upTo: seconds + 100_000_000)
    }
  }

  @Sendable private static func rule(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let rule = RecurringRule(text(input)) else { return }
    for seconds in stride(from: Int64(1_767_225_600), to: 1_798_761_600, by: 86_400 * 7) {
      let offset = rule.offset(at: seconds)
      // A POSIX zone is at most a week from UTC.
      try BrokenLaw.unless(offset.magnitude <= 8 * 86_400, "an offset is in range")
    }
  }
}
