/// What an event means to the metrics. The raw value is the wire value in frames and is for ever.
public enum EventKind: UInt8, CaseIterable, Sendable {
  case impression = 1
  case view = 2
  case click = 3
  case engagement = 4
  case conversion = 5
  case identify = 6
  case custom = 7
  /// A user id takes over an earlier id: the event's person is the earlier one, its user the later.
  case alias = 8
  /// An anonymous id belongs to its user no longer: what it does from here on in the log is its own. What it
  /// did before stays with the user. With a user, only where that is its user now.
  case unlink = 9
  /// A person was shown a variant of a campaign, or assigned to it: what `Experiment Viewed` and feature
  /// flags say. It counts as nothing else.
  case exposure = 10
  /// What a person says about an incident. Only the query API makes such events.
  case feedback = 11
  /// What was decided for a person, or what a decision earned. Only the decision API makes such events.
  case decision = 12
  /// A person enters a segment of rules, or leaves it. Only the query API makes such events.
  case segment = 13
  /// A person is to be forgotten: what was received of it before has no say in what is learned. Only
  /// `smartcontent person erase` makes such events.
  case erasure = 14

  /// Those that clients can send.
  public static let sent: [EventKind] = allCases.filter {
    ![.feedback, .decision, .segment, .erasure].contains($0)
  }

  /// The name used in event mappings, in the pixel's `t` field and in CloudEvents types.
  public var name: String {
    switch self {
    case .impression: "impression"
    case .view: "view"
    case .click: "click"
    case .engagement: "engagement"
    case .conversion: "conversion"
    case .identify: "identify"
    case .custom: "custom"
    case .alias: "alias"
    case .unlink: "unlink"
    case .exposure: "exposure"
    case .feedback: "feedback"
    case .decision: "decision"
    case .segment: "segment"
    case .erasure: "erasure"
    }
  }

  /// - Returns: nil also for what clients cannot send, whatever name they give it.
  public init?(name: some StringProtocol) {
    guard let kind = Self.sent.first(where: { $0.name == name }) else { return nil }
    self = kind
  }
}
