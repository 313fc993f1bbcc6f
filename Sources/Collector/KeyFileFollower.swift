public import Logging
public import Metrics
import Synchronization

/// Keeps a ``KeyRing`` as the key store's file says: looks every second whether that has changed, and ends
/// keys whose time has come.
///
/// A file that cannot be read, or has gone, leaves the keys as they were: to lose events because somebody
/// slipped in an editor would be worse. It is logged once for each version of the file, and the metric
/// says that it is so.
public final class KeyFileFollower: Sendable {
  private struct State {
    var keys: [StoredKey] = []
    /// Of the file that was read last, whatever was in it; nil: it has to be read.
    var version: KeyFile.Version?
    /// Whether there has been a file.
    var isKnown = false
    /// What was said of the file last; nil: it is well.
    var problem: KeyStoreError?
    /// Ids of keys that cannot be accepted; logged once.
    var withoutSecret: [String] = []
    /// When the next of the accepted keys ends.
    var nextEnd: Int64 = .max
  }

  private static let interval = Duration.seconds(1)

  private let store: KeyStore
  private let ring: KeyRing
  private let clock: CollectorClock
  private let log: Logger
  private let isStale: Gauge
  private let count: Gauge
  private let state = Mutex(State())
  private let task = Mutex<Task<Void, Never>?>(nil)

  /// Reads the file, which need not be there yet.
  ///
  /// - Throws: where it cannot be read; better now than when the first event comes.
  public init(
    _ store: KeyStore, ring: KeyRing, metrics: MetricRegistry, clock: CollectorClock = .system,
    log: Logger
  ) throws(KeyStoreError) {
    self.store = store
    self.ring = ring
    self.clock = clock
    self.log = log
    isStale = metrics.gauge(KeyFileMetrics.isStale).with()
    count = metrics.gauge(KeyFileMetrics.keys).with()
    let read = try store.read()
    let now = clock.nowMicros()
    state.withLock { state in
      state.version = read?.version
      state.isKnown = read != nil
      state.keys = read?.keys ?? []
      hand(&state, now)
    }
  }

  /// Begins to look, in a task of its own.
  public func start() {
    task.withLock { task in
      guard task == nil else { return }
      task = Task { [weak self] in
        while !Task.isCancelled {
          do {
            try await Task.sleep(for: Self.interval)
          } catch {
            return
          }
          self?.look()
        }
      }
    }
  }

  public func stop() { task.withLock { $0?.cancel() } }

  /// Looks at the file now.
  public func look() {
    let now = clock.nowMicros()
    state.withLock { state in
      var hasChanged = false
      do throws(KeyStoreError) {
        hasChanged = try readChange(&state)
        if state.problem != nil && hasChanged {
          state.problem = nil
          log.notice("the file of write keys is well again", metadata: ["path": "\(store.path)"])
        }
      } catch {
        // What the system refuses may be put right without the file becoming another.
        if case .file = error { state.version = nil }
        if state.problem != error {
          state.problem = error
          log.error(
            "the file of write keys is of no use; the keys read before stay",
            metadata: ["error": "\(error)"])
        }
      }
      isStale.set(state.problem == nil ? 0 : 1)
      if hasChanged || now >= state.nextEnd { hand(&state, now) }
    }
  }

  /// - Returns: whether there are other keys than before.
  private func readChange(_ state: inout State) throws(KeyStoreError) -> Bool {
    guard let version = try store.file.version() else {
      guard !state.isKnown else {
        throw .file(operation: "read", path: store.path, reason: "it was there and has gone")
      }
      return false
    }
    guard version != state.version else { return false }
    // Set before it is read: what is not JSON of keys is not read each second.
    state.version = version
    guard let read = try store.read() else { return false }
    state.version = read.version
    state.isKnown = true
    state.keys = read.keys
    return true
  }

  private func hand(_ state: inout State, _ now: Int64) {
    let accepted = state.keys.filter { $0.isAccepted(at: now) }
    state.nextEnd = accepted.compactMap(\.expiresAt).min() ?? .max
    let withoutSecret = ring.take(accepted)
    if !withoutSecret.isEmpty && withoutSecret != state.withoutSecret {
      log.error(
        """
        write keys are not accepted: there is no secret for their policy; set SMARTCONTENT_PSEUDONYM_SECRET \
        (or …_FILE) for pseudonyms, SMARTCONTENT_PERSON_KEY_SECRET (or …_FILE) to encrypt personal data
        """,
        metadata: ["keys": "\(withoutSecret.joined(separator: " "))"])
    }
    state.withoutSecret = withoutSecret
    count.set(Double(accepted.count - withoutSecret.count))
  }
}
