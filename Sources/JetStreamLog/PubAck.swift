import NATSClient

/// The server's answer to one published frame.
enum PubAck: Hashable, Sendable {
  case stored(sequence: UInt64, duplicate: Bool)
  /// May work later without anyone's doing: send again.
  case retriable(String)
  /// A limit of stream, account or disk.
  case full(String)
  /// The stream is sealed: see ``StreamAdmin/sealedMessageSize``.
  case sealed(String)
  /// Will never work.
  case refused(String)

  init(_ message: NATSMessage) {
    if let status = message.status {
      self = .retriable(
        status == 503
          ? "no stream has this subject, or JetStream is starting" : "status \(status)")
      return
    }
    self.init(JSONSlice(message.copiedPayload()))
  }

  init(_ answer: JSONSlice) {
    if let error = APIError(answer) {
      self = Self.classified(error)
    } else if let sequence = answer["seq"]?.unsigned, sequence > 0 {
      self = .stored(sequence: sequence, duplicate: answer["duplicate"]?.bool ?? false)
    } else {
      self = .retriable("an answer that is no JetStream acknowledgement")
    }
  }

  private static func classified(_ error: APIError) -> PubAck {
    switch error.number {
    // "stream store failed" carries the cause as text: "maximum bytes exceeded", or a disk error.
    case 10_077:
      return error.text.hasPrefix("maximum ") ? .full("\(error)") : .retriable("\(error)")
    // Account, memory, storage and system resources exceeded.
    case 10_002, 10_023, 10_028, 10_047: return .full("\(error)")
    case APIError.messageTooLarge: return .sealed("\(error)")
    default:
      return error.code >= 500 || error.code == 429 ? .retriable("\(error)") : .refused("\(error)")
    }
  }
}
