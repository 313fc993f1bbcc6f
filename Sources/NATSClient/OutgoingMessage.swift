import CNats

/// A message ready to be sent, as often as needed: resending copies nothing. Not tied to a session.
/// Not `Sendable`: it belongs to the thread that publishes.
public final class OutgoingMessage {
  let handle: OpaquePointer
  public let payloadCount: Int

  /// Another message with the same payload.
  public func copy(
    subject: String, reply: String = "", headers: [(name: String, value: String)] = []
  ) throws(NATSError) -> OutgoingMessage {
    defer { extendLifetime(self) }
    return try OutgoingMessage(
      subject: subject, reply: reply, headers: headers,
      payload: UnsafeRawBufferPointer(start: natsMsg_GetData(handle), count: payloadCount))
  }

  /// Copies the payload. `reply` empty means none. Header values must not hold CR or LF.
  public init(
    subject: String, reply: String = "", headers: [(name: String, value: String)] = [],
    payload: UnsafeRawBufferPointer
  ) throws(NATSError) {
    handle = try Self.create(subject, reply, payload).get()
    payloadCount = payload.count
    for (name, value) in headers { try setHeader(name, value) }
  }

  public init(
    subject: String, reply: String = "", headers: [(name: String, value: String)] = [],
    payload: [UInt8]
  ) throws(NATSError) {
    handle = try payload.withUnsafeBytes { Self.create(subject, reply, $0) }.get()
    payloadCount = payload.count
    for (name, value) in headers { try setHeader(name, value) }
  }

  deinit { natsMsg_Destroy(handle) }

  private static func create(
    _ subject: String, _ reply: String, _ payload: UnsafeRawBufferPointer
  ) -> Result<OpaquePointer, NATSError> {
    guard let count = Int32(exactly: payload.count) else {
      return .failure(.payloadTooLarge(bytes: payload.count, allowed: Int(Int32.max)))
    }
    var created: OpaquePointer?
    let status = natsMsg_Create(
      &created, subject, reply.isEmpty ? nil : reply,
      payload.baseAddress?.assumingMemoryBound(to: CChar.self), count)
    guard status == NATS_OK, let created else {
      return .failure(.failed(operation: "message for \(subject)", reason: statusText(status)))
    }
    return .success(created)
  }

  private func setHeader(_ name: String, _ value: String) throws(NATSError) {
    let status = natsMsgHeader_Set(handle, name, value)
    guard status == NATS_OK else {
      throw .failed(operation: "header \(name)", reason: statusText(status))
    }
  }
}

func statusText(_ status: natsStatus) -> String {
  guard let text = natsStatus_GetText(status) else { return "status \(status.rawValue)" }
  return String(cString: text)
}
