public import Events

/// Stores nothing of who asks not to be tracked, where the write key honours that: `DNT: 1` (W3C Tracking
/// Preference Expression) and `Sec-GPC: 1` (Global Privacy Control).
public struct ConsentGate: EventGate {
  public init() {}

  public func admit(
    _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
  ) throws(Refusal) -> GateVerdict {
    Self.objection(request, key.policy).map { .drop(reason: $0) } ?? .pass
  }

  /// That something was refused, and why, is told all the same.
  public func clean(
    _ rejection: Rejection, _ request: borrowing RequestFacts, _ key: WriteKey,
    protocolName: String
  ) -> Rejection {
    guard Self.objection(request, key.policy) != nil else { return rejection }
    var rejection = rejection
    rejection.withhold()
    return rejection
  }

  private static func objection(
    _ request: borrowing RequestFacts, _ policy: KeyPolicy
  ) -> String? {
    if policy.honoursDoNotTrack, request.header("dnt") == "1" { return "do_not_track" }
    if policy.honoursGlobalPrivacyControl, request.header("sec-gpc") == "1" {
      return "global_privacy_control"
    }
    return nil
  }
}

extension ConsentGate: RowGate {
  /// Who objects does so for all of a request.
  func admitsAlike(
    _ event: borrowing IncomingEvent, template: Int, _ request: borrowing RequestFacts,
    _ key: WriteKey
  ) -> Bool { true }
}
