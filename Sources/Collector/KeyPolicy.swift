/// What a write key allows and asks for; settled when the key is made.
public struct KeyPolicy: Hashable, Sendable {
  /// Origins of pages that may send, such as `https://www.example.org`; empty: any.
  public var origins: [String]
  /// Events per second beyond which requests get 429; nil: no limit.
  public var eventsPerSecondMax: Int?
  /// Whether `DNT: 1` and `Sec-GPC: 1` mean that an event is not stored: see ``ConsentGate``.
  public var honoursDoNotTrack: Bool
  public var honoursGlobalPrivacyControl: Bool

  public init(
    origins: [String] = [], eventsPerSecondMax: Int? = nil, honoursDoNotTrack: Bool = false,
    honoursGlobalPrivacyControl: Bool = false
  ) {
    self.origins = origins
    self.eventsPerSecondMax = eventsPerSecondMax
    self.honoursDoNotTrack = honoursDoNotTrack
    self.honoursGlobalPrivacyControl = honoursGlobalPrivacyControl
  }
}
