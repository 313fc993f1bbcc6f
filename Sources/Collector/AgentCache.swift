import Events
import Synchronization

/// User agents that were read before: the same few hundred come again and again, and often the same as just
/// before.
final class AgentCache: Sendable {
  struct Known: Sendable {
    let summary: String
    let label: String

    init(_ agent: Agent) {
      summary = agent.summary
      label = agent.label
    }
  }

  private static let countMax = 2048
  /// Of the longest text that is remembered; nobody's browser has so long a name.
  private static let textBytesMax = 1024

  private struct State {
    var last: (text: String, known: Known)?
    var agents: [String: Known] = [:]
  }

  private let state = Mutex(State())

  /// About 100 ns for one that is known.
  func agent(_ userAgent: String) -> Known {
    let known = state.withLock { state -> Known? in
      if let last = state.last, last.text == userAgent { return last.known }
      guard let known = state.agents[userAgent] else { return nil }
      state.last = (userAgent, known)
      return known
    }
    if let known { return known }
    let agent = Known(Agent(userAgent))
    guard userAgent.utf8.count <= Self.textBytesMax else { return agent }
    state.withLock { state in
      if state.agents.count >= Self.countMax { state.agents.removeAll(keepingCapacity: true) }
      state.agents[userAgent] = agent
    }
    return agent
  }
}
