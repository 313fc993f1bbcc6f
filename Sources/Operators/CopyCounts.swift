/// Copies of events by what they are: the same id once more, with the same payload or with another one.
///
/// Snowplow's terms ("Event deduplication"): a *natural* copy is one that was sent or stored again, which is
/// what retries do; a *synthetic* one shares its id with an event that it is not, as robots, caches in front
/// of pages and broken clients make them. Neither is counted by any metric of content; what tells them apart
/// is the events' ``Events/IncomingEvent/fingerprint``, of which ten bits are remembered, so that one in a
/// thousand synthetic copies passes for a natural one.
public struct CopyCounts: Hashable, Sendable {
  public var natural = 0
  public var synthetic = 0
  /// The first one is remembered from a snapshot, which has no fingerprints, or came without one.
  public var untold = 0

  public init() {}

  mutating func add(remembered: UInt32, mark: UInt32) {
    if remembered == 0 || mark == 0 {
      untold += 1
    } else if remembered == mark {
      natural += 1
    } else {
      synthetic += 1
    }
  }
}
