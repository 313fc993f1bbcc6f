/// What a write key allows and asks for.
public struct KeyPolicy: Hashable, Sendable {
  /// What is kept of a client's address.
  public enum Address: String, CaseIterable, Sendable {
    /// Nothing.
    case drop
    /// The network alone: the first 24 bits of IPv4, the first 48 of IPv6.
    case truncate
  }

  /// What is done with mail addresses, phone numbers, card numbers and what is personal by its name.
  public enum PersonalData: String, CaseIterable, Sendable {
    case keep
    /// `[mail]`, `[phone]`, `[card]` and `[removed]` stand in their place.
    case remove
    /// They are encrypted with the key of the event's person, which can be erased; see ``PersonKeyVault``.
    case encrypt
  }

  /// What the ids of persons are in the log.
  public enum Identifiers: String, CaseIterable, Sendable {
    case keep
    /// Keyed hashes, which only this installation can make.
    case pseudonym
  }

  /// Origins of pages that may send, such as `https://www.example.org`; empty: any.
  public var origins: [String]
  /// Events per second beyond which requests get 429; nil: no limit.
  public var eventsPerSecondMax: Int?
  public var address: Address
  public var personalData: PersonalData
  public var identifiers: Identifiers
  /// Whether `DNT: 1` and `Sec-GPC: 1` mean that an event is not stored: see ``ConsentGate``.
  public var honoursDoNotTrack: Bool
  public var honoursGlobalPrivacyControl: Bool

  public init(
    origins: [String] = [], eventsPerSecondMax: Int? = nil, address: Address = .truncate,
    personalData: PersonalData = .remove, identifiers: Identifiers = .keep,
    honoursDoNotTrack: Bool = false, honoursGlobalPrivacyControl: Bool = false
  ) {
    self.origins = origins
    self.eventsPerSecondMax = eventsPerSecondMax
    self.address = address
    self.personalData = personalData
    self.identifiers = identifiers
    self.honoursDoNotTrack = honoursDoNotTrack
    self.honoursGlobalPrivacyControl = honoursGlobalPrivacyControl
  }
}
