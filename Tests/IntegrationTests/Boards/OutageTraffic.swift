import Dataflow
import Events
import MemoryPorts
import Ports
import Runtime
import Views

/// A day and a half of a site's traffic, in whose end there are next to no impressions of one campaign, as a log: what
/// takes a day to learn can't be waited for. The whole pipeline runs on it.
struct OutageTraffic {
  private static let minute: Int64 = 60_000_000
  private static let bin = 5 * minute
  /// Bins before the outage, in it, and after.
  private static let usual = 360
  private static let out = 12
  private static let after = 12

  private let log = MemoryEventLog()
  private let begin: Int64
  private let spec: PipelineSpec
  /// Stored time of the last frame of the outage.
  let outageEnd: Int64

  /// - Parameter now: when the outage is going on, microseconds since the epoch.
  init(now: Int64, site: String = "shop") {
    begin = IncidentPolicy.floor(now, Self.bin) - Int64(Self.usual + Self.out) * Self.bin
    outageEnd = begin + Int64(Self.usual + Self.out) * Self.bin
    spec = PipelineSpec(
      name: "outage", trends: TrendPolicy(), anomalies: IncidentPolicy(bin: Self.bin))
    var number: UInt64 = 0
    let parts = Int(IncidentPolicy.partCount)
    for part in 0..<(Self.usual + Self.out + Self.after) * parts {
      let isOut = Self.usual..<Self.usual + Self.out ~= part / parts
      let time = begin + Int64(part) * Self.bin / IncidentPolicy.partCount
      var events: [IncomingEvent] = []
      for campaign in ["spring", "autumn"] {
        let isGone = isOut && campaign == "spring" && part % 8 != 0
        // Clicks and conversions too: what is never clicked is not as usual either.
        let kinds: [EventKind] =
          Array(repeating: .impression, count: 6) + [
            .click, .click, .conversion,
          ]
        for (index, kind) in kinds.enumerated() where !isGone {
          number += 1
          let tuple = DimensionTuple(
            site: site, campaign: campaign, content: "offer", variant: index % 2 == 0 ? "a" : "b",
            channel: "web")
          events.append(
            IncomingEvent(
              kind: kind, key: Key128(low: number, high: 7),
              person: Key128(low: number, high: 9), eventTime: time + Int64(index),
              receivedAt: time + Int64(index), dimensions: tuple.encoded, id: "\(number)",
              name: "name", source: "test", payload: []))
        }
      }
      log.append(events, to: "events-00", storedAt: time + 1_000_000)
    }
  }

  /// The incidents that there are at an instant of the log's time.
  func incidents(until: Int64) throws -> [IncidentRow] {
    try LogReplay(
      spec, generations: [LogGeneration(number: 1, streams: ["events-00"])],
      deadLetters: StreamPartition(stream: "dead-letters", generation: 1, partition: -1), log: log,
      until: until
    ).run().incidents
  }
}
