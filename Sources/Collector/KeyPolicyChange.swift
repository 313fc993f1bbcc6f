/// Parts of a key's policy that take the place of what it has; nil parts stay as they are.
public struct KeyPolicyChange: Hashable, Sendable {
  public var origins: [String]?
  public var eventsPerSecondMax: Int?
  /// Whether there is no limit any more.
  public var liftsRate: Bool
  public var address: KeyPolicy.Address?
  public var personalData: KeyPolicy.PersonalData?
  public var identifiers: KeyPolicy.Identifiers?
  public var honoursDoNotTrack: Bool?
  public var honoursGlobalPrivacyControl: Bool?

  public init(
    origins: [String]? = nil, eventsPerSecondMax: Int? = nil, liftsRate: Bool = false,
    address: KeyPolicy.Address? = nil, personalData: KeyPolicy.PersonalData? = nil,
    identifiers: KeyPolicy.Identifiers? = nil,
    honoursDoNotTrack: Bool? = nil, honoursGlobalPrivacyControl: Bool? = nil
  ) {
    self.origins = origins
    self.eventsPerSecondMax = eventsPerSecondMax
    self.liftsRate = liftsRate
    self.address = address
    self.personalData = personalData
    self.identifiers = identifiers
    self.honoursDoNotTrack = honoursDoNotTrack
    self.honoursGlobalPrivacyControl = honoursGlobalPrivacyControl
  }

  public func applied(to policy: KeyPolicy) -> KeyPolicy {
    KeyPolicy(
      origins: origins ?? policy.origins,
      eventsPerSecondMax: liftsRate ? nil : eventsPerSecondMax ?? policy.eventsPerSecondMax,
      address: address ?? policy.address, personalData: personalData ?? policy.personalData,
      identifiers: identifiers ?? policy.identifiers,
      honoursDoNotTrack: honoursDoNotTrack ?? policy.honoursDoNotTrack,
      honoursGlobalPrivacyControl: honoursGlobalPrivacyControl
        ?? policy.honoursGlobalPrivacyControl)
  }
}
