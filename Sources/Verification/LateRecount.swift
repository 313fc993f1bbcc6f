import Dataflow
import Ports
public import Views

/// Events that came later than the pipeline allows: table `late_events`.
public final class LateRecount: ReadModelRecount {
  /// In order, by stream.
  public private(set) var events: [String: [LateEvent]] = [:]
  private let tuples: TupleNumbers
  private var numbers: [Int64: Int] = [:]

  public init(tuples: TupleNumbers) { self.tuples = tuples }

  public func add(_ event: JudgedEvent, _ moment: Moment) {
    guard event.verdict == .tooLate else { return }
    let id = tuples.identifier(event.tuple)
    numbers[id] = event.tuple
    events[moment.stream.stream, default: []].append(
      LateEvent(
        sequence: moment.sequence, index: Int32(event.index), eventTime: event.time,
        kind: event.kind, dimensionID: id, revenueMicros: event.revenueMicros))
  }

  public func expected(at instant: Instant) -> [ExpectedTable] {
    instant.checkpoints.keys.filter { $0.role == .events }.map { stream in
      var table = ExpectedTable(table: Self.table(stream.stream), rows: [:])
      for event in events[stream.stream] ?? [] {
        table.rows[[Int64(bitPattern: event.sequence), Int64(event.index)]] = ExpectedRow(
          values: [
            event.eventTime, Int64(event.kind), event.dimensionID, event.revenueMicros,
          ])
        if let number = numbers[event.dimensionID] {
          table.tuples[event.dimensionID] = tuples.tuples[number]
        }
      }
      return table
    }
  }

  private static func table(_ stream: String) -> StoredTable {
    StoredTable(
      name: "late_events", stream: stream,
      key: [StoredColumn("sequence"), StoredColumn("index", .int4)],
      values: [
        StoredColumn("event_time", .time), StoredColumn("kind", .int2),
        StoredColumn("dimension_id"), StoredColumn("revenue_micros"),
      ])
  }
}
