import Events
import HTTPClient

/// Asks the query API for the counts of the demo's campaigns, those of its crawlers too.
struct DemoQuery {
  /// More places than the catalog has.
  private static let rowCountMax = 10_000
  /// Seconds that the server waits until it covers the position; 60 at most.
  private static let timeoutSeconds = 55

  var url: String
  /// A bearer token, where the API wants one.
  var token: String?
  var campaigns: [String]
  /// Microseconds since the Unix epoch; events outside are not asked for.
  var from: Int64
  var to: Int64

  /// - Parameter after: waits until the answer covers this position; nil for the present state.
  func run(after: Position?, client: HTTPClient) throws(DemoError) -> DemoTruth {
    var target = "\(url)/v1/query"
    if let after { target += "?after=\(after)&timeout=\(Self.timeoutSeconds)" }
    var headers = [HTTPHeader("Content-Type", "application/json")]
    if let token { headers.append(HTTPHeader("Authorization", "Bearer \(token)")) }
    let answer: HTTPAnswer
    do throws(HTTPClientError) {
      answer = try client.post(target, headers: headers, body: Array(body.utf8))
    } catch {
      throw .unreachable(error)
    }
    guard answer.status == 200 else {
      throw .queryRefused(status: answer.status, body: answer.text)
    }
    do throws(JSONError) {
      return try Self.parse(answer.body)
    } catch {
      throw .answerNotUnderstood(reason: "\(error)", body: answer.text)
    }
  }

  private var body: String {
    let names = campaigns.map { "\"\($0)\"" }.joined(separator: ",")
    return """
      {"metrics":["impressions","views","clicks","engagements","conversions","revenue"],\
      "dimensions":["campaign","content","variant","channel"],\
      "date_range":["\(Timestamp.format(from))","\(Timestamp.format(to))"],\
      "traffic":"all","filters":[["is","campaign",[\(names)]]],"limit":\(Self.rowCountMax)}
      """
  }

  /// `{"results":[{"dimensions":[…4 texts],"metrics":[…5 numbers, {"EUR":12.5}]}],…}`
  static func parse(_ bytes: [UInt8]) throws(JSONError) -> DemoTruth {
    var truth = DemoTruth()
    var failure: JSONError?
    bytes.withUnsafeBytes { bytes in
      do throws(JSONError) { try parse(bytes, into: &truth) } catch { failure = error }
    }
    if let failure { throw failure }
    return truth
  }

  private static func parse(
    _ bytes: UnsafeRawBufferPointer, into truth: inout DemoTruth
  ) throws(JSONError) {
    var json = JSONScanner(bytes)
    try json.beginObject()
    while let key = try json.nextKey() {
      guard key == "results" else {
        try json.skipValue()
        continue
      }
      try json.beginArray()
      while try json.nextElement() { try row(&json, into: &truth) }
    }
    try json.end()
  }

  private static func row(
    _ json: inout JSONScanner, into truth: inout DemoTruth
  ) throws(JSONError) {
    var names: [String] = []
    var counts = DemoTruth.Counts()
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "dimensions":
        try json.beginArray()
        while try json.nextElement() { names.append(try json.string()) }
      case "metrics": counts = try metrics(&json)
      default: try json.skipValue()
      }
    }
    guard names.count == 4 else {
      throw JSONError(offset: json.offset, expected: .array, isAtEnd: false)
    }
    truth.add(
      counts,
      to: DemoPlace(campaign: names[0], content: names[1], variant: names[2], channel: names[3]))
  }

  private static func metrics(_ json: inout JSONScanner) throws(JSONError) -> DemoTruth.Counts {
    var counts = DemoTruth.Counts()
    let fields: [WritableKeyPath<DemoTruth.Counts, Int64>] = [
      \.impressions, \.views, \.clicks, \.engagements, \.conversions,
    ]
    try json.beginArray()
    for field in fields {
      guard try json.nextElement() else {
        throw JSONError(offset: json.offset, expected: .number, isAtEnd: false)
      }
      counts[keyPath: field] = try json.int64()
    }
    guard try json.nextElement() else {
      throw JSONError(offset: json.offset, expected: .object, isAtEnd: false)
    }
    try json.beginObject()
    while let currency = try json.nextKey() {
      let text = try json.numberText()
      guard let micros = Money.micros(text) else {
        throw JSONError(offset: json.offset, expected: .number, isAtEnd: false)
      }
      if micros != 0 { counts.revenue[currency.string] = micros }
    }
    while try json.nextElement() { try json.skipValue() }
    return counts
  }
}
