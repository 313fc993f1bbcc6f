import HTTPClient

/// The experiment of the invented shop: which of two newsletters is read more. Each visitor gets its variant by the public rule,
/// so that a run needs to ask nobody.
struct DemoExperiment: Sendable {
  /// The campaign of the catalog whose variants are compared.
  static let campaign = "weekly-newsletter"
  static let variants = ["a", "b"]
  private static let parts: UInt64 = 1_000_000

  /// Ends the campaigns' names.
  var label: String

  var id: String { label.isEmpty ? "demo-newsletter" : "demo-newsletter-\(label)" }

  /// The lower half of the buckets gets the first variant.
  func variant(of person: String) -> String {
    Self.variants[Self.bucket(of: person, in: id) < Self.parts / 2 ? 0 : 1]
  }

  /// MurmurHash3 (x86, 32 bits, seed 0) of `<experiment>:<person>`, times a million, shifted right by 32.
  static func bucket(of person: String, in experiment: String) -> UInt64 {
    (UInt64(hash(Array("\(experiment):\(person)".utf8))) * parts) >> 32
  }

  static func hash(_ bytes: [UInt8]) -> UInt32 {
    func mixed(_ block: UInt32) -> UInt32 {
      let first = block &* 0xcc9e_2d51
      return (first << 15 | first >> 17) &* 0x1b87_3593
    }
    var hash: UInt32 = 0
    let whole = bytes.count & ~3
    for start in stride(from: 0, to: whole, by: 4) {
      let block = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
      hash ^= mixed(block)
      hash = (hash << 13 | hash >> 19) &* 5 &+ 0xe654_6b64
    }
    var tail: UInt32 = 0
    for index in (whole..<bytes.count).reversed() { tail = tail << 8 | UInt32(bytes[index]) }
    hash ^= mixed(tail)
    hash ^= UInt32(truncatingIfNeeded: bytes.count)
    hash = (hash ^ hash >> 16) &* 0x85eb_ca6b
    hash = (hash ^ hash >> 13) &* 0xc2b2_ae35
    return hash ^ hash >> 16
  }

  /// Declares it and starts it, where it is not there yet.
  func declare(_ options: DemoOptions, client: HTTPClient) throws(DemoError) {
    let body = """
      {"id":"\(id)","campaign":"\(label.isEmpty ? Self.campaign : "\(Self.campaign)-\(label)")",\
      "variants":["a","b"],"control":"a","metric":"click_rate",\
      "guardrails":["conversion_rate","engagement_rate"],"must_not_rise":["goal:Wishlist Opened"],\
      "currency":"EUR","segments":["device","channel","country"],"cohort":"10s",\
      "outcome_window_seconds":60,"planned_persons":5000,"weights":{"a":0.5,"b":0.5}}
      """
    let declared = try send("POST", options.queryURL + "/v1/experiments", body, options, client)
    // It is there from an earlier run.
    if declared.status == 409 { return }
    guard declared.status == 201 else {
      throw .queryRefused(status: declared.status, body: declared.text)
    }
    let started = try send(
      "PATCH", options.queryURL + "/v1/experiments/\(id)", #"{"status":"running"}"#, options, client
    )
    guard started.status == 200 else {
      throw .queryRefused(status: started.status, body: started.text)
    }
  }

  private func send(
    _ method: String, _ url: String, _ body: String, _ options: DemoOptions, _ client: HTTPClient
  ) throws(DemoError) -> HTTPAnswer {
    var headers = [HTTPHeader("Content-Type", "application/json")]
    if let token = options.queryToken {
      headers.append(HTTPHeader("Authorization", "Bearer \(token)"))
    }
    do throws(HTTPClientError) {
      return try client.send(method: method, url, headers: headers, body: Array(body.utf8))
    } catch {
      throw .unreachable(error)
    }
  }
}
