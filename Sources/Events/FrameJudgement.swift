/// Judges the events of frames once more by other rules than those of their collectors: a pure function of the
/// frame and the rules.
///
/// What user agents tell is judged anew from ``IncomingEvent/agent``; what was measured (``BotReasons/measured``)
/// counts by the new rules as it was found. An event with neither is as it was. Costs a look at each
/// event's verdict where all are by these rules already, else about 1 µs per event.
public enum FrameJudgement {
  /// - Returns: the bytes of the frame as these rules see it; nil where it stays as it is.
  public static func frame(_ frame: FrameView, by rules: BotRules) -> [UInt8]? {
    guard frame.header.kind == .events, frame.isJudged(otherThanBy: rules.version) else {
      return nil
    }
    var encoder = FrameEncoder()
    var reasonsByLabel: [String: BotReasons] = [:]
    for index in 0..<frame.count {
      var event = IncomingEvent(frame, event: index)
      if event.bot != 0 || !event.agent.isEmpty {
        let told =
          reasonsByLabel[event.agent]
          ?? Agent(label: event.agent).map { rules.reasons(of: $0) } ?? []
        reasonsByLabel[event.agent] = told
        apply(told, to: &event, rules)
      }
      encoder.append(event)
    }
    return encoder.seal(frame.header)
  }

  private static func apply(_ told: BotReasons, to event: inout IncomingEvent, _ rules: BotRules) {
    let measured = BotVerdict(encoded: event.bot).reasons.intersection(.measured)
    let reasons = told.union(measured)
    event.bot = BotVerdict(version: rules.version, reasons: reasons).encoded
    guard var tuple = event.dimensions.withUnsafeBytes({ DimensionTuple(encoded: $0) }) else {
      return
    }
    tuple.traffic = rules.isBot(reasons) ? DimensionTuple.bot : ""
    event.dimensions = tuple.encoded
  }
}

extension FrameView {
  /// Whether some event has a verdict of other rules, or an agent and no verdict.
  func isJudged(otherThanBy version: UInt16) -> Bool {
    if bots == 0 { return agents != 0 }
    var isOther = false
    for index in 0..<count {
      let verdict = bot(index)
      if verdict >> 16 != UInt32(version) && (verdict != 0 || !agent(index).isEmpty) {
        isOther = true
      }
    }
    return isOther
  }
}
