public import Ports
import Synchronization

/// Facts in memory, with the contract of the log's; it can be made to be away, and tells of its writes.
public final class MemoryFacts: FactLog {
  private struct State {
    var facts: [Fact] = []
    var isAway = false
  }

  private let state = Mutex(State())

  public init() {}

  public var isAway: Bool {
    get { state.withLock { $0.isAway } }
    set { state.withLock { $0.isAway = newValue } }
  }

  public var all: [Fact] { state.withLock { $0.facts } }

  public func append(_ fact: Fact, expecting sequence: UInt64?) async throws(FactError) -> UInt64 {
    let result: Result<UInt64, FactError> = state.withLock { state in
      guard !state.isAway else { return .failure(.unavailable("the facts are away")) }
      guard Fact.isName(fact.kind), Fact.isName(fact.id) else {
        return .failure(.refused("a kind or id that is no name"))
      }
      if let known = state.facts.firstIndex(where: { $0.eventID == fact.eventID }) {
        return .success(UInt64(known + 1))
      }
      let last = state.facts.lastIndex { $0.kind == fact.kind && $0.id == fact.id }
      let number = UInt64(last.map { $0 + 1 } ?? 0)
      if let sequence, sequence != number { return .failure(.conflict(last: number)) }
      state.facts.append(fact)
      return .success(UInt64(state.facts.count))
    }
    return try result.get()
  }

  public func read(
    kind: String, after sequence: UInt64
  ) async throws(FactError) -> [(sequence: UInt64, fact: Fact)] {
    let (facts, isAway) = state.withLock { ($0.facts, $0.isAway) }
    guard !isAway else { throw .unavailable("the facts are away") }
    return facts.enumerated().map { (sequence: UInt64($0.offset + 1), fact: $0.element) }
      .filter { $0.sequence > sequence && $0.fact.kind == kind }
  }
}
