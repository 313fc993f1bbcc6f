/// Where an event belongs: what the truth is kept by.
public struct DemoPlace: Hashable, Sendable, Comparable {
  public var campaign: String
  public var content: String
  public var variant: String
  public var channel: String

  public static func < (left: Self, right: Self) -> Bool {
    (left.campaign, left.content, left.variant, left.channel)
      < (right.campaign, right.content, right.variant, right.channel)
  }
}

/// One thing that a person (or a bot) did.
struct DemoEvent: Hashable, Sendable {
  enum Action: Hashable, Sendable {
    case impression, view, click, identify, custom
    case engagement(dwellMs: Int)
    /// Money in millionths of the currency (ISO 4217).
    case conversion(micros: Int64, currency: String)
  }

  /// How the event's time stands to the time at which it is sent.
  enum Timing: CaseIterable, Sendable {
    case live
    /// Some seconds back: behind its neighbours, still in time for an open window.
    case outOfOrder
    /// Minutes back: its window is final and is corrected.
    case late
    /// More than an hour back: beyond the lateness that the pipeline `recent` allows.
    case veryLate
  }

  /// The same at every sending.
  var id: String
  var action: Action
  var place: DemoPlace
  var person: DemoPerson
  /// Microseconds since the Unix epoch, whole milliseconds.
  var time: Int64
  var timing: Timing
}

/// A visitor as the tracking code sees one.
struct DemoPerson: Hashable, Sendable {
  /// nil on a device that keeps nothing, such as a mail reader.
  var anonymousID: String?
  /// nil until the person has logged in.
  var userID: String?
  var isBot = false

  /// The id that persons are told apart by.
  var name: String { userID ?? anonymousID ?? "" }
}
