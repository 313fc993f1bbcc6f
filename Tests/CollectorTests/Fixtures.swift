import Collector
import Events
import HTTPServer
import Testing

/// The mapping of the development site.
let standardMapping = EventMapping(
  names: [
    "Content Impression": .impression, "Content Viewed": .view, "Content Clicked": .click,
    "Content Engaged": .engagement, "Order Completed": .conversion, "Conversion": .conversion,
    "Identity Unlinked": .unlink, "Experiment Viewed": .exposure,
    "$feature_flag_called": .exposure,
  ],
  calls: [
    "page": .view, "screen": .view, "identify": .identify, "group": .custom, "alias": .alias,
  ],
  properties: [
    .campaign: ["campaign_id", "experiment_id", "$feature_flag"], .content: ["content_id"],
    .variant: ["variant_id", "variation_id", "variation_name", "$feature_flag_response"],
    .channel: ["channel"],
  ],
  revenue: ["revenue", "value"], currency: ["currency"], defaultCurrency: "USD")

let testKeys = WriteKeyTable([
  WriteKey(key: "dev", site: "default", mapping: CompiledMapping(standardMapping)),
  WriteKey(key: "wk_demo", site: "shop", source: "web", mapping: CompiledMapping(standardMapping)),
  WriteKey(
    key: "phc_demo", site: "shop", source: "hog", mapping: CompiledMapping(standardMapping)),
  // App ids of the captured requests of Snowplow's tracker.
  WriteKey(
    key: "smartcontent", site: "shop", source: "app", mapping: CompiledMapping(standardMapping)),
  WriteKey(key: "sc", site: "shop", source: "app", mapping: CompiledMapping(standardMapping)),
])

/// 2026-11-23T09:00:00Z.
let testNow: Int64 = 1_795_424_400_000_000

/// What a protocol made of a request, in the parts that tests look at.
struct Reading {
  var events: [IncomingEvent] = []
  var rejected: [Rejection] = []
  /// The whole request's rejection.
  var refused: Rejection?
  var isUnknownKey = false
  var reply = IngestReply()
  var problem: String?
  /// The answer to who follows a link with an unknown key.
  var onward: FastResponse?

  init(_ reading: IngestReading) {
    switch reading {
    case .events(let events, let rejected, _, let reply):
      self.reply = reply
      self.events = events
      self.rejected = rejected
    case .refused(let rejection, _): refused = rejection
    case .unknownKey: isUnknownKey = true
    case .unknownKeyOnLink(let answer):
      isUnknownKey = true
      onward = answer
    case .problem(let code, _): problem = code
    }
  }

  /// True where exactly one thing became of the request.
  var isClear: Bool {
    (refused != nil ? 1 : 0) + (isUnknownKey ? 1 : 0) + (problem != nil ? 1 : 0) <= 1
      && (refused == nil && !isUnknownKey && problem == nil || events.isEmpty && rejected.isEmpty)
  }
}

/// Reads a request as the server would hand it over.
///
/// - Parameters:
///   - address: method and path, such as `POST /v1/batch`; a path alone is that of the first endpoint
///     that has it.
///   - headers: by names in lower case.
///   - fields: further ones, where their order tells.
func read(
  _ address: String, query: String = "", body: [UInt8] = [], authorization: String? = nil,
  headers: [String: String] = [:], fields: [(name: String, value: String)] = [],
  receivedAt: Int64 = testNow, redirects: RedirectPolicy = .none
) throws -> Reading {
  let endpoint = try #require(
    ProtocolCatalog.all.flatMap(\.endpoints).first {
      $0.path == address || "\($0.method.name) \($0.path)" == address
    }, "\(address)")
  var unique = 0
  let reading = Array(query.utf8).withUnsafeBytes { query in
    body.withUnsafeBytes { body in
      endpoint.read(
        IngestInput(
          query: query, body: body,
          header: { name in
            let name = name.lowercased()
            return name == "authorization"
              ? authorization
              : headers[name] ?? fields.first { $0.name.lowercased() == name }?.value
          },
          headerFields: { headers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } + fields },
          keys: testKeys,
          receivedAt: receivedAt,
          uniqueID: {
            unique += 1
            return "unique-\(unique)"
          }, redirects: redirects))
    }
  }
  let parts = Reading(reading)
  #expect(parts.isClear)
  return parts
}

/// `Basic dev:`.
let basicDev = "Basic ZGV2Og=="

func dimensions(_ event: IncomingEvent) throws -> DimensionTuple {
  try #require(event.dimensions.withUnsafeBytes { DimensionTuple(encoded: $0) })
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
