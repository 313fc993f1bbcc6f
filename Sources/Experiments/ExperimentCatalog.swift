public import Ports
import Synchronization

/// All experiments, in memory: those of the file, which only the file changes, and those of the API, whose
/// facts it follows. So persons are assigned while every store is away.
///
/// A change reads what is new, decides, and appends a fact that is taken only where nothing came between; so
/// of two processes one is told that the other was first.
public final class ExperimentCatalog: Sendable {
  /// An experiment as it is now.
  public struct Entry: Sendable {
    public let assigner: Assigner
    /// The sequence of its newest fact; nil for those of the file.
    public let revision: UInt64?

    public var experiment: Experiment { assigner.experiment }
  }

  /// Of the API; each takes some hundred bytes.
  public static let countMax = 10_000

  private struct State {
    var entries: [String: Entry]
    /// The sequence up to which facts are in `entries`.
    var position: UInt64 = 0
    var isLoaded = false
    /// Why facts could not be read the last time.
    var problem: String?
  }

  private let state: Mutex<State>
  private let following = Mutex<Task<Void, Never>?>(nil)
  private let facts: (any FactLog)?
  private let clock: @Sendable () -> Int64
  private let eventID: @Sendable () -> String
  private let noticed: @Sendable (String) -> Void

  /// - Parameters:
  ///   - declared: those of the file.
  ///   - facts: nil: there are no others.
  ///   - clock: microseconds since the epoch.
  ///   - eventID: a new one for each fact.
  ///   - noticed: gets what an operator should know.
  public init(
    declared: [Experiment], facts: (any FactLog)?, clock: @escaping @Sendable () -> Int64,
    eventID: @escaping @Sendable () -> String, noticed: @escaping @Sendable (String) -> Void
  ) {
    var entries: [String: Entry] = [:]
    for experiment in declared {
      entries[experiment.id] = Entry(assigner: Assigner(experiment), revision: nil)
    }
    state = Mutex(State(entries: entries, isLoaded: facts == nil))
    self.facts = facts
    self.clock = clock
    self.eventID = eventID
    self.noticed = noticed
  }

  /// Begins to follow the facts; once.
  public func start() {
    following.withLock { task in task = Task { await run() } }
  }

  public func stop() { following.withLock { $0?.cancel() } }

  /// Follows the facts until the task is cancelled.
  func run() async {
    guard let facts else { return }
    let position = state.withLock { $0.position }
    await facts.follow(kind: ExperimentFacts.kind, after: position) { facts in
      take(facts, isAll: facts.isEmpty)
    } failed: { error in
      let isNew = state.withLock { state in
        defer { state.problem = "\(error)" }
        return state.problem != "\(error)"
      }
      if isNew { noticed("facts of experiments can't be read: \(error)") }
    }
  }

  // MARK: Asking

  /// Whether all facts that there were at the beginning are in it.
  public var isLoaded: Bool { state.withLock(\.isLoaded) }

  /// Rises with every fact.
  public var version: UInt64 { state.withLock(\.position) }

  /// By id.
  public var all: [Entry] {
    state.withLock { $0.entries.values.sorted { $0.experiment.id < $1.experiment.id } }
  }

  public func entry(_ id: String) throws(ExperimentRefusal) -> Entry {
    let (entry, isLoaded, problem) = state.withLock { ($0.entries[id], $0.isLoaded, $0.problem) }
    if let entry { return entry }
    guard isLoaded else {
      throw .unavailable(
        "the experiments are not known yet\(problem.map { ": \($0)" } ?? "; they are being read")")
    }
    throw .unknown("there is no experiment \(id)")
  }

  public func assign(
    _ person: String, in id: String
  ) throws(ExperimentRefusal) -> (entry: Entry, assignment: Assignment) {
    let entry = try entry(id)
    return (entry, entry.assigner.assign(person, at: clock()))
  }

  // MARK: Changing

