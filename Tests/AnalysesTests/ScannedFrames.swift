import Dataflow
import Events
import Operators
import Views

@testable import Analyses

let second: Int64 = 1_000_000
let hour: Int64 = 3_600 * second
/// 2025-11-24T10:00:00Z, a Monday.
let ten: Int64 = 1_763_978_400 * second

/// An event of a test, before it is in a frame.
struct ScannedEvent {
  var id: UInt64
  var kind = EventKind.impression
  var person: UInt64 = 1
  /// 0 for none.
  var user: UInt64 = 0
  var time = ten
  var tuple = DimensionTuple(site: "shop", campaign: "spring")
  var revenue: Int64 = 0
  var name = "Name"
  var agent = ""
  var payload = "{}"
}

/// Frames of a test, read as a scan reads a stream.
enum ScannedFrames {
  static let spec = PipelineSpec(name: "test", allowedLateness: 2 * hour)

  static func person(_ number: UInt64) -> Key128 {
    Key128(low: number &* 0x9e37_79b9_7f4a_7c15, high: number)
  }

  static func frame(_ events: [ScannedEvent], at storedAt: Int64) -> [UInt8] {
    var encoder = FrameEncoder()
    for event in events {
      encoder.append(
        IncomingEvent(
          kind: event.kind, key: Key128(low: event.id, high: 7),
          person: person(event.person), user: event.user == 0 ? .zero : person(event.user),
          eventTime: event.time, receivedAt: storedAt, dimensions: event.tuple.encoded,
          revenueMicros: event.revenue, id: "\(event.id)", name: event.name, source: "test",
          payload: Array(event.payload.utf8), agent: event.agent))
    }
    return encoder.seal(
      FrameHeader(
        kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 0,
        producerSequence: 1))
  }

  /// What a stream of these events, so many a frame, comes to.
  static func breakdown(
    _ question: BreakdownQuestion, _ events: [ScannedEvent], perFrame: Int = 50,
    at storedAt: Int64 = ten, segments: SegmentHistory = .none
  ) throws -> Breakdown {
    try read(Breakdown(question, segments: segments), events, perFrame: perFrame, at: storedAt)
  }

  /// An analysis that has read a stream of these events.
  static func read<A: Analysis>(
    _ analysis: A, _ events: [ScannedEvent], perFrame: Int = 50, at storedAt: Int64 = ten
  ) throws -> A {
    var judge = StreamJudge(spec, groups: 0..<KeyGroup.count)
    var start = 0
    var sequence: UInt64 = 0
    while start < events.count {
      let end = min(events.count, start + perFrame)
      sequence += 1
      try frame(Array(events[start..<end]), at: storedAt).withUnsafeBytes { bytes in
        try judge.add(bytes, sequence: sequence, storedAt: storedAt, to: analysis)
      }
      start = end
    }
    return analysis
  }

  /// Rows as text: bucket, values, counts by currency.
  static func texts(_ breakdown: Breakdown) -> [String] {
    breakdown.rows().map { row in
      let counts = row.counts.sorted { $0.key < $1.key }.map { currency, counts in
        "\(currency)[\(counts.impressions) \(counts.views) \(counts.clicks) \(counts.engagements)"
          + " \(counts.conversions) \(counts.revenueMicros)]"
      }
      return "\(row.bucket) \(row.values.joined(separator: "|")) \(counts.joined())"
    }
  }
}
