/// What a mapping looks for in an event besides its kind.
public enum MappedPart: UInt16, CaseIterable, Sendable {
  case campaign, content, variant, channel, revenue, currency
}

/// What people who look at an event should know of how it was read; no part of the log.
public struct EventNotes: OptionSet, Hashable, Sendable {
  public let rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// No line of the mapping names the event.
  public static let unnamed = EventNotes(rawValue: 1)

  /// A property of this meaning is there and cannot be used.
  public static func unusable(_ part: MappedPart) -> EventNotes {
    EventNotes(rawValue: 2 << part.rawValue)
  }

  /// The text was longer than a dimension may be.
  public static func cut(_ part: MappedPart) -> EventNotes {
    EventNotes(rawValue: 0x100 << part.rawValue)
  }
}
