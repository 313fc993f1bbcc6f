import Events
import HTTPServer

/// A script as browsers and caches between ask for it: compressed where they can read that, and not sent
/// again to who has it. All of its answers are laid out once.
struct ScriptFile: Sendable {
  /// A page keeps it for an hour without asking, so that a new version arrives within one.
  static let maxAgeSeconds = 3600

  /// Weak (RFC 9110 section 8.8.1): the same for both encodings.
  let entityTag: String
  private let plain: PreparedResponse
  private let compressed: PreparedResponse
  private let notModified: PreparedResponse

  init(_ script: [UInt8]) {
    var hash = SipHash128()
    script.withUnsafeBytes { hash.update($0) }
    let entityTag = "W/\"\(hash.finalize())\""
    let always = [
      (name: "Cache-Control", value: "public, max-age=\(Self.maxAgeSeconds)"),
      (name: "ETag", value: entityTag), (name: "Vary", value: "Accept-Encoding"),
      // Not mirrored: one copy in a cache serves the pages of every origin.
      (name: "Access-Control-Allow-Origin", value: "*"), (name: "Timing-Allow-Origin", value: "*"),
      (name: "Cross-Origin-Resource-Policy", value: "cross-origin"),
    ]
    let content = [
      (name: "Content-Type", value: "text/javascript; charset=utf-8"),
      (name: "X-Content-Type-Options", value: "nosniff"),
    ]
    self.entityTag = entityTag
    plain = PreparedResponse(status: .ok, headers: always + content, body: script)
    compressed = PreparedResponse(
      status: .ok, headers: always + content + [(name: "Content-Encoding", value: "gzip")],
      body: gzip(script))
    notModified = PreparedResponse(status: .notModified, headers: always)
  }

  func answer(to request: FastRequest) -> FastResponse {
    if let known = request.header("if-none-match"), isKnown(known) {
      return FastResponse(notModified)
    }
    let accepted = request.header("accept-encoding") ?? ""
    return FastResponse(Self.readsGzip(accepted) ? compressed : plain)
  }

  /// Whether the tags of an If-None-Match name this script, by the weak comparison (RFC 9110 section 13.1.2).
  func isKnown(_ tags: String) -> Bool {
    let opaque = entityTag.dropFirst(2)
    return tags.split(separator: ",").contains { tag in
      let tag = tag.trimmingSpaces
      return tag == "*" || tag == opaque || tag == entityTag
    }
  }

  /// Whether an Accept-Encoding allows gzip (RFC 9110 section 12.5.3).
  static func readsGzip(_ encodings: String) -> Bool {
    for encoding in encodings.split(separator: ",") {
      let parts = encoding.split(separator: ";").map(\.trimmingSpaces)
      guard let name = parts.first?.lowercased(), name == "gzip" || name == "*" else { continue }
      let weight = parts.dropFirst().first { $0.lowercased().hasPrefix("q=") }?.dropFirst(2)
      // A weight of zero, with any number of zeros behind the point, refuses it.
      return weight.map { $0.contains { ("1"..."9").contains($0) } } ?? true
    }
    return false
  }
}

extension Substring {
  fileprivate var trimmingSpaces: Substring {
    var text = drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
