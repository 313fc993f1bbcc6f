public import Events
public import HTTPServer
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

  public func expect(_ events: [IncomingEvent]) {
    guard let rates else { return }
    for index in events.indices { rates.expect(PersonAct(events[index])) }
  }

  public func taken(_ events: [IncomingEvent]) {
    guard let rates else { return }
    for index in events.indices { rates.count(PersonAct(events[index])) }
  }

  public func admit(
    _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
  ) throws(Refusal) -> GateVerdict {
    if request.isPrefetch, var agent = Agent(label: event.agent) {
      agent.add(BotRules.prefetchMark)
      event.agent = agent.label
    }
    var reasons = reasons(of: event.agent, request.memory)
    if let rates, rates.isTooFast(PersonAct(event), &request.memory.rates) { reasons.insert(.rate) }
    if !dataCenters.isEmpty, isFromDataCenter(request) { reasons.insert(.dataCenter) }
    if rules.isBot(reasons) { DimensionTuple.append(DimensionTuple.bot, to: &event.dimensions) }
    event.bot = BotVerdict(version: rules.version, reasons: reasons).encoded
    return .pass
  }

  /// By the address that the event names, else by that of the request if a browser sent it: servers and apps that send
  /// events of people are in data centres rightly.
  private func isFromDataCenter(_ request: borrowing RequestFacts) -> Bool {
    let named = request.memory.address
    if !named.isEmpty {
      // Of several with commas the first is the client's.
      return dataCenters.contains(named.prefix { $0 != "," }.filter { $0 != " " })
    }
    return request.isOfBrowser && dataCenters.contains(request.clientAddress)
  }

  private func reasons(of label: String, _ memory: RequestMemory) -> BotReasons {
    if let judged = memory.judged, judged.label == label { return judged.reasons }
    let reasons = known.reasons(of: label, rules)
    memory.judged = (label, reasons)
    return reasons
  }
}

extension BotGate: RowGate {
  var looksAtRows: Bool { true }

  func expect(_ rows: [EventRow]) {
    guard let rates else { return }
    for row in rows where !row.isWhole { rates.expect(PersonAct(row)) }
  }

  /// Of the same agent from the same address.
  func admitsAlike(
    _ event: borrowing IncomingEvent, template: Int, _ request: borrowing RequestFacts,
    _ key: WriteKey
  ) -> Bool { true }

  /// How fast a person is says nothing of others.
  func admit(_ row: inout EventRow, _ request: borrowing RequestFacts) {
    var reasons = BotVerdict(encoded: row.bot).reasons
    row.isLikeBot = rules.isBot(reasons)
    if let rates {
      reasons.remove(.rate)
      if rates.isTooFast(PersonAct(row), &request.memory.rates) { reasons.insert(.rate) }
    }
    row.isBot = rules.isBot(reasons)
    row.bot = BotVerdict(version: rules.version, reasons: reasons).encoded
  }

  func taken(_ events: EventBatch) {
    guard let rates else { return }
    for index in events.indices { rates.count(events.act(index)) }
  }
}

/// What rules say of labels that were judged before.
private final class ReasonCache: Sendable {
  private static let countMax = 4096

  private struct State {
    /// Often the next request has the same.
    var last: (label: String, reasons: BotReasons)?
    var all: [String: BotReasons] = [:]
  }

  private let judged = Mutex(State())

  func reasons(of label: String, _ rules: BotRules) -> BotReasons {
    let known = judged.withLock { judged -> BotReasons? in
      if let last = judged.last, last.label == label { return last.reasons }
      guard let reasons = judged.all[label] else { return nil }
      judged.last = (label, reasons)
      return reasons
    }
    if let known { return known }
    let reasons = Agent(label: label).map { rules.reasons(of: $0) } ?? []
    judged.withLock { judged in
      if judged.all.count >= Self.countMax { judged.all.removeAll(keepingCapacity: true) }
      judged.all[label] = reasons
    }
    return reasons
  }
}
