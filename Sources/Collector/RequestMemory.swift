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
  @exclusivity(unchecked) var scrubber: PayloadScrubber?
  /// What the scrubber is for, and its marks.
  @exclusivity(unchecked) var scrubbedSource = ""
  @exclusivity(unchecked) var scrubbedName = ""
  @exclusivity(unchecked) var scrubbedKind = EventKind.custom
  @exclusivity(unchecked) var schemas:
    (name: String, kind: EventKind, versions: EventSchemas.Versions?)?
  /// A name in which there is nothing personal.
  @exclusivity(unchecked) var plainName: String?
}
