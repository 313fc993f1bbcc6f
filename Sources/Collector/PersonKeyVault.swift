import Cryptography
import Events
import HTTPServer
public import Logging
public import Metrics
public import Ports
import Synchronization
import Threads

/// Bounds of a ``PersonKeyVault``.
public struct PersonKeyLimits: Hashable, Sendable {
  /// Keys in memory; each takes about 300 bytes there.
  public var cachedMax = 50_000
  /// How long a key is used without being asked for again, in seconds. An erasure is heard of at once where the
  /// store is reached; this is how long one may go unnoticed at most.
  public var cachedSecondsMax = 600
  /// Bytes of requests that wait for keys; what comes beyond it can have none.
  public var waitingBytesMax = 64 << 20
  /// Persons that are settled at once.
  public var batchMax = 512
  /// After the store did not answer, requests are failed for so long without being tried.
  public var pauseMs = 500

  public init() {}
}

/// The keys of persons: finds them, makes them, remembers some and forgets those that were erased.
///
/// Two threads: one settles with the store whose key each person has, for all requests that wait at once; one
/// hears of erasures.
///
///     gate ── key(of:) ──► cache, or a new key
///     routes ── settle ──► [requests that wait] ──► store: one round trip, two for a new key ──► lanes
///     erasures ──► cache forgets
public final class PersonKeyVault: Sendable {
  private struct Waiting {
    let seals: UnsettledSeals
    let bytes: Int
    let since: Int64
    let completion: @Sendable ([Key128: PersonKey], PersonKeyFailure?) -> Void
  }

  private struct State {
    var waiting: [Waiting] = []
    var bytes = 0
    var isStarted = false
    var isStopping = false
    var hasEnded = false
    var stopWaiters: [CheckedContinuation<Void, Never>] = []
  }

  private static let pollMs = 250

  private let store: any PersonKeyStore
  private let wrapping: PersonKeyWrapping
  private let limits: PersonKeyLimits
  private let cache: PersonKeyCache
  private let clock: CollectorClock
  private let log: Logger
  private let state: Mutex<State>
  /// Steady time until which the store is not tried.
  private let pausedUntil = Atomic<Int64>(.min)
  private let isAway = Atomic<Bool>(false)
  private let bell = Bell()
  private let keys: MetricFamily<Counter>
  private let failures: MetricFamily<Counter>
  private let values: MetricFamily<Counter>
  private let erased: Counter
  private let waitSeconds: Histogram

  public init(
    store: any PersonKeyStore, wrapping: PersonKeyWrapping,
    limits: PersonKeyLimits = PersonKeyLimits(), metrics: MetricRegistry,
    clock: CollectorClock = .system, log: Logger
  ) {
    self.store = store
    self.wrapping = wrapping
    self.limits = limits
    self.clock = clock
    self.log = log
    let cache = PersonKeyCache(
      countMax: limits.cachedMax, ageMicros: Int64(limits.cachedSecondsMax) * 1_000_000)
    self.cache = cache
    state = Mutex(State())
    keys = metrics.counter(PersonKeyMetrics.keys)
    failures = metrics.counter(PersonKeyMetrics.failures)
    values = metrics.counter(PersonKeyMetrics.values)
    erased = metrics.counter(PersonKeyMetrics.erased).with()
    waitSeconds = metrics.histogram(PersonKeyMetrics.waitSeconds).with()
    metrics.computed(PersonKeyMetrics.cached) { [MetricSample([], Double(cache.count))] }
  }

  // MARK: Gates and routes

  /// The key of a person, or a new one that is not durable yet.
  func key(of person: Key128) throws(PersonKeyFailure) -> (key: PersonKey, isDurable: Bool) {
    let now = clock.steadyMicros()
    if let key = cache.key(of: person, now: now) { return (key, true) }
    if now < pausedUntil.load(ordering: .relaxed) { throw fail(.away) }
    do throws(CryptographyError) {
      return (try wrapping.make(for: person), false)
    } catch {
      log.error("no key of a person can be made", metadata: ["error": "\(error)"])
      throw fail(.cryptography)
    }
  }

