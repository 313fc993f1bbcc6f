import Collector
import Events
import Testing

/// What the way from a request's bytes to a sealed frame allocates.
@Suite("Allocations of ingest", .serialized)
struct CollectorAllocationTests {
  private static let keys = WriteKeyTable([
    WriteKey(
      key: "dev", site: "default",
      mapping: CompiledMapping(
        EventMapping(
          names: ["Content Viewed": .view], calls: [:],
          properties: [.campaign: ["campaign_id"], .content: ["content_id"]], revenue: ["revenue"],
          currency: ["currency"], defaultCurrency: "USD")))
  ])

  /// 500 requests of 20 events.
  private static func requests(_ round: Int) -> [[UInt8]] {
    (0..<500).map { request in
      let events = (0..<20).map { index in
        #"{"type":"track","event":"Content Viewed","anonymousId":"person-\#(index * 7 % 90)","#
          + #""messageId":"m-\#(round)-\#(request)-\#(index)","timestamp":"2026-11-01T12:00:00Z","#
          + #""properties":{"campaign_id":"c\#(index % 3)","content_id":"content-\#(index)"}}"#
      }
      return Array(#"{"batch":[\#(events.joined(separator: ","))]}"#.utf8)
    }
  }

  private static func collect(
    _ requests: [[UInt8]], _ endpoint: IngestEndpoint, _ encoder: inout FrameEncoder
  ) -> Int {
    var count = 0
    for request in requests {
      let reading = request.withUnsafeBytes { body in
        endpoint.read(
          IngestInput(
            query: UnsafeRawBufferPointer(start: nil, count: 0), body: body,
            header: { $0 == "authorization" ? "Basic ZGV2Og==" : nil }, keys: keys,
            receivedAt: 1_793_534_400_500_000, uniqueID: { "unique" }))
      }
      guard case .events(let events, _, _) = reading else { continue }
      for event in events { encoder.append(event) }
      if encoder.count >= 500 {
        count += encoder.count
        _ = encoder.seal(
          FrameHeader(
            kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 1), epoch: 0,
            producerSequence: 1))
      }
    }
    return count
  }

  @Test("an event on its way from a request to a frame is allocated a bounded number of times")
  func collector() throws {
    let endpoint = try #require(
      ProtocolCatalog.all.flatMap(\.endpoints).first { $0.path == "/v1/batch" })
    var encoder = FrameEncoder()
    #expect(Self.collect(Self.requests(0), endpoint, &encoder) == 10_000)
    let requests = Self.requests(1)
    var count = 0
    try AllocationTests.check("collector") {
      count = Self.collect(requests, endpoint, &encoder)
    }
    #expect(count == 10_000)
  }
}
