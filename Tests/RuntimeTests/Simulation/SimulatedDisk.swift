import Oracles
import Ports

/// The snapshots of one stream, on a disk that tears, refuses, loses and garbles them.
///
/// `@unchecked Sendable`: a simulation writes from the archive's thread only while it waits for it.
final class SimulatedDisk: SnapshotStore, @unchecked Sendable {
  private(set) var blobs: [String: [UInt8]] = [:]
  var process = SimulatedHost()
  private let faults: Faults

  init(_ faults: Faults) { self.faults = faults }

  func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError) {
    try reach()
    if faults.strikes(.killedBeforeSnapshot, onceIn: 100) { throw died() }
    if faults.strikes(.snapshotRefused, onceIn: 40) { throw .io("no space left on device") }
    if faults.strikes(.killedInSnapshot, onceIn: 40) {
      blobs[name] = Array(bytes.prefix(faults.random.below(max(1, bytes.count))))
      throw died()
    }
    blobs[name] = bytes
    if faults.strikes(.killedAfterSnapshot, onceIn: 100) { throw died() }
  }

  func read(_ name: String) throws(SnapshotError) -> [UInt8]? { blobs[name] }

  func remove(_ name: String) throws(SnapshotError) {
    try reach()
    blobs[name] = nil
  }

  func names() throws(SnapshotError) -> [String] { blobs.keys.sorted() }

  private func reach() throws(SnapshotError) {
    if process.isDead { throw .io("the process is dead") }
  }

  private func died() -> SnapshotError {
    process.die()
    return .io("the process was killed")
  }

  /// Loses a blob, or changes a byte of it.
  func damage(_ random: inout SeededGenerator) {
    guard let name = blobs.keys.sorted().randomElement(using: &random) else { return }
    if random.once(in: 2) || blobs[name, default: []].isEmpty {
      faults.note(.snapshotLost)
      blobs[name] = nil
    } else {
      faults.note(.snapshotCorrupt)
      let place = random.below(blobs[name, default: []].count)
      blobs[name]?[place] ^= UInt8(1 + random.below(255))
    }
  }
}
