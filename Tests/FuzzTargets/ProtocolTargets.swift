@testable import Collector
import Events
import HTTPServer

/// Every way in of ``ProtocolCatalog``, given whole requests: a line, fields of the header, an empty line,
/// the body. A request to an address that a protocol does not have goes to one of its own.
enum ProtocolTargets {
  static let all: [FuzzTarget] = ProtocolCatalog.all.map { ingest in
    FuzzTarget(
      ingest.name, seeds: ProtocolSeeds.all[ingest.name] ?? [],
      words: words([], ProtocolSeeds.words)
    ) { (input) throws(BrokenLaw) in
      try read(input, ingest)
    }
  }

  /// 2026-11-23T09:00:00Z.
  static let now: Int64 = 1_795_424_400_000_000

  static let mapping = EventMapping(
    names: ["Content Clicked": .click, "Order Completed": .conversion, "purchase": .conversion],
    calls: ["page": .view, "identify": .identify, "alias": .alias],
    properties: [
      .campaign: ["campaign_id"], .content: ["content_id"], .variant: ["variant_id"],
      .channel: ["channel"],
    ],
    revenue: ["revenue", "value"], currency: ["currency"], defaultCurrency: "USD")

  static func key(_ name: String) -> WriteKey {
    WriteKey(key: name, site: "default", mapping: CompiledMapping(mapping))
  }

  private static let keys = WriteKeyTable(every: key("dev"))
  private static let redirects = RedirectPolicy(
    isSigned: { _, _, signature in signature == "signed" }, hosts: ["*.example.org"])
  private static let reading = DeadLetterReading(mapping: CompiledMapping(mapping))

  private static func read(
    _ input: UnsafeRawBufferPointer, _ ingest: IngestProtocol
  ) throws(BrokenLaw) {
    let request = RawRequest(input)
    let endpoint =
      ingest.endpoints.first { $0.path == request.path && $0.method.name == request.method }
      ?? ingest.endpoints[request.body.count % ingest.endpoints.count]
    var body = request.body
    var inflated: [UInt8] = []
    if request.isCompressed {
      do throws(InflateError) {
        inflated = try inflate(body, maxBytes: ingest.bodyBytesMax)
      } catch {
        return
      }
    }
    let (reading, rows) = inflated.withUnsafeBytes { bytes in
      if request.isCompressed { body = bytes }
      func input(takesRows: Bool) -> IngestInput {
        var unique = 0
        var input = IngestInput(
          query: request.query, body: body, header: { request.header($0) },
          headerFields: { request.fields }, keys: keys, receivedAt: now,
          uniqueID: {
            unique += 1
            return "unique-\(unique)"
          }, redirects: redirects)
        input.takesRows = takesRows
        return input
      }
      var rows: [IncomingEvent]?
      if case .events(let events, _, _, let reply) = endpoint.read(input(takesRows: true)),
        let found = reply.rows
      {
        rows = found.whole(events, in: body).events
      }
      return (endpoint.read(input(takesRows: false)), rows)
    }
    if let rows, case .events(let events, _, _, _) = reading {
      try BrokenLaw.unless(rows == events, "rows are the same events")
    } else {
      try BrokenLaw.unless(rows == nil, "what has rows has events")
    }
    // What costs more than the reading itself is looked at once in a while.
    try check(reading, ingest, again: input.count & 7 == 0)
  }

  private static func check(
    _ reading: IngestReading, _ ingest: IngestProtocol, again: Bool
  ) throws(BrokenLaw) {
    switch reading {
    case .events(let events, let rejected, _, let reply):
      for event in events { try check(event) }
      try BrokenLaw.unless(
        Set(rejected.map(\.index)).count == rejected.count, "an event is refused once")
      guard again else { return }
      for rejection in rejected { try check(rejection, ingest) }
      let named = rejected.map {
        RejectedEvent(index: $0.index, code: $0.code.rawValue, message: $0.detail)
      }
      let answer = (reply.stored ?? ingest.answer)(
        StoredAnswer(position: "1~0.1", positionHeader: [], rejected: named))
      try BrokenLaw.unless(
        [.ok, .noContent, .found].contains(answer.status), "what is stored is answered well")
    case .refused(let rejection, _): if again { try check(rejection, ingest) }
    case .problem, .unknownKey, .unknownKeyOnLink: break
    }
  }

