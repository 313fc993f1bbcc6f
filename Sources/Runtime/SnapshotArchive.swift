import Dataflow
import Logging
import Ports
import Synchronization

/// Keeps the snapshots of one stream of a pipeline: writes them off the hot path, removes those
/// that are superseded, and finds the newest whole set again.
///
/// Writing happens on a thread of its own with a queue of one: while a snapshot is being written
/// the loop makes no other, so a slow disk costs replay time and nothing else.
final class SnapshotArchive: Sendable {
  /// What a partition can start from: the newest head and, per group, its newest blob that is
  /// not newer than the head.
  struct Restored {
    var head: [UInt8]
    var groups: [Int: [UInt8]]
  }

  private struct State {
    var store: any SnapshotStore
    /// Per stored snapshot, the groups that it holds, oldest first.
    var held: [(sequence: UInt64, groups: Set<Int>)] = []
  }

  private let state: Mutex<State>
  private let writing = Atomic<Bool>(false)
  private let logger: Logger
  private let worker: SerialWorker

  init(store: sending any SnapshotStore, worker: SerialWorker, logger: Logger) {
    state = Mutex(State(store: store))
    self.worker = worker
    self.logger = logger
  }

  /// - Parameter notAfter: the committed sequence; newer snapshots are of another past and go.
  /// - Returns: nil where no whole snapshot is there; everything is then replayed from the log.
  func restore(notAfter: UInt64) -> Restored? {
    state.withLock { state in
      var restored: Restored?
      state.held = []
      do throws(SnapshotError) {
        let names = try state.store.names()
        let stored = names.compactMap(SnapshotFile.sequence(name:)).sorted(by: >)
        for sequence in stored {
          let name = SnapshotFile.name(sequence: sequence)
          guard sequence <= notAfter else {
            logger.warning(
              "snapshot is newer than the committed position: removed",
              metadata: ["snapshot": "\(name)", "committed": "\(notAfter)"])
            try state.store.remove(name)
            continue
          }
          guard let bytes = try state.store.read(name), let file = SnapshotFile(bytes),
            file.sequence == sequence
          else {
            logger.error(
              "snapshot is torn or corrupt: the one before is used",
              metadata: ["snapshot": "\(name)"])
            try state.store.remove(name)
            continue
          }
          var known = restored ?? Restored(head: [], groups: [:])
          for section in file.sections {
            if section.group == SnapshotFile.head {
              if restored == nil { known.head = section.bytes }
            } else if known.groups[section.group] == nil {
              known.groups[section.group] = section.bytes
            }
          }
          restored = known
          state.held.insert((sequence, Set(file.sections.map(\.group))), at: 0)
        }
      } catch {
        logger.error(
          "snapshots cannot be read: state is replayed from the log",
          metadata: ["error": "\(error)"])
        return nil
      }
      return restored
    }
  }

  /// True while the last snapshot is still being written.
  var isWriting: Bool { writing.load(ordering: .acquiring) }

  /// Hands a snapshot over for writing; does nothing while the last one is still being written.
  ///
  /// - Parameter done: called on the writer's thread with the outcome.
  func write(_ file: SnapshotFile, done: @escaping @Sendable (SnapshotError?) -> Void) {
    guard !writing.exchange(true, ordering: .acquiringAndReleasing) else { return }
    let isQueued = worker.submit { [self] in
      let failure = state.withLock { state -> SnapshotError? in
        do throws(SnapshotError) {
          try state.store.write(SnapshotFile.name(sequence: file.sequence), file.encoded())
          state.held.removeAll { $0.sequence == file.sequence }
          state.held.append((file.sequence, Set(file.sections.map(\.group))))
          try removeSuperseded(&state)
          return nil
        } catch {
          return error
        }
      }
      writing.store(false, ordering: .releasing)
      done(failure)
    }
    if !isQueued { writing.store(false, ordering: .releasing) }
  }

  /// Keeps the two newest snapshots, and every older one that still holds a group's second newest
  /// blob: should the newest file turn out to be torn, the ones before make a whole set.
  private func removeSuperseded(_ state: inout State) throws(SnapshotError) {
    var copies: [Int: Int] = [:]
    for index in state.held.indices.reversed() {
      let isNeeded =
        index >= state.held.count - 2
        || state.held[index].groups.contains { copies[$0, default: 0] < 2 }
      if isNeeded {
        for group in state.held[index].groups { copies[group, default: 0] += 1 }
      } else {
        try state.store.remove(SnapshotFile.name(sequence: state.held[index].sequence))
        state.held.remove(at: index)
      }
    }
  }
}
