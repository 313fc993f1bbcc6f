import Events
public import Ports

/// One message of a stream, fetched by its sequence. Owns a copy of the payload.
public final class StoredMessage: StoredFrame, @unchecked Sendable {
  // @unchecked: the bytes never change after init.
  public let sequence: UInt64
  public let storedAt: Int64
  public let subject: String
  private let storage: UnsafeMutableRawBufferPointer

  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(storage) }

  /// From the `message` object of `$JS.API.STREAM.MSG.GET`.
  convenience init?(_ message: JSONSlice) {
    guard let sequence = message["seq"]?.unsigned, let subject = message["subject"]?.string,
      let time = message["time"]?.string.flatMap({ Timestamp.parse($0) })
    else { return nil }
    guard let data = message["data"] else {
      self.init(sequence: sequence, storedAt: time, subject: subject, bytes: [])
      return
    }
    guard let text = data.string, let bytes = Base64.decode(text.utf8) else { return nil }
    self.init(sequence: sequence, storedAt: time, subject: subject, bytes: bytes)
  }

  private init(sequence: UInt64, storedAt: Int64, subject: String, bytes: [UInt8]) {
    self.sequence = sequence
    self.storedAt = storedAt
    self.subject = subject
    storage = .allocate(byteCount: bytes.count, alignment: 8)
    storage.copyBytes(from: bytes)
  }

  deinit { storage.deallocate() }
}
