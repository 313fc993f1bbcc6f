import Events

/// What gates remember from one event of a request to the next: all have the same sender, and most are alike, so
/// that what event loops share is asked once for all of them.
///
/// Of one thread, and of one write key.
final class RequestMemory {
  // Nothing touches it while something else does, and watching for that costs more than what it saves.

  /// The request's own user agent.
  @exclusivity(unchecked) var agent: AgentCache.Known?
  /// Of the last event.
  @exclusivity(unchecked) var judged: (label: String, reasons: BotReasons)?
  @exclusivity(unchecked) var rates = RequestRates()
  /// Of the client that the event at the gates names; empty where it names none.
  @exclusivity(unchecked) var address = ""
  @exclusivity(unchecked) var scrubber: PayloadScrubber?
  /// What the scrubber is for, and its marks.
  @exclusivity(unchecked) var scrubbedSource = ""
  @exclusivity(unchecked) var scrubbedName = ""
  @exclusivity(unchecked) var scrubbedKind = EventKind.custom
  @exclusivity(unchecked) var schemas:
    (name: String, kind: EventKind, versions: EventSchemas.Versions?)?
  /// Of the event that is at the gates.
  @exclusivity(unchecked) var likeness = EventTemplates.Likeness.none
  /// The events, by their number, of which nothing had to be changed, nor of those that are like them.
  @exclusivity(unchecked) var cleanTemplates: UInt64 = 0
  /// A name in which there is nothing personal.
  @exclusivity(unchecked) var plainName: String?
}
