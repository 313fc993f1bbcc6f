import HTTPServer

/// A request is refused by what its write key's policy says.
struct KeyRefusal {
  enum Reason: String {
    /// Its page is not in the list.
    case origin = "origin_not_allowed"
    /// The key has sent more events than it may.
    case rate = "rate_limited"
  }

  let reason: Reason
  let answer: FastResponse
}

/// Holds requests against the policy of their write key: the pages that may send, and the rate.
///
/// A request is asked for twice: before its body is read, where it names the key outside of it, so that
/// a key which sends too much costs next to nothing; and with the number of its events, which are then
/// taken out of the key's ``RateLimit``.
struct KeyGuard: Sendable {
  private let origin: PreparedResponse
  private let rate: PreparedResponse

  init() {
    origin =
      Problem(
        .forbidden, code: KeyRefusal.Reason.origin.rawValue,
        detail: "Pages of this origin may not send events by this write key; add the origin to the"
          + " key's list, or use another key."
      ).prepared
    rate =
      Problem(
        .tooManyRequests, code: KeyRefusal.Reason.rate.rawValue,
        detail: "This write key has sent more events per second than it may; send the same request"
          + " again after the seconds of Retry-After."
      ).prepared
  }

  /// Whether the request must be refused before anything is known of its events.
  ///
  /// - Parameters:
  ///   - origin: of the request's page; nil where it says none.
  ///   - nowMicros: steady time.
  func refusal(_ key: WriteKey, origin: String?, nowMicros: Int64) -> KeyRefusal? {
    if let origin, !key.allows(origin: origin) { return originRefusal }
    return refusal(emptyMicros: key.rateLimit?.emptyMicros(nowMicros: nowMicros) ?? 0)
  }

  /// The same, and takes the events out of the key's limit where the request is not refused.
  ///
  /// - Parameter events: whatever became of them; a request without any counts as one.
  func take(_ events: Int, _ key: WriteKey, origin: String?, nowMicros: Int64) -> KeyRefusal? {
    if let origin, !key.allows(origin: origin) { return originRefusal }
    return refusal(emptyMicros: key.rateLimit?.take(max(1, events), nowMicros: nowMicros) ?? 0)
  }

  /// The page may read why: else it would see a network that fails, and send again.
  private var originRefusal: KeyRefusal {
    KeyRefusal(reason: .origin, answer: FastResponse(origin))
  }

  private func refusal(emptyMicros: Int64) -> KeyRefusal? {
    guard emptyMicros > 0 else { return nil }
    let seconds = "\((emptyMicros + 999_999) / 1_000_000)"
    // Segment's clients know the second, the others the first.
    let headers =
      HeaderText.line("Retry-After", seconds) + HeaderText.line("X-RateLimit-Reset", seconds)
    return KeyRefusal(reason: .rate, answer: FastResponse(rate, extraHeaders: headers))
  }
}
