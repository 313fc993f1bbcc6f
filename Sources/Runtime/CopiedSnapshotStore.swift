import Logging
import Operators
import Ports
import Synchronization

/// Snapshots in a store of this machine, copied to one that all machines reach.
///
/// Writing is done when the near store has the blob; the far one follows on a thread of its own, by
/// being made equal: what it lacks is copied, what the near one has removed is removed. So nothing
/// queues up while the far store is away, and the next copy makes up for it. Reading takes what is near
/// and whole, else what is far, which then is soon near too: a machine with an empty folder starts from
/// the copies, and does not wait for its own disk.
final class CopiedSnapshotStore: SnapshotStore {
  private struct State {
    var isCopying = false
    /// Something changed since the present copy began.
    var isDue = false
    /// Names of what was read far away and is not near yet: that the near store lacks them says nothing.
    var unsaved: Set<String> = []
    /// Of these, the one that is being written near, and whether it has been removed since that began.
    var saving: String?
    var isSavingInVain = false
  }

  private let state = Mutex(State())
  private let near: any SnapshotStore
  private let far: any SnapshotStore
  private let worker: SerialWorker
  private let metrics: LoopMetrics
  private let logger: Logger

  init(
    near: any SnapshotStore, far: any SnapshotStore, worker: SerialWorker, metrics: LoopMetrics,
    logger: Logger
  ) {
    self.near = near
    self.far = far
    self.worker = worker
    self.metrics = metrics
    self.logger = logger
  }

  func names() throws(SnapshotError) -> [String] {
    let names = try near.names()
    do throws(SnapshotError) {
      return Set(names).union(try far.names()).sorted()
    } catch {
      failed("copies cannot be listed", error)
      return names
    }
  }

  func read(_ name: String) throws(SnapshotError) -> [UInt8]? { try read([name])[name] }

  func read(_ names: [String]) throws(SnapshotError) -> [String: [UInt8]] {
    var blobs: [String: [UInt8]] = [:]
    var missing: [String] = []
    for name in names {
      // What is corrupt here and there is given as it is here, to be refused and removed by name.
      blobs[name] = try near.read(name)
      if !(blobs[name].map(Self.isWhole) ?? false) { missing.append(name) }
    }
    if missing.isEmpty { return blobs }
    for (name, copy) in try far.read(missing) where Self.isWhole(copy) {
      blobs[name] = copy
      state.withLock { _ = $0.unsaved.insert(name) }
      if !worker.submit({ [self] in save(name, copy) }) {
        logger.debug("a copy of a snapshot stays where it is", metadata: ["name": "\(name)"])
      }
    }
    return blobs
  }

  /// Until it has worked, the copy stays the only one.
  private func save(_ name: String, _ copy: [UInt8]) {
    let isWanted = state.withLock { state in
      guard state.unsaved.contains(name) else { return false }
      state.saving = name
      state.isSavingInVain = false
      return true
    }
    guard isWanted else { return }
    do throws(SnapshotError) {
      try near.write(name, copy)
      if endSaving(name, isNear: true) { try near.remove(name) }
    } catch {
      _ = endSaving(name, isNear: false)
      failed("a copy of a snapshot cannot be written here", error)
    }
  }

  /// - Returns: whether it has been removed while it was written.
  private func endSaving(_ name: String, isNear: Bool) -> Bool {
    state.withLock { state in
      if isNear { state.unsaved.remove(name) }
      state.saving = nil
      return state.isSavingInVain
    }
  }

  private static func isWhole(_ bytes: [UInt8]) -> Bool {
    do throws(SnapshotFormatError) {
      try SnapshotArchive.check(bytes, count: nil)
      return true
    } catch {
      return false
    }
  }

  func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError) {
    try near.write(name, bytes)
    state.withLock { _ = $0.unsaved.remove(name) }
    copySoon()
  }

  func remove(_ name: String) throws(SnapshotError) {
    state.withLock { state in
      state.unsaved.remove(name)
      if state.saving == name { state.isSavingInVain = true }
    }
    try near.remove(name)
    copySoon()
  }

  // MARK: Copying

  private func copySoon() {
    let isDue = state.withLock { state in
      state.isDue = true
      defer { state.isCopying = true }
      return !state.isCopying
    }
    guard isDue else { return }
    if !worker.submit({ [self] in copy() }) { state.withLock { $0.isCopying = false } }
  }

  private func copy() {
    while state.withLock({ state in
      defer { state.isDue = false }
      state.isCopying = state.isDue
      return state.isDue
    }) {
      do throws(SnapshotError) {
        try makeEqual()
      } catch {
        failed("snapshots not copied", error)
        // The next change tries again.
        return state.withLock { state in
          state.isCopying = false
          state.isDue = false
        }
      }
    }
  }

  private func makeEqual() throws(SnapshotError) {
    let there = Set(try far.names())
    let here = Set(try near.names())
    for name in here.subtracting(there).sorted() {
      // One that has been removed since is not missed.
      guard let bytes = try near.read(name) else { continue }
      try far.write(name, bytes)
      metrics.snapshotCopied(bytes: bytes.count)
    }
    let unsaved = state.withLock { $0.unsaved }
    for name in there.subtracting(try near.names()).subtracting(unsaved).sorted() {
      try far.remove(name)
    }
  }

  private func failed(_ what: String, _ error: SnapshotError) {
    metrics.snapshotCopyFailed()
    logger.warning("\(what)", metadata: ["error": "\(error)"])
  }
}
