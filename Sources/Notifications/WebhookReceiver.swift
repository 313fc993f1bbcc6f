import HTTPClient
import Ports

/// Tells incidents by HTTP, in the manner of the Standard Webhooks specification.
///
///     POST /hook                                   {"type":"incident.opened",
///     webhook-id: inc_00c0ffee00c0ffee_3            "timestamp":"2026-11-30T10:15:00.000Z",
///     webhook-timestamp: 1796033700                 "data":{"id":"00c0ffee00c0ffee",…}}
///     webhook-signature: v1,…
///
/// Id and body are the same each time that a message is sent; a receiver that has seen the id may forget the
/// copy. 2xx is success; 410 ends the webhook; redirects are not followed and count as refusals, as all other
/// statuses do but 408, 425, 429 and 5xx: after those it is taken for away. No answer is read beyond its first
/// ``answerBytesMax`` bytes. Texts of errors leave the address out: some hold a secret.
final class WebhookReceiver: IncidentReceiver {
  static let answerBytesMax = 16 * 1024

  private let target: WebhookTarget
  private let clock: @Sendable () -> Int64
  private var client: HTTPClient?

  /// - Parameter clock: microseconds since the epoch.
  init(_ target: WebhookTarget, clock: @escaping @Sendable () -> Int64) {
    self.target = target
    self.clock = clock
  }

  func tell(_ notice: IncidentNotice) -> ReceiverAnswer {
    do throws(HTTPClientError) {
      let client = try connected()
      let body = notice.message
      let timestamp = clock() / 1_000_000
      return Self.answer(
        to: try client.post(
          target.url,
          headers: [
            HTTPHeader("Content-Type", "application/json"),
            HTTPHeader("User-Agent", "SmartContent"),
            HTTPHeader("webhook-id", notice.messageID),
            HTTPHeader("webhook-timestamp", "\(timestamp)"),
            HTTPHeader(
              "webhook-signature",
              target.signer.signature(id: notice.messageID, timestamp: timestamp, body: body)),
          ], body: body))
    } catch {
      return Self.answer(to: error)
    }
  }

  private func connected() throws(HTTPClientError) -> HTTPClient {
    if let client { return client }
    let made = try HTTPClient(
      HTTPClientSettings(
        connectTimeoutMs: min(5_000, target.timeoutMs), timeoutMs: target.timeoutMs,
        responseByteCountMax: Self.answerBytesMax,
        refusesPrivateAddresses: !target.allowsPrivate))
    client = made
    return made
  }

  static func answer(to answer: HTTPAnswer) -> ReceiverAnswer {
    switch answer.status {
    case 200..<300: .accepted(sequence: 0)
    case 410: .gone
    case 408, 425, 429, 500...:
      .away(
        "it answered \(answer.status)",
        retryAfterMs: answer.header("Retry-After").flatMap { Int64($0) }
          .map { max(0, min($0, 86_400)) * 1_000 })
    default: .refused("it answered \(answer.status)")
    }
  }

  static func answer(to error: HTTPClientError) -> ReceiverAnswer {
    switch error {
    // It has answered with success or not; what matters is that nobody knows.
    case .responseTooLarge: .away("its answer is too long", retryAfterMs: nil)
    case .invalidURL: .away("its address is none", retryAfterMs: nil)
    case .invalidHeader(let name): .refused("the header \(name) cannot be sent")
    case .cannotResolve: .away("its host's name has no address", retryAfterMs: nil)
    case .cannotConnect: .away("nothing accepts connections there", retryAfterMs: nil)
    case .privateAddress:
      .away(
        "its address is a private one: set allow_private in Streams/notifications.yaml if it may be",
        retryAfterMs: nil)
    case .timedOut(_, let milliseconds):
      .away("no answer within \(milliseconds) ms", retryAfterMs: nil)
    case .connectionLost: .away("the connection was lost", retryAfterMs: nil)
    case .tlsFailed(_, let reason): .away("no secure connection: \(reason)", retryAfterMs: nil)
    case .failed(_, let code, let reason):
      .away("\(reason) (libcurl code \(code))", retryAfterMs: nil)
    case .unavailable(let reason): .away("libcurl can't be used: \(reason)", retryAfterMs: nil)
    }
  }
}