  /// What every event has to be, whoever read it.
  static func check(_ event: IncomingEvent) throws(BrokenLaw) {
    try BrokenLaw.unless(
      (1...FieldText.bytesMax).contains(event.id.utf8.count), "an event has an id of a length")
    try BrokenLaw.unless(event.name.utf8.count <= FieldText.bytesMax, "a name is not too long")
    try BrokenLaw.unless(event.key != .zero && event.person != .zero, "an event has its keys")
    try BrokenLaw.unless(
      (Timestamp.min...Timestamp.max).contains(event.eventTime), "an event has a time")
    let tuple = event.dimensions.withUnsafeBytes { DimensionTuple(encoded: $0) }
    try BrokenLaw.unless(tuple?.site == "default", "an event belongs to the site of its key")
    try BrokenLaw.unless(isObject(event.payload), "what is kept of an event is a JSON object")
  }

  static func isObject(_ payload: [UInt8]) -> Bool {
    payload.withUnsafeBytes { bytes in
      var json = JSONScanner(bytes)
      do throws(JSONError) {
        guard try json.peek() == .object else { return false }
        try json.skipValue()
        try json.end()
        return true
      } catch {
        return false
      }
    }
  }

  /// A dead letter keeps what was refused, and is read again without harm.
  private static func check(
    _ rejection: Rejection, _ ingest: IngestProtocol
  ) throws(BrokenLaw) {
    let event = rejection.event(
      protocolName: ingest.name, site: "default", source: "dev", receivedAt: now)
    let letter: DeadLetter? = event.payload.withUnsafeBytes { bytes in
      do throws(JSONError) { return try DeadLetter(payload: bytes) } catch { return nil }
    }
    guard let letter else { throw BrokenLaw("a dead letter can be read") }
    try BrokenLaw.unless(letter.body == rejection.body, "a dead letter keeps the bytes")
    _ = reading.read(
      letter, site: "default", source: "\(ingest.name)/dev", receivedAt: now, uniqueID: "again")
  }
}

/// A request as it stands in an input.
private struct RawRequest {
  var method = ""
  var path = ""
  var query = UnsafeRawBufferPointer(start: nil, count: 0)
  var fields: [(name: String, value: String)] = []
  var body = UnsafeRawBufferPointer(start: nil, count: 0)

  init(_ input: UnsafeRawBufferPointer) {
    var start = 0
    var isFirst = true
    while start < input.count {
      let end = input[start...].firstIndex(of: 0x0a) ?? input.count
      let cut = end > start && input[end - 1] == 0x0d ? end - 1 : end
      let line = UnsafeRawBufferPointer(rebasing: input[start..<cut])
      start = min(end + 1, input.count)
      if isFirst {
        take(line)
        isFirst = false
      } else if line.isEmpty {
        break
      } else if let colon = line.firstIndex(of: UInt8(ascii: ":")) {
        var value = line[(colon + 1)...]
        if value.first == 0x20 { value.removeFirst() }
        fields.append(
          (
            String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self)
          ))
      }
    }
    body = UnsafeRawBufferPointer(rebasing: input[start...])
  }

  /// `POST /v1/batch?k=dev HTTP/1.1`.
  private mutating func take(_ line: UnsafeRawBufferPointer) {
    let words = line.split(separator: 0x20, maxSplits: 2)
    guard words.count > 1 else { return }
    method = String(decoding: words[0], as: UTF8.self)
    let target = words[1]
    let mark = target.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex
    path = String(decoding: target[..<mark], as: UTF8.self)
    query = UnsafeRawBufferPointer(rebasing: target[mark...].dropFirst())
  }

  func header(_ name: String) -> String? {
    let name = name.lowercased()
    return fields.first { $0.name.lowercased() == name }?.value
  }

  var isCompressed: Bool {
    body.count > 2 && body[0] == 0x1f && body[1] == 0x8b || header("content-encoding") == "gzip"
  }
}
