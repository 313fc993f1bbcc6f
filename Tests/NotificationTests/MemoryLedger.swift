import Events
import Ports
import Views

@testable import Notifications

/// A ledger in memory, of a receiver that is told of all rows.
final class MemoryLedger: IncidentLedger {
  var rows: [IncidentRow] = []
  var state = ReceiverState.taken
  private(set) var notes: [Int64: (revision: Int32, told: IncidentNotice.Told)] = [:]
  /// How many notes fail from now on.
  var failingNotes = 0

  func take() throws(ViewStoreError) -> ReceiverState { state }

  func owed(limit: Int) throws(ViewStoreError) -> [IncidentNotice] {
    rows.filter { notes[$0.id]?.revision != $0.revision }.prefix(limit).map {
      IncidentNotice(row: $0, isOpen: $0.end == nil, told: notes[$0.id]?.told)
    }
  }

  func note(_ notice: IncidentNotice, sequence: UInt64) throws(ViewStoreError) {
    if failingNotes > 0 {
      failingNotes -= 1
      throw .unavailable("away")
    }
    notes[notice.row.id] = (
      notice.row.revision, IncidentNotice.Told(isOpen: notice.isOpen, sequence: sequence)
    )
  }

  func end() throws(ViewStoreError) { state = .ended }
}

/// A receiver that answers as its script says, and takes what comes after it.
final class ScriptedReceiver: IncidentReceiver {
  var script: [ReceiverAnswer]
  /// What it was sent, in order.
  private(set) var messages: [String] = []

  init(_ script: [ReceiverAnswer] = []) { self.script = script }

  func tell(_ notice: IncidentNotice) -> ReceiverAnswer {
    messages.append("\(notice.event.rawValue) \(notice.messageID)")
    return script.isEmpty ? .accepted(sequence: UInt64(messages.count)) : script.removeFirst()
  }
}

extension IncidentRow {
  /// 2026-11-30 10:15:00 UTC, a Monday.
  static let monday: Int64 = 1_796_033_700_000_000

  static func sample(
    _ id: Int64 = 7, end: Int64? = nil, severity: Severity = .warning, revision: Int32 = 1,
    group: Int64? = nil
  ) -> IncidentRow {
    IncidentRow(
      id: id, site: "default", campaign: "spring", content: "", kind: .rateDown, begin: monday,
      end: end, evidence: 8.25, severity: severity, observed: 38, expected: 100, lower: 81,
      upper: 119.5,
      series: [
        Point(start: monday - 300_000_000, observed: 31, expected: 33.5),
        Point(start: monday, observed: 12, expected: 33.25),
      ], contributor: Contributor(dimension: .variant, value: "b", share: 0.7),
      group: group ?? id, revision: revision)
  }
}