  public func declare(_ body: [UInt8]) async throws(ExperimentRefusal) -> Entry {
    let (id, command) = try ExperimentFormat.declaration(body)
    try await refresh()
    let count = state.withLock { $0.entries.count }
    guard count < Self.countMax else {
      throw .conflict("there are \(Self.countMax) experiments, which is the most")
    }
    return try await change(id, command, revision: nil)
  }

  public func change(_ id: String, _ body: [UInt8]) async throws(ExperimentRefusal) -> Entry {
    try await refresh()
    let entry = try entry(id)
    let (command, revision) = try ExperimentFormat.change(body, of: entry.experiment)
    return try await change(id, command, revision: revision)
  }

  private func change(
    _ id: String, _ command: ExperimentCommand, revision: UInt64?
  ) async throws(ExperimentRefusal) -> Entry {
    let before = state.withLock { $0.entries[id] }
    let experiment = before?.experiment
    guard let facts else {
      throw .conflict("experiments of this server are declared in Streams/experiments.yaml alone")
    }
    if let before, before.revision == nil {
      throw .conflict(
        "experiment \(id) is declared in Streams/experiments.yaml; change it there, or take another id"
      )
    }
    if let revision, revision != before?.revision {
      throw .conflict(
        "experiment \(id) is at revision \(before?.revision ?? 0), not \(revision): somebody has changed it;"
          + " read it again")
    }
    let events = try Experiment.decide(command, experiment, id: id)
    var last = before?.revision ?? 0
    for event in events {
      let fact = ExperimentFacts.fact(
        event, of: id, variants: experiment?.plan.variants ?? [], time: clock(),
        eventID: eventID())
      last = try await append(fact, expecting: last, to: facts)
    }
    if !events.isEmpty { try await refresh() }
    return try entry(id)
  }

  /// A lost answer is asked for once more: the same fact again is the same fact.
  private func append(
    _ fact: Fact, expecting sequence: UInt64, to facts: any FactLog
  ) async throws(ExperimentRefusal) -> UInt64 {
    do throws(FactError) {
      do throws(FactError) {
        return try await facts.append(fact, expecting: sequence)
      } catch {
        guard case .unavailable = error else { throw error }
        return try await facts.append(fact, expecting: sequence)
      }
    } catch {
      guard case .conflict = error else { throw .unavailable("\(error)") }
      throw .conflict(
        "experiment \(fact.id) was changed by somebody else at the same moment; read it again")
    }
  }

  /// Takes in all facts that there are.
  private func refresh() async throws(ExperimentRefusal) {
    guard let facts else { return }
    while true {
      let position = state.withLock { $0.position }
      do throws(FactError) {
        let new = try await facts.read(kind: ExperimentFacts.kind, after: position)
        take(new, isAll: new.isEmpty)
        if new.isEmpty { return }
      } catch {
        throw .unavailable("\(error)")
      }
    }
  }

  /// Facts may come twice, by two readers: each counts once, in order.
  private func take(_ new: [(sequence: UInt64, fact: Fact)], isAll: Bool) {
    var notices: [String] = []
    state.withLock { state in
      state.problem = nil
      if isAll { state.isLoaded = true }
      for (sequence, fact) in new where sequence > state.position {
        state.position = sequence
        let before = state.entries[fact.id]
        if before != nil && before?.revision == nil {
          notices.append(
            "fact \(sequence) is about \(fact.id), which the file declares; it is left out")
          continue
        }
        do throws(ExperimentRefusal) {
          let event = try ExperimentFacts.event(fact, before?.experiment)
          guard
            let experiment = Experiment.evolve(
              before?.experiment, event, at: fact.time, id: fact.id)
          else {
            notices.append("fact \(sequence), \(fact.type), can't follow what was before")
            continue
          }
          state.entries[fact.id] = Entry(assigner: Assigner(experiment), revision: sequence)
        } catch {
          notices.append("fact \(sequence) of experiment \(fact.id) is not understood: \(error)")
        }
      }
    }
    for notice in notices { noticed(notice) }
  }
}
