import Dataflow
import Logging
import Operators
import Ports
import Synchronization

// Bases are made from what is stored, on a thread of their own: the loop never pauses for one, and a
// chain that cannot be read is found out before it is needed.
extension SnapshotArchive {
  /// Starts a compaction where increments outweigh their base.
  func compactIfDue() {
    let chain = state.withLock { state -> SnapshotChain? in
      guard !state.isCompacting else { return nil }
      let chain = SnapshotChain.best(of: state.files.keys)
      let base = chain.base.flatMap { state.files[$0] } ?? 0
      let added = chain.increments.reduce(0) { $0 + (state.files[$1] ?? 0) }
      guard
        added > max(base, parameters.snapshotCompactionBytesMin)
          || chain.increments.count > parameters.snapshotChainCountMax
      else { return nil }
      state.isCompacting = true
      return chain
    }
    guard let chain else { return }
    let isQueued = compacting.submit { [self] in
      compact(chain)
      state.withLock { $0.isCompacting = false }
    }
    if !isQueued { state.withLock { $0.isCompacting = false } }
  }

  private func compact(_ chain: SnapshotChain) {
    do throws(SnapshotError) {
      guard let restored = try read(chain) else { return }
      let base: [UInt8]?
      do throws(PipelineError) {
        base = try compactor(restored)
      } catch {
        throw .io("\(error)")
      }
      guard let base else { throw .io("the chain cannot be restored") }
      let name = SnapshotName.base(chain.end)
      try store.write("\(name)", base)
      guard try store.read("\(name)") == base else {
        try store.remove("\(name)")
        throw .io("\(name) is not read as it was written")
      }
      metrics.snapshotCompacted(bytes: base.count)
      let superseded = state.withLock { state in
        state.files[name] = base.count
        noteChain(&state)
        return forgetSuperseded(&state)
      }
      for name in superseded { try store.remove("\(name)") }
    } catch {
      metrics.snapshotFailed()
      logger.error("snapshots not compacted", metadata: ["error": "\(error)"])
    }
  }

  private func forgetSuperseded(_ state: inout State) -> [SnapshotName] {
    let superseded = Self.superseded(Array(state.files.keys))
    for name in superseded { state.files[name] = nil }
    return superseded
  }

  /// What nobody will start from: everything before the second newest base.
  static func superseded(_ names: [SnapshotName]) -> [SnapshotName] {
    guard let kept = names.filter(\.isBase).sorted().dropLast().last else { return [] }
    return names.filter { $0.isBase ? $0.to < kept.to : $0.to <= kept.to }.sorted()
  }

  // MARK: Reading

  /// - Parameter committed: the committed sequence; snapshots of later frames are of another past and
  ///   go.
  /// - Returns: the chain that reaches farthest of what can be read; an empty one where there is none.
  func restore(notAfter committed: UInt64) -> Restored {
    do throws(SnapshotError) {
      var names: Set<SnapshotName> = []
      for name in try store.names().compactMap(SnapshotName.init) {
        if name.to <= committed {
          names.insert(name)
        } else {
          logger.warning(
            "snapshot is newer than the committed position: removed",
            metadata: ["name": "\(name)", "committed": "\(committed)"])
          metrics.snapshotRejected()
          try store.remove("\(name)")
        }
      }
      state.withLock { state in
        for name in names { state.files[name] = 0 }
      }
      while true {
        let chain = state.withLock { SnapshotChain.best(of: $0.files.keys) }
        guard let restored = try read(chain) else { continue }
        let superseded = state.withLock { state in
          state.progress.sequence = chain.end
          noteChain(&state)
          return forgetSuperseded(&state)
        }
        for name in superseded { try store.remove("\(name)") }
        return restored
      }
    } catch {
      metrics.snapshotRejected()
      logger.error(
        "snapshots cannot be read: state is replayed from the log",
        metadata: ["error": "\(error)"])
      return Restored()
    }
  }

  /// - Returns: nil where a file is torn, corrupt or missing, which has then been removed.
  private func read(_ chain: SnapshotChain) throws(SnapshotError) -> Restored? {
    var restored = Restored()
    for name in chain.names {
      let bytes: [UInt8]?
      do throws(SnapshotError) {
        bytes = try store.read("\(name)")
      } catch {
        metrics.snapshotRejected()
        logger.error(
          "snapshot cannot be read: what is left without it is used",
          metadata: ["name": "\(name)", "error": "\(error)"])
        state.withLock { state in
          state.files[name] = nil
          noteChain(&state)
        }
        return nil
      }
      do throws(SnapshotFormatError) {
        guard let bytes else { throw .tooShort(needed: 1, available: 0) }
        if name.isBase {
          try Self.check(bytes, count: 1)
          restored.base = bytes
        } else {
          restored.increments += try Self.check(bytes, count: nil)
        }
        state.withLock { $0.files[name] = bytes.count }
      } catch {
        metrics.snapshotRejected()
        logger.error(
          "snapshot is torn or corrupt: what is left without it is used",
          metadata: ["name": "\(name)", "error": "\(error)"])
        state.withLock { state in
          state.files[name] = nil
          noteChain(&state)
        }
        try store.remove("\(name)")
        return nil
      }
    }
    return restored
  }

  /// The snapshots that a file holds, each with right checksums.
  @discardableResult
  static func check(_ bytes: [UInt8], count: Int?) throws(SnapshotFormatError) -> [[UInt8]] {
    var parts: [[UInt8]] = []
    var rest = bytes[...]
    repeat {
      let length = try SnapshotFormat.check(rest).byteCount
      parts.append(length == bytes.count ? bytes : Array(rest.prefix(length)))
      rest = rest.dropFirst(length)
    } while !rest.isEmpty
    if let count, parts.count != count {
      throw .wrongLength(stated: UInt64(parts[0].count), actual: bytes.count)
    }
    return parts
  }
}