  /// Makes the keys of a request durable, and the request fit to be stored.
  ///
  /// - Parameters:
  ///   - mayRemove: whether what is personal is removed where there is no key for it: events that are kept
  ///     though the log is away.
  ///   - completion: once, on a thread of the vault or on this one; with nil where there is no key, and the
  ///     request must not be stored.
  func settle(
    _ claims: SealClaims, _ events: [IncomingEvent], _ letters: [IncomingEvent], mayRemove: Bool,
    completion: @escaping @Sendable ((events: [IncomingEvent], letters: [IncomingEvent])?) -> Void
  ) {
    if claims.sealed > 0 { values.with("encrypted").add(claims.sealed) }
    guard let seals = claims.unsettled else { return completion((events, letters)) }
    let removedAtTheGate = claims.failed
    let bytes = (events + letters).reduce(0) { $0 + $1.payload.count }
    settle(seals, bytes: bytes) { [values] keys, failure in
      guard failure == nil || mayRemove else { return completion(nil) }
      if failure != nil {
        let lost = seals.events.count { keys[$0.person] == nil }
        values.with("removed").add(lost + removedAtTheGate)
      }
      var (events, letters) = (events, letters)
      seals.apply(keys, to: &events, letters: &letters)
      completion((events, letters))
    }
  }

  /// Makes the keys of a request durable.
  ///
  /// - Parameters:
  ///   - bytes: of the request while it waits.
  ///   - completion: once, on a thread of the vault or on this one, with the keys that the persons have, and why
  ///     somebody has none.
  private func settle(
    _ seals: UnsettledSeals, bytes: Int,
    completion: @escaping @Sendable ([Key128: PersonKey], PersonKeyFailure?) -> Void
  ) {
    guard !seals.keys.isEmpty else { return completion([:], seals.failure) }
    let now = clock.steadyMicros()
    guard now >= pausedUntil.load(ordering: .relaxed) else { return completion([:], fail(.away)) }
    let isTaken = state.withLock { state in
      guard !state.isStopping, state.bytes + bytes <= limits.waitingBytesMax else { return false }
      state.bytes += bytes
      state.waiting.append(
        Waiting(seals: seals, bytes: bytes, since: now, completion: completion))
      return true
    }
    if isTaken { bell.ring() } else { completion([:], fail(.overloaded)) }
  }

  private func fail(_ failure: PersonKeyFailure) -> PersonKeyFailure {
    failures.with(failure.rawValue).add()
    return failure
  }

  /// The answer to a request whose persons can have no key.
  static func unavailable(_ retryAfterSeconds: Int) -> Problem {
    Problem(
      .serviceUnavailable, code: "person_keys_unavailable",
      detail: "Not stored: there is no key now to encrypt what is personal in it. Send the same"
        + " request again; nothing counts twice.", retryAfterSeconds: retryAfterSeconds)
  }

  // MARK: Life

  public func start() {
    let isFirst = state.withLock { state in
      defer { state.isStarted = true }
      return !state.isStarted
    }
    precondition(isFirst, "a vault starts once")
    run("person-keys") {
      $0.settleAll()
      $0.ended()
    }
    run("person-key-erasures") { $0.hearErasures() }
  }

  /// Settles what waits, and ends the threads; the one that hears of erasures is not waited for. Nothing may
  /// be handed over any more.
  public func stop() async {
    let isRunning = state.withLock { state in
      state.isStopping = true
      return state.isStarted && !state.hasEnded
    }
    bell.ring()
    guard isRunning else { return }
    await withCheckedContinuation { continuation in
      let hasEnded = state.withLock { state in
        if !state.hasEnded { state.stopWaiters.append(continuation) }
        return state.hasEnded
      }
      if hasEnded { continuation.resume() }
    }
  }

  private func run(_ name: String, _ work: @escaping @Sendable (PersonKeyVault) -> Void) {
    LoopThread(name: name) { work(self) }.detach()
  }

  private func ended() {
    let waiters = state.withLock { state in
      state.hasEnded = true
      defer { state.stopWaiters = [] }
      return state.stopWaiters
    }
    for waiter in waiters { waiter.resume() }
  }

  // MARK: The thread that settles

  private func settleAll() {
    while true {
      let (batch, isStopping) = takeBatch()
      if !batch.isEmpty {
        settle(batch)
      } else if isStopping {
        return
      } else {
        bell.wait()
      }
    }
  }

