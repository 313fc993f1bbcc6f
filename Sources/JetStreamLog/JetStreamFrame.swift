import NATSClient
import Ports

/// A delivered frame; its bytes are those of the received message, not copied.
final class JetStreamFrame: StoredFrame {
  let sequence: UInt64
  let storedAt: Int64
  private let message: NATSMessage

  init(_ message: NATSMessage, _ delivery: DeliverySubject) {
    sequence = delivery.streamSequence
    storedAt = delivery.storedAt
    self.message = message
  }

  var bytes: UnsafeRawBufferPointer { message.payload }
}
