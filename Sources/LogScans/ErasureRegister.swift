public import Analyses
public import Events
public import Logging
public import Metrics
public import Ports
import Synchronization

/// Who was erased at any time, by the facts of erasures: what a scan must know before it reads the first frame, while
/// the event that says it in the log comes last.
public final class ErasureRegister: Sendable {
  public static let kind = "erasure"
  public static let problems = MetricDeclaration(
    "smartcontent_erasure_register_problems_total",
    "Times that facts of erased persons could not be read; what was known before still holds.",
    .counter)

  private struct State {
    var erasures = PersonErasures()
    var isLoaded = false
  }

  private let facts: any FactLog
  private let logger: Logger
  private let failures: Counter
  private let state = Mutex(State())
  private let following = Mutex<Task<Void, Never>?>(nil)

  public init(facts: any FactLog, registry: MetricRegistry, logger: Logger) {
    self.facts = facts
    self.logger = logger
    failures = registry.counter(Self.problems).with()
  }

  /// Nil until it has read what there is: who asks before that must wait, not count somebody who was erased.
  public var erasures: PersonErasures? {
    state.withLock { $0.isLoaded ? $0.erasures : nil }
  }

  /// Begins to follow the facts; once.
  public func start() {
    following.withLock { task in task = Task { await run() } }
  }

  public func stop() { following.withLock { $0?.cancel() } }

  func run() async {
    await facts.follow(kind: Self.kind) { found in
      state.withLock { state in
        for (_, fact) in found {
          if let person = Key128(fact.id) { state.erasures.note(person, at: fact.time) }
        }
        if found.isEmpty { state.isLoaded = true }
      }
    } failed: { error in
      failures.add()
      logger.warning("facts of erased persons can't be read", metadata: ["error": "\(error)"])
    }
  }

  /// What is kept for ever of an erasure: the key that the log has of the person, and when.
  ///
  /// - Parameter time: microseconds since the epoch.
  public static func fact(_ person: Key128, at time: Int64) -> Fact {
    Fact(
      kind: kind, id: person.description, type: "person.erased",
      eventID: "erasure-\(person)-\(time)", time: time, data: Array("{}".utf8))
  }
}
