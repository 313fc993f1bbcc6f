public import Events

/// Stores nothing of who asks not to be tracked, where the write key honours that: `DNT: 1` (W3C Tracking
/// Preference Expression) and `Sec-GPC: 1` (Global Privacy Control).
public struct ConsentGate: EventGate {
  public init() {}

  public func admit(
    _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
  ) throws(Refusal) -> GateVerdict {
    if key.policy.honoursDoNotTrack, request.header("dnt") == "1" {
      return .drop(reason: "do_not_track")
    }
    if key.policy.honoursGlobalPrivacyControl, request.header("sec-gpc") == "1" {
      return .drop(reason: "global_privacy_control")
    }
    return .pass
  }
}
