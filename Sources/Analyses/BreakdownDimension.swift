/// What events can be told apart by.
public enum BreakdownDimension: Hashable, Sendable {
  case campaign, content, variant, channel
  /// Empty for people, else `bot`.
  case traffic
  /// What its payload says of where it came from.
  case country
  /// The class of the device, the family of the browser and of the system: see ``Agent``.
  case device, browser, system
  /// `utm_source`, else the host of the referrer.
  case source
  /// `utm_medium`, else `referral` where a referrer is known.
  case medium
  /// The host of the referrer, where that is another one than the page's.
  case referrer
  /// The segments with `events: true` that the person was in at the event's time: an event counts for each of them.
  case segment
  /// The event's name as the client sent it.
  case event
  /// Day of the week and hour in the zone of the question, such as `1-13` for Monday from 13:00 on.
  case hourOfWeek
  /// What the sender of the event named so, see ``EventProperty``.
  case property(String)

  /// Where a value is found.
  enum Part: Int, CaseIterable {
    case tuple, agent, name, payload, segment, time
  }

  var part: Part {
    switch self {
    case .campaign, .content, .variant, .channel, .traffic: .tuple
    case .device, .browser, .system: .agent
    case .event: .name
    case .country, .source, .medium, .referrer, .property: .payload
    case .segment: .segment
    case .hourOfWeek: .time
    }
  }
}

extension BreakdownDimension {
  /// All but properties.
  public static let named: [BreakdownDimension] = [
    .campaign, .content, .variant, .channel, .traffic, .country, .device, .browser, .system,
    .source, .medium, .referrer, .segment, .event, .hourOfWeek,
  ]

  /// Before a property's name in that of its dimension: `property:plan`.
  public static let propertyPrefix = "property:"
  /// UTF-8 bytes of a property's name, at least one.
  public static let propertyBytesMax = 128

  /// - Parameter name: as ``name`` gives it.
  public init?(name: String) {
    if let known = Self.named.first(where: { $0.name == name }) {
      self = known
      return
    }
    guard name.hasPrefix(Self.propertyPrefix) else { return nil }
    let property = String(name.dropFirst(Self.propertyPrefix.count))
    guard (1...Self.propertyBytesMax).contains(property.utf8.count),
      property.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
    else { return nil }
    self = .property(property)
  }

  /// As questions have it.
  public var name: String {
    switch self {
    case .campaign: "campaign"
    case .content: "content"
    case .variant: "variant"
    case .channel: "channel"
    case .traffic: "traffic"
    case .country: "country"
    case .device: "device"
    case .browser: "browser"
    case .system: "system"
    case .source: "source"
    case .medium: "medium"
    case .referrer: "referrer"
    case .segment: "segment"
    case .event: "event"
    case .hourOfWeek: "hour_of_week"
    case .property(let property): Self.propertyPrefix + property
    }
  }
}
