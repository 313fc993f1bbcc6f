import ArgumentParser
import Collector
import Definitions
import Events
import HTTPServer

/// What reading events costs one core: the scanner alone, whole protocols, the gates, and frames. No network, no log.
///
/// Rates are events per second of processor time of one thread, over batches as SDKs send them.
struct JSONBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "json", abstract: "Scanning JSON events, protocols, gates and frames on one core.")

  @Flag(help: "End with one JSON object of the figures.") var json = false
  @Option(help: "Events of each row.") var events = 2_000_000
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  private static let receivedAt: Int64 = 1_795_424_400_000_000

  func run() async throws {
    let definitions = try Definitions(folder: streams)
    let key = WriteKey(key: "dev", site: "default", mapping: CompiledMapping(definitions.mapping))
    let segment = (0..<50).map { Self.segmentBatch($0) }
    let postHog = (0..<10).map { Self.postHogBatch($0) }
    var table = Report("Events on one core")
    let eventBytes = Double(segment[0].count) / 20
    let scan = try rate(20, segment) { try Self.scan($0) }
    table.add("scan_events_per_second", scan, "events/s", goal: "5,000,000")
    table.add("scan_megabytes_per_second", scan * eventBytes / 1e6, "MB/s")
    table.add(
      "scan_posthog_events_per_second", try rate(100, postHog) { try Self.skip($0) }, "events/s")
    table.add(
      "segment_events_per_second",
      try rate(20, segment) { _ = try Self.read($0, "segment", "/v1/batch", key) }, "events/s")
    table.add(
      "posthog_events_per_second",
      try rate(100, postHog) { _ = try Self.read($0, "posthog", "/batch/", key) }, "events/s")
    table.add(
      "segment_rows_per_second",
      try rate(20, segment) { try Self.readRows($0, "segment", "/v1/batch", key) }, "events/s")
    table.add(
      "posthog_rows_per_second",
      try rate(100, postHog) { try Self.readRows($0, "posthog", "/batch/", key) }, "events/s")
    let read = try segment.map { batch in
      try batch.withUnsafeBytes { try Self.read($0, "segment", "/v1/batch", key) }
    }
    let facts = RequestFacts(
      userAgent: "analytics-python/2.3.4", clientAddress: "127.0.0.1", header: { _ in nil })
    var gates: [(name: String, gate: any EventGate)] = [
      ("consent", ConsentGate()), ("privacy", PrivacyGate(schemas: definitions.schemas)),
    ]
    if let bots = definitions.bots { gates.append(("bots", BotGate(bots))) }
    gates.append(("schemas", SchemaGate(definitions.schemas)))
    for (name, gate) in gates {
      let rate = try rate(20, read) { events in
        for event in events {
          var event = event
          _ = try gate.admit(&event, facts, key)
        }
      }
      table.add("gate_\(name)_events_per_second", rate, "events/s")
    }
    var encoder = FrameEncoder()
    var sequence: UInt64 = 0
    let frames = try rate(20, read) { events in
      for event in events { encoder.append(event) }
      guard encoder.count >= 200 else { return }
      sequence += 1
      _ = encoder.seal(
        FrameHeader(
          kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 1), epoch: 0,
          producerSequence: sequence))
    }
    table.add("frames_events_per_second", frames, "events/s")
    table.print(json: json)
  }

  /// - Parameter each: how many events each element has.
  /// - Returns: events per second of processor time.
  private func rate<Element>(
    _ each: Int, _ elements: [Element], _ body: (Element) throws -> Void
  ) throws -> Double {
    for element in elements { try body(element) }
    let rounds = max(1, events / each / elements.count)
    let started = CPUTime.thread()
    for _ in 0..<rounds { for element in elements { try body(element) } }
    return Double(rounds * elements.count * each) / (CPUTime.thread() - started)
  }

  private func rate(
    _ each: Int, _ texts: [[UInt8]], _ body: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> Double {
    try rate(each, texts) { (text: [UInt8]) in try text.withUnsafeBytes { try body($0) } }
  }

  /// Reads what the Segment protocol uses of each event, and checks the rest.
  private static func scan(_ text: UnsafeRawBufferPointer) throws {
    var json = JSONScanner(text)
    var bytes = 0
    try json.beginObject()
    while let name = try json.nextKey() {
      guard name == "batch" else {
        try json.skipValue()
        continue
      }
      try json.beginArray()
      while try json.nextElement() {
        try json.beginObject()
        while let name = try json.nextKey() {
          switch name {
          case "type", "event", "messageId", "userId", "timestamp":
            bytes &+= try json.text().bytes.count
          case "properties":
            try json.beginObject()
            while let property = try json.nextKey() {
              switch property {
              case "campaign_id", "content_id", "variant_id", "channel":
                bytes &+= try json.text().bytes.count
              default: try json.skipValue()
              }
            }
          default: try json.skipValue()
          }
        }
      }
    }
    try json.end()
    guard bytes > 0 else { throw BenchError("a batch has texts") }
  }

  private static func skip(_ text: UnsafeRawBufferPointer) throws {
    var json = JSONScanner(text)
    try json.skipValue()
    try json.end()
  }

  private static func read(
    _ body: UnsafeRawBufferPointer, _ name: String, _ path: String, _ key: WriteKey,
    takesRows: Bool = false
  ) throws -> [IncomingEvent] {
    guard let ingest = ProtocolCatalog.all.first(where: { $0.name == name }),
      let endpoint = ingest.endpoints.first(where: { $0.path == path })
    else { throw BenchError("the catalog has \(name) at \(path)") }
    var input = IngestInput(
      query: UnsafeRawBufferPointer(start: nil, count: 0), body: body,
      header: { $0 == "authorization" ? "Basic ZGV2Og==" : nil }, keys: WriteKeyTable([key]),
      receivedAt: receivedAt, uniqueID: { "" })
    input.takesRows = takesRows
    guard case .events(let events, rejected: let rejected, _, reply: _) = endpoint.read(input),
      rejected.isEmpty
    else { throw BenchError("\(name) takes every event of its batch") }
    return events
  }

  /// The same as the collector has it read: what is like an earlier event of its batch stays where it is.
  private static func readRows(
    _ body: UnsafeRawBufferPointer, _ name: String, _ path: String, _ key: WriteKey
  ) throws {
    guard try read(body, name, path, key, takesRows: true).count == 1 else {
      throw BenchError("the events of a batch are alike")
    }
  }

  private static func segmentBatch(_ number: Int) -> [UInt8] {
    let events = (number * 20..<number * 20 + 20).map { n in
      """
      {"type":"track","event":"Content Impression","messageId":"1795424400-804531-1-\(n)",\
      "userId":"u\(n * 7919 % 100_000)","timestamp":"2026-11-23T09:00:00Z",\
      "context":{"library":{"name":"analytics-python"}},"properties":{"campaign_id":"c\(n % 20)",\
      "content_id":"p\(n % 200)","variant_id":"a","channel":"web"}}
      """
    }
    return Array(#"{"batch":["#.utf8) + Array(events.joined(separator: ",").utf8)
      + Array("]}".utf8)
  }

  private static func postHogBatch(_ number: Int) -> [UInt8] {
    let events = (number * 100..<number * 100 + 100).map { n in
      """
      {"event":"Content Impression","distinct_id":"u\(n * 7919 % 100_000)",\
      "uuid":"6b02f1d0-1a2b-7000-8000-\(String(100_000_000_000 + n))",\
      "timestamp":"2026-11-23T09:00:00Z","properties":{"campaign_id":"c\(n % 20)",\
      "content_id":"p\(n % 200)","variant_id":"a","channel":"web","$lib":"posthog-python",\
      "$lib_version":"7.0.0"}}
      """
    }
    return Array(#"{"api_key":"dev","batch":["#.utf8) + Array(events.joined(separator: ",").utf8)
      + Array("]}".utf8)
  }
}
