public import Events
import Synchronization

/// Attaches to every event who probably sent it: the version of the rules, and the reasons that speak for a
/// bot. Drops nothing; what counts as a bot's is counted under a dimension of its own.
///
/// What the user agent tells can be judged again from ``IncomingEvent/agent``; what was measured here, rates
/// and addresses, cannot, and stays as it is.
public struct BotGate: EventGate {
  private let rules: BotRules
  private let dataCenters: AddressRanges
  private let rates: RateTable?
  private let known = ReasonCache()

  /// - Parameter dataCenters: ranges of addresses that people do not have.
  public init(_ rules: BotRules, dataCenters: AddressRanges = AddressRanges()) {
    self.rules = rules
    self.dataCenters = dataCenters
    rates = rules.rate.map { RateTable($0) }
  }

  public func admit(
    _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
  ) throws(Refusal) -> GateVerdict {
    if Self.isPrefetch(request), var agent = Agent(label: event.agent) {
      agent.add(BotRules.prefetchMark)
      event.agent = agent.label
    }
    var reasons = known.reasons(of: event.agent, rules)
    if let rates, rates.isTooFast(event) { reasons.insert(.rate) }
    if !dataCenters.isEmpty, dataCenters.contains(request.clientAddress) {
      reasons.insert(.dataCenter)
    }
    if rules.isBot(reasons) { DimensionTuple.append(DimensionTuple.bot, to: &event.dimensions) }
    event.bot = BotVerdict(version: rules.version, reasons: reasons).encoded
    return .pass
  }

  /// Fields of browsers that fetch a page before anybody wants to see it.
  private static func isPrefetch(_ request: borrowing RequestFacts) -> Bool {
    for name in ["sec-purpose", "purpose", "x-purpose", "x-moz"] {
      guard let value = request.header(name)?.lowercased() else { continue }
      if value.hasPrefix("prefetch") || value.hasPrefix("preview") || value.hasPrefix("prerender") {
        return true
      }
    }
    return false
  }
}

/// What rules say of labels that were judged before.
private final class ReasonCache: Sendable {
  private static let countMax = 4096

  private let judged = Mutex<[String: BotReasons]>([:])

  func reasons(of label: String, _ rules: BotRules) -> BotReasons {
    if let known = judged.withLock({ $0[label] }) { return known }
    let reasons = Agent(label: label).map { rules.reasons(of: $0) } ?? []
    judged.withLock { judged in
      if judged.count >= Self.countMax { judged.removeAll(keepingCapacity: true) }
      judged[label] = reasons
    }
    return reasons
  }
}