  private func takeBatch() -> (batch: [Waiting], isStopping: Bool) {
    state.withLock { state in
      var persons = 0
      var count = 0
      for waiting in state.waiting where persons < limits.batchMax {
        persons += waiting.seals.keys.count
        count += 1
      }
      let batch = Array(state.waiting[..<count])
      state.waiting.removeFirst(count)
      return (batch, state.isStopping)
    }
  }

  private func settle(_ batch: [Waiting]) {
    var wanted: [Key128: PersonKey] = [:]
    var found: [Key128: PersonKey] = [:]
    let start = clock.steadyMicros()
    let era = cache.era
    for waiting in batch {
      for (person, key) in waiting.seals.keys where wanted[person] == nil {
        // Others have settled it since.
        if let known = cache.key(of: person, now: start) {
          found[person] = known
        } else {
          wanted[person] = key
        }
      }
    }
    let made = wanted.filter { found[$0.key] == nil }.map(\.value)
    var reasons: [Key128: PersonKeyFailure] = [:]
    if !made.isEmpty {
      do throws(PersonKeyError) {
        let results = try store.settle(
          made.map { StoredPersonKey(person: $0.person, bytes: $0.stored) })
        for (key, result) in zip(made, results) { take(key, result, era, &found, &reasons) }
        setAway(Self.commonFailure(results))
      } catch {
        for key in made { reasons[key.person] = fail(reason(error)) }
        setAway(error)
      }
    }
    let now = clock.steadyMicros()
    state.withLock { $0.bytes -= batch.reduce(0) { $0 + $1.bytes } }
    for waiting in batch {
      waitSeconds.observe(Double(now - waiting.since) / 1e6)
      let failure = waiting.seals.keys.keys.compactMap { reasons[$0] }.first
      waiting.completion(
        found.filter { waiting.seals.keys[$0.key] != nil }, failure ?? waiting.seals.failure)
    }
  }

  private func take(
    _ made: PersonKey, _ result: Result<StoredPersonKey, PersonKeyError>, _ era: Int,
    _ found: inout [Key128: PersonKey], _ reasons: inout [Key128: PersonKeyFailure]
  ) {
    switch result {
    case .success(let stored):
      do throws(PersonKeyDamage) {
        let isOurs = stored.bytes == made.stored
        let key = isOurs ? made : try wrapping.open(stored)
        keys.with(isOurs ? "made" : "found").add()
        found[key.person] = key
        cache.add(key, now: clock.steadyMicros(), era: era)
      } catch {
        log.error("a person's key is of no use", metadata: ["error": "\(error)"])
        reasons[made.person] = fail(.unreadable)
      }
    case .failure(let error):
      log.debug("a person can have no key", metadata: ["error": "\(error)"])
      reasons[made.person] = fail(reason(error))
    }
  }

  /// Why nobody got a key; nil where somebody did.
  private static func commonFailure(
    _ results: [Result<StoredPersonKey, PersonKeyError>]
  ) -> PersonKeyError? {
    var failure: PersonKeyError?
    for result in results {
      guard case .failure(let error) = result else { return nil }
      failure = failure ?? error
    }
    return failure
  }

  private func reason(_ error: PersonKeyError) -> PersonKeyFailure {
    switch error {
    case .unavailable, .refused: .away
    case .full: .full
    }
  }

  private func setAway(_ error: PersonKeyError?) {
    if error != nil {
      pausedUntil.store(
        clock.steadyMicros() + Int64(limits.pauseMs) * 1000, ordering: .relaxed)
    }
    let wasAway = isAway.exchange(error != nil, ordering: .relaxed)
    if let error, !wasAway {
      log.error("the keys of persons cannot be had", metadata: ["error": "\(error)"])
    } else if error == nil, wasAway {
      log.notice("the keys of persons can be had again")
    }
  }

  // MARK: The thread that hears of erasures

  private func hearErasures() {
    let erasures = store.erasures()
    while !state.withLock({ $0.isStopping }) {
      switch erasures.next(timeoutMs: Self.pollMs) {
      case .none: break
      case .uncertain: cache.forgetAll()
      case .erased(let persons):
        cache.forget(persons)
        erased.add(persons.count)
      }
    }
  }
}
