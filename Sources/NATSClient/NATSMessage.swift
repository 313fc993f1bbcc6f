import CNats

/// One received message. Owns the library's message: the payload is valid as long as the object
/// lives and is never copied unless the caller does. Reading a header changes the library's
/// message (it parses headers lazily), hence not `Sendable`: one thread at a time.
public final class NATSMessage {
  private let handle: OpaquePointer

  init(owning handle: OpaquePointer) { self.handle = handle }

  deinit { natsMsg_Destroy(handle) }

  /// The subject that it was published on (for a status message: the request's reply subject).
  public var subject: String { String(cString: natsMsg_GetSubject(handle)) }

  /// The reply subject, empty when there is none. JetStream puts sequence and time here.
  public var reply: String {
    guard let text = natsMsg_GetReply(handle) else { return "" }
    return String(cString: text)
  }

  /// Calls `body` with the bytes of the reply subject, without making a string.
  public func withReplyBytes<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
    guard let text = natsMsg_GetReply(handle) else { return body(.init(start: nil, count: 0)) }
    var count = 0
    while text[count] != 0 { count += 1 }
    return text.withMemoryRebound(to: UInt8.self, capacity: count) {
      body(UnsafeBufferPointer(start: $0, count: count))
    }
  }

  /// The payload, a copy that needs nothing else.
  public func copiedPayload() -> [UInt8] { withExtendedLifetime(self) { Array(payload) } }

  /// The payload; valid while this object lives. Hold the object in a variable while using it: a
  /// temporary may be gone before the first byte is read.
  public var payload: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: natsMsg_GetData(handle), count: payloadCount)
  }

  public var payloadCount: Int { Int(natsMsg_GetDataLength(handle)) }

  /// The first value of a header, names compared exactly.
  public func header(_ name: String) -> String? {
    var value: UnsafePointer<CChar>?
    guard natsMsgHeader_Get(handle, name, &value) == NATS_OK, let value else { return nil }
    return String(cString: value)
  }

  /// The status code of a control message: 100 heartbeat, 404, 408, 409, 503; nil for data.
  /// Control messages have no payload.
  public var status: Int? {
    guard payloadCount == 0, let text = header("Status") else { return nil }
    return Int(text)
  }

  /// The explanation beside `status`, for example `Message Size Exceeds MaxBytes`.
  public var statusDescription: String { header("Description") ?? "" }
}
