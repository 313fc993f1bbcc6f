import Dataflow
import Logging
import Operators
import Ports
import Synchronization
import Threads

// Bases are made of what is stored, and of the log where that has gaps, on a thread of their own: the
// loop never pauses for one, and a chain that cannot be read is found out before it is needed.
extension SnapshotArchive {
  /// A base to be made: of a chain, and up to the mark of the log, if there is one.
  private struct Work {
    var chain: SnapshotChain
    var mark: PipelineMark?
    var origin: BaseMaker.Origin
  }

  private enum Outcome {
    case made
    /// A file that it was to be made of cannot be used, and is gone: there is another chain now.
    case otherChain
    case failed
  }

  /// Releases between two attempts at a base, mostly a quarter of a second each.
  private static var skipCountMax: Int { 64 }

  /// Starts to make a base where what is stored has a gap, or where increments outweigh their base.
  func compactIfDue() {
    let work = state.withLock { state -> Work? in
      guard !state.isCompacting else { return nil }
      if state.skipCount > 0 {
        state.skipCount -= 1
        if state.skipCount > 0 { return nil }
      }
      let chain = SnapshotChain.best(of: state.files.keys)
      if let mark = state.last?.mark, chain.end < mark.sequence {
        let isHelped = state.needsBase || state.waiting.contains { $0.name.isBase }
        if isHelped || state.isAbandoned { return nil }
        state.isCompacting = true
        return Work(chain: chain, mark: mark, origin: state.origin)
      }
      let base = chain.base.flatMap { state.files[$0] } ?? 0
      let added = chain.increments.reduce(0) { $0 + (state.files[$1] ?? 0) }
      guard
        added > max(base, parameters.snapshotCompactionBytesMin)
          || chain.increments.count > parameters.snapshotChainCountMax
      else { return nil }
      state.isCompacting = true
      return Work(chain: chain, origin: state.origin)
    }
    guard let work else { return }
    let isQueued = compacting.submit { [self] in
      let outcome = compact(work)
      let isFailed = outcome == .failed
      state.withLock { state in
        state.isCompacting = false
        state.failureCount = isFailed ? state.failureCount + 1 : 0
        state.skipCount = isFailed ? min(1 << min(state.failureCount, 6), Self.skipCountMax) : 0
      }
      // What was written or lost meanwhile may need another one.
      if !isFailed { compactIfDue() }
    }
    if !isQueued { state.withLock { $0.isCompacting = false } }
  }

  private func compact(_ work: Work) -> Outcome {
    do throws(SnapshotError) {
      guard let restored = try read(work.chain) else { return .otherChain }
      guard let bytes = try base(of: restored, work) else { return .failed }
      let name = SnapshotName.base(work.mark?.sequence ?? work.chain.end)
      try keep("\(name)", bytes)
      guard try store.read("\(name)") == bytes else {
        try store.remove("\(name)")
        throw .io("\(name) is not read as it was written")
      }
      metrics.snapshotCompacted(bytes: bytes.count)
      let superseded = state.withLock { state in
        state.files[name] = bytes.count
        if case .inherited = state.origin { state.origin = .inherited([]) }
        noteChain(&state)
        return forgetSuperseded(&state)
      }
      for name in superseded { try store.remove("\(name)") }
      return .made
    } catch {
      metrics.snapshotFailed()
      logger.error("snapshots not compacted", metadata: ["error": "\(error)"])
      return .failed
    }
  }

