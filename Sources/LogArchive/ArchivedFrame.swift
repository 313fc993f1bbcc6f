import Ports

/// A frame read from an archive file. Owns a copy of its bytes.
final class ArchivedFrame: StoredFrame {
  let sequence: UInt64
  let storedAt: Int64
  private let storage: UnsafeMutableRawBufferPointer

  /// - Parameter storage: owned from now on.
  init(sequence: UInt64, storedAt: Int64, storage: UnsafeMutableRawBufferPointer) {
    self.sequence = sequence
    self.storedAt = storedAt
    self.storage = storage
  }

  deinit { storage.deallocate() }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(storage) }
}
