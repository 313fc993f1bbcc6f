import Dataflow
import Events
import Ports
import Views

@testable import Runtime

/// Replayed read models as the tables of Postgres, for the recount that verifies these.
///
/// Only what a commit writes: of 10 s and 1 min windows the final ones.
final class ReplayedTables: StoredTableReader, StoredTables {
  private let views: ReplayedViews
  private let tuples: [Int64: [UInt8]]

  init(_ views: ReplayedViews) {
    self.views = views
    let rows = views.windows.map { ($0.row.dimensionID, $0.tuple.encoded) }
    let trends = views.trends.map { ($0.row.dimensionID, $0.tuple.encoded) }
    let late = views.lateEvents.map { ($0.event.dimensionID, $0.tuple.encoded) }
    tuples = Dictionary(rows + trends + late) { $1 }
  }

  func instant<Value>(
    _ body: (any StoredTables) throws(ViewStoreError) -> Value
  ) throws(ViewStoreError) -> Value { try body(self) }

  func checkpoints() throws(ViewStoreError) -> [StreamPartition: Checkpoint] {
    views.checkpointsByStream
  }

  func isStored(tuple: [UInt8], id: Int64) throws(ViewStoreError) -> Bool? {
    tuples[id].map { $0 == tuple }
  }

  func read(
    _ table: StoredTable, row: ([Int64], [Int64]) -> Void
  ) throws(ViewStoreError) {
    for found in rows(table) { row(found.key, found.values) }
  }

  private func rows(_ table: StoredTable) -> [(key: [Int64], values: [Int64])] {
    let stream = views.checkpointsByStream.keys.first { $0.stream == table.stream }
    switch table.name {
    case "checkpoints":
      guard let stream, let checkpoint = views.checkpointsByStream[stream] else { return [] }
      return [
        (
          [],
          [
            Int64(bitPattern: checkpoint.sequence), Int64(checkpoint.fingerprint.checksum),
            checkpoint.fingerprint.storedAt, checkpoint.logTime, checkpoint.watermark,
          ]
        )
      ]
    case "accounting":
      guard let stream, let counts = views.accountingByStream[stream] else { return [] }
      return [
        (
          [],
          [
            counts.received, counts.onTime, counts.late, counts.tooLate, counts.duplicate,
            counts.rejected, counts.clampedFuture,
          ]
        )
      ]
    case "late_events":
      return views.lateEvents.filter { $0.stream == stream }.map { late in
        let event = late.event
        return (
          [Int64(bitPattern: event.sequence), Int64(event.index)],
          [event.eventTime, Int64(event.kind), event.dimensionID, event.revenueMicros]
        )
      }
    case "trends":
      return views.trends.map { trend in
        ([trend.row.end, trend.row.dimensionID, 0], Self.sums(trend.row.counts, trend.row.isFinal))
      }
    case "incidents":
      return views.incidents.map { row in
        (
          [row.begin, row.id],
          [
            Int64(row.kind.rawValue), Int64(row.severity.rawValue), Int64(row.revision), row.digest,
          ]
        )
      }
    default: return windows(table)
    }
  }

  private func windows(_ table: StoredTable) -> [(key: [Int64], values: [Int64])] {
    let hasRevision = table.values.contains { $0.name == "revision" }
    return views.windows.filter { window in
      return table.name == "\(window.measure.tableName)_\(window.row.level.name)"
        && (window.row.level.isCoarse || window.row.isFinal)
    }.map { window in
      let row = window.row
      let stream = window.stream
      let source =
        stream.role == .partials ? 0 : Int64(stream.generation) << 8 | Int64(stream.partition)
      var values = Self.sums(row.counts, row.isFinal)
      if hasRevision { values.insert(Int64(row.revision), at: values.count - 1) }
      return ([row.start, row.dimensionID, source], values)
    }
  }

  private static func sums(_ counts: Counts, _ isFinal: Bool) -> [Int64] {
    [
      counts.impressions, counts.views, counts.clicks, counts.engagements, counts.conversions,
      counts.revenueMicros, isFinal ? 1 : 0,
    ]
  }
}
