import Events
import HTTPServer

/// `POST /v1/validate?path=/v1/batch`: what would become of a request, without storing it.
///
/// It takes what the endpoint of that path takes: body, headers, and the rest of the query. An endpoint of
/// GET has its query there, or in `path` itself. The write key is needed, and its limits count.
extension IngestRoutes {
  static let validationPath = "/v1/validate"
  /// The path where it is not in the query.
  private static let pathHeader = "smartcontent-path"

  func addValidation(to routes: inout Routes) {
    let options = RouteOptions(
      maxBodyBytes: ProtocolCatalog.all.map(\.bodyBytesMax).max() ?? 0, bodyTooLarge: .badRequest,
      crossOrigin: .mirrored)
    routes.fast(.post, Self.validationPath, options: options) { request, _ in
      do throws(Problem) {
        return try self.validate(request)
      } catch {
        return FastResponse(error)
      }
    }
  }

  private func validate(_ request: FastRequest) throws(Problem) -> FastResponse {
    let (path, query) = Self.target(request)
    let (ingest, endpoint) = try self.endpoint(path, hasBody: request.bodyByteCount > 0)
    if let encoding = Self.unknownEncoding(request) {
      throw Problem(
        .badRequest, code: "unsupported_encoding",
        detail: "Content-Encoding \(encoding) is not known here; send gzip, deflate or plain.")
    }
    guard request.bodyByteCount <= ingest.bodyBytesMax else {
      throw Problem(
        .badRequest, code: ServerRefusal.bodyTooLarge.rawValue,
        detail: "The body may have \(ingest.bodyBytesMax) bytes; send it in smaller parts.")
    }
    let keys = self.keys()
    let receivedAt = clock.nowMicros()
    let reading: IngestReading
    do throws(InflateError) {
      reading = try query.span.bytes.withUnsafeBytes { query throws(InflateError) in
        try read(request, query, endpoint, ingest, keys, receivedAt) { reading, _ in reading }
      }
    } catch {
      throw Problem(.badRequest, code: "bad_compression", detail: error.description)
    }
    var report = ValidationReport(ingest, endpoint)
    switch reading {
    case .unknownKey, .unknownKeyOnLink: return Self.unknownKey(ingest)
    case .problem(let code, let detail):
      throw Problem(.badRequest, code: code, detail: detail)
    case .refused(let rejection, let key):
      if let refusal = limit(1, key, request, endpoint) { return refusal }
      report.key = key.id
      report.status = .badRequest
      report.add(rejection)
    case .events(let events, let rejections, let key, let reply):
      if let refusal = limit(events.count + rejections.count, key, request, endpoint) {
        return refusal
      }
      report.key = key.id
      let passed = passGates(events, rejections, request, endpoint, ingest, key)
      report.add(events, passed)
      report.status =
        Self.refusal(accepted: passed.events.count, passed.rejections, endpoint, reply)?.status
        ?? (reply.stored ?? ingest.answer)(
          StoredAnswer(
            position: nil, positionHeader: [], rejected: passed.rejections.map(\.named))
        ).status
    }
    return FastResponse(ValidationReport.answer, body: report.json)
  }

  private func limit(
    _ events: Int, _ key: WriteKey, _ request: FastRequest, _ endpoint: IngestEndpoint
  ) -> FastResponse? {
    keyGuard.take(
      events, key, origin: origin(request, endpoint), nowMicros: clock.steadyMicros())?.answer
  }

  /// The path that is meant, and the query that goes with it.
  private static func target(_ request: FastRequest) -> (path: String, query: [UInt8]) {
    let whole = request.withQuery { $0.withUnsafeBytes { Array($0) } }
    let path =
      whole.withUnsafeBytes { QueryField.text("path", in: $0) }
      ?? request.header(pathHeader) ?? ""
    let others = whole.split(separator: UInt8(ascii: "&")).filter {
      !$0.starts(with: Array("path=".utf8))
    }
    let parts = path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var queries = others.map { Array($0) }
    if parts.count == 2 { queries.insert(Array(parts[1].utf8), at: 0) }
    return (String(parts.first ?? ""), Array(queries.joined(separator: [UInt8(ascii: "&")])))
  }

  private func endpoint(
    _ path: String, hasBody: Bool
  ) throws(Problem) -> (IngestProtocol, IngestEndpoint) {
    let all = protocols.flatMap { ingest in ingest.endpoints.map { (ingest, $0) } }
    let found = all.filter { $0.1.path == path }
    if let match = found.first(where: { ($0.1.method == .post) == hasBody }) ?? found.first {
      return match
    }
    var paths: [String] = []
    for (_, endpoint) in all where !paths.contains(endpoint.path) { paths.append(endpoint.path) }
    var json = JSONWriter()
    json.beginArray()
    for path in paths { json.string(path) }
    json.endArray()
    throw Problem(
      .badRequest, code: "unknown_path",
      detail: "path, in the query or as SmartContent-Path, is that of an ingest endpoint.",
      members: [(name: "allowed", json: String(decoding: json.bytes, as: UTF8.self))])
  }
}
