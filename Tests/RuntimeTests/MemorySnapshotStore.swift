import Ports
import Synchronization

/// Snapshots in memory on a disk that tears writes.
final class MemorySnapshotStore: SnapshotStore, Sendable {
  struct State {
    var blobs: [String: [UInt8]] = [:]
    var writeCount = 0
    /// The write with this number keeps only some of its bytes, and the power is cut in it.
    var tornWrite: (number: Int, byteCount: Int)?
    /// The disk is full.
    var isFull = false
    /// Every write that was made whole.
    var written: [(name: String, bytes: [UInt8])] = []
  }

  private let state = Mutex(State())
  private let power: PowerSwitch

  init(power: PowerSwitch) { self.power = power }

  var now: State { state.withLock { $0 } }

  func change(_ change: (inout sending State) -> Void) { state.withLock { change(&$0) } }

  func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError) {
    if power.isOff { throw .io("the power is off") }
    if now.isFull { throw .full("write \(name): no space left on device") }
    let isTorn = state.withLock { state in
      state.writeCount += 1
      guard let torn = state.tornWrite, torn.number == state.writeCount else {
        state.blobs[name] = bytes
        state.written.append((name, bytes))
        return false
      }
      state.blobs[name] = Array(bytes.prefix(torn.byteCount % bytes.count))
      return true
    }
    if isTorn {
      power.cut()
      throw .io("the power is off")
    }
  }

  func read(_ name: String) throws(SnapshotError) -> [UInt8]? { now.blobs[name] }

  func remove(_ name: String) throws(SnapshotError) {
    if power.isOff { throw .io("the power is off") }
    state.withLock { $0.blobs[name] = nil }
  }

  func names() throws(SnapshotError) -> [String] { now.blobs.keys.sorted() }
}
