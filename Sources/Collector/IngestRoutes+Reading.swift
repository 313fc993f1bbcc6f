import Events
import HTTPServer

/// From the bytes of a request to what its protocol reads.
extension IngestRoutes {
  /// - Parameters:
  ///   - takesRows: see ``IngestInput/takesRows``.
  ///   - then: gets what was read while the body, which is handed over too, is there.
  func read<R>(
    _ request: FastRequest, _ endpoint: IngestEndpoint, _ ingest: IngestProtocol,
    _ keys: WriteKeyTable, _ receivedAt: Int64, takesRows: Bool,
    then: (IngestReading, UnsafeRawBufferPointer) -> R
  ) throws(InflateError) -> R {
    try request.withQuery { query throws(InflateError) in
      try query.withUnsafeBytes { query throws(InflateError) in
        try read(
          request, query, endpoint, ingest, keys, receivedAt, takesRows: takesRows, then: then)
      }
    }
  }

  /// - Parameter query: in the place of the request's own.
  func read<R>(
    _ request: FastRequest, _ query: UnsafeRawBufferPointer, _ endpoint: IngestEndpoint,
    _ ingest: IngestProtocol, _ keys: WriteKeyTable, _ receivedAt: Int64, takesRows: Bool = false,
    then: (IngestReading, UnsafeRawBufferPointer) -> R
  ) throws(InflateError) -> R {
    let isCompressed = Self.isCompressed(request)
    return try request.withBody { body throws(InflateError) in
      try body.withUnsafeBytes { body throws(InflateError) in
        let inflated = try isCompressed ? inflate(body, maxBytes: ingest.bodyBytesMax) : []
        return inflated.withUnsafeBytes { inflated in
          var input = self.input(query, isCompressed ? inflated : body, request, keys, receivedAt)
          input.takesRows = takesRows
          if takesRows { input.keptTemplates = keptTemplates }
          input.isSecure = request.isSecure
          return then(endpoint.read(input), input.body)
        }
      }
    }
  }

  func input(
    _ query: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer, _ request: FastRequest,
    _ keys: WriteKeyTable, _ receivedAt: Int64
  ) -> IngestInput {
    IngestInput(
      query: query, body: body, header: { request.header($0) },
      headerFields: { request.headerFields }, keys: keys, receivedAt: receivedAt,
      uniqueID: { self.uniqueID() }, redirects: redirects)
  }

  /// The encoding of the body where it is none that can be read, at most 20 characters of it.
  static func unknownEncoding(_ request: FastRequest) -> String? {
    guard request.bodyByteCount > 0,
      let encoding = request.header("content-encoding")?.lowercased(),
      !["gzip", "x-gzip", "deflate", "identity", ""].contains(encoding)
    else { return nil }
    return String(encoding.filter { $0.isASCII && ($0.isLetter || $0 == "-") }.prefix(20))
  }

  /// The field says so, or the body begins with gzip's magic number: some browsers' SDKs cannot
  /// set the field.
  private static func isCompressed(_ request: FastRequest) -> Bool {
    guard request.bodyByteCount > 0 else { return false }
    if let encoding = request.header("content-encoding") {
      // RFC 9110 section 8.4.1.3: `x-gzip` is the same.
      return ["gzip", "x-gzip", "deflate"].contains(encoding.lowercased())
    }
    return request.withBody { body in
      body.byteCount > 2 && body.unsafeLoad(as: UInt8.self) == 0x1f
        && body.unsafeLoad(fromByteOffset: 1, as: UInt8.self) == 0x8b
    }
  }
}