  /// - Returns: nil where none can be made, of which the loop has been told if it can help.
  private func base(of restored: Restored, _ work: Work) throws(SnapshotError) -> [UInt8]? {
    do throws(BaseMaker.Failure) {
      guard let mark = work.mark else { return try maker.base(of: restored) }
      logger.notice(
        "stored snapshots have a gap, which is filled from the log",
        metadata: ["after": "\(work.chain.end)", "up_to": "\(mark.sequence)"])
      return try maker.base(of: restored, origin: work.origin, upTo: mark) {
        state.withLock { !$0.isAbandoned }
      }
    } catch {
      switch error {
      case .interrupted: return nil
      case .failed(let reason): throw .io(reason)
      case .impossible(let reason):
        state.withLock { $0.needsBase = true }
        throw .io("\(reason); the loop writes all of its state instead")
      }
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

  /// Begins to read what a start will most likely need, on a thread of its own, while the stream is being
  /// claimed. Nothing is decided or removed before it is known what is committed.
  func startReadingAhead() {
    let thread = LoopThread(name: "snapshots ahead") { [self] in
      do throws(SnapshotError) {
        let names = try store.names().compactMap(SnapshotName.init)
        var rest = SnapshotChain.best(of: names).names.map { "\($0)" }[...]
        while !rest.isEmpty, !state.withLock({ $0.isAbandoned }) {
          let blobs = try store.read(Array(rest.prefix(Self.readAheadCount)))
          ahead.withLock { $0.merge(blobs) { $1 } }
          rest = rest.dropFirst(Self.readAheadCount)
        }
      } catch {
        // Whoever needs it reads it again, and says why it cannot.
        logger.debug("snapshots cannot be read ahead", metadata: ["error": "\(error)"])
      }
    }
    readerAhead.withLock { $0 = thread }
  }

  /// Snapshots that are read at once; between two such pieces it may end.
  private static var readAheadCount: Int { 128 }

  /// What was read ahead, once all of it is.
  func takeAhead() -> [String: [UInt8]] {
    readerAhead.withLock { thread in
      defer { thread = nil }
      return thread
    }?.join()
    return ahead.withLock { ahead in
      defer { ahead = [:] }
      return ahead
    }
  }

  /// A replay of so many frames takes less than a hot copy that is written anew.
  private static var replayedFrameMax: UInt64 { 2_048 }

  /// - Parameters:
  ///   - committed: the committed sequence; snapshots of later frames are of another past and go.
  ///   - place: where a start is worth more than a somewhat later one; nil for nowhere.
  ///   - firstFrame: the first one that can be replayed.
  /// - Returns: the chain that reaches farthest of what can be read, or only up to the place where that is
  ///   not far behind; an empty one where there is none.
  func restore(
    notAfter committed: UInt64, preferring place: UInt64? = nil, firstFrame: UInt64 = 1
  ) -> Restored {
    let ahead = takeAhead()
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
        var chain = state.withLock { SnapshotChain.best(of: $0.files.keys) }
        if let place {
          let shortened = chain.upTo(place, givingUpAtMost: Self.replayedFrameMax)
          if shortened.end + 1 >= firstFrame { chain = shortened }
        }
        guard let restored = try read(chain, ahead) else { continue }
        let superseded = state.withLock { state in
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
  private func read(
    _ chain: SnapshotChain, _ ahead: [String: [UInt8]] = [:]
  ) throws(SnapshotError) -> Restored? {
    var restored = Restored()
    for name in chain.names {
      let bytes: [UInt8]?
      do throws(SnapshotError) {
        if let known = ahead["\(name)"] { bytes = known } else { bytes = try store.read("\(name)") }
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

  /// The best chain in a store that is not after a sequence, as it is: nothing is removed.
  static func chain(
    in store: any SnapshotStore, notAfter: UInt64
  ) throws(SnapshotError) -> Restored {
    let names = try store.names().compactMap(SnapshotName.init).filter { $0.to <= notAfter }
    var restored = Restored()
    let chain = SnapshotChain.best(of: names).names
    let blobs = try store.read(chain.map { "\($0)" })
    for name in chain {
      guard let bytes = blobs["\(name)"] else { throw .io("\(name) is gone") }
      do throws(SnapshotFormatError) {
        let parts = try check(bytes, count: nil)
        if name.isBase { restored.base = bytes } else { restored.increments += parts }
      } catch {
        throw .io("\(name): \(error)")
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
