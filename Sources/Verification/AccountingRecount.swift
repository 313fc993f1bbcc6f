public import Dataflow
import Ports
public import Views

/// What became of every event: table `accounting`, one row per stream.
public final class AccountingRecount: ReadModelRecount {
  public private(set) var accounting: [StreamPartition: Accounting] = [:]

  public init() {}

  public func add(_ event: JudgedEvent, _ moment: Moment) {
    var accounting = accounting[moment.stream] ?? Accounting()
    accounting.received += 1
    switch event.verdict {
    case .onTime: accounting.onTime += 1
    case .late: accounting.late += 1
    case .tooLate: accounting.tooLate += 1
    case .duplicate: accounting.duplicate += 1
    case .rejected: accounting.rejected += 1
    }
    if event.isClamped, event.verdict == .onTime || event.verdict == .late {
      accounting.clampedFuture += 1
    }
    self.accounting[moment.stream] = accounting
  }

  public func expected(at instant: Instant) -> [ExpectedTable] {
    instant.checkpoints.filter { $0.key.role != .partials && $0.value.sequence > 0 }.map {
      stream, _ in
      let row = accounting[stream] ?? Accounting()
      return ExpectedTable(
        table: StoredTable(
          name: "accounting", stream: stream.stream, key: [],
          values: [
            "received", "on_time", "late", "too_late", "duplicate", "rejected", "clamped_future",
          ].map { StoredColumn($0) }),
        rows: [
          []: ExpectedRow(values: [
            row.received, row.onTime, row.late, row.tooLate, row.duplicate, row.rejected,
            row.clampedFuture,
          ])
        ])
    }
  }
}
