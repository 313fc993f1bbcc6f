import Dataflow
import Events
import Operators
import Testing
import Views

/// A durable store and a hot copy in memory, which check on each write what the real ones rely on.
struct MemoryViews {
  var checkpoint = Checkpoint()
  var accounting = Accounting()
  var rows: [RowKey: RowValue] = [:]
  var final: Set<RowKey> = []
  var late: [LateEvent] = []
  private var tuples: [Int64: [UInt8]] = [:]

  /// Applies a batch as one transaction, with the compare-and-set of its checkpoint.
  mutating func commit(_ batch: CommitBatch, previous: UInt64, seed: UInt64) {
    #expect(previous == checkpoint.sequence, "seed \(seed)")
    #expect(batch.checkpoint.sequence >= previous, "seed \(seed)")
    #expect(batch.accounting.isConserved, "seed \(seed)")
    for entry in batch.dimensions { tuples[entry.id] = entry.encoded }
    for row in batch.rows {
      guard let key = key(of: row, seed) else { continue }
      // What has left state was written for the last time when it left.
      #expect(row.start >= checkpoint.seams[row.level], "row of an expired window, seed \(seed)")
      rows[key] = RowValue(counts: row.counts, revision: row.revision)
      if row.isFinal { final.insert(key) }
      #expect(
        row.isFinal == (row.start + row.level.length <= batch.checkpoint.watermark), "seed \(seed)")
      #expect(row.isFinal || row.level.isCoarse, "seed \(seed)")
    }
    for delta in batch.deltas {
      guard let key = key(of: delta, seed) else { continue }
      #expect(delta.start < batch.checkpoint.seams[delta.level], "seed \(seed)")
      rows[key, default: RowValue()].counts += delta.counts
      rows[key, default: RowValue()].revision += delta.revision
      final.insert(key)
    }
    for event in batch.lateEvents {
      #expect(tuples[event.dimensionID] != nil, "seed \(seed)")
      #expect(event.sequence > checkpoint.sequence, "seed \(seed)")
    }
    late.append(contentsOf: batch.lateEvents)
    #expect(Self.isOrdered(batch.rows) && Self.isOrdered(batch.deltas), "seed \(seed)")
    accounting = batch.accounting
    checkpoint = batch.checkpoint
  }

  private func key(of row: WindowRow, _ seed: UInt64) -> RowKey? {
    guard let tuple = tuples[row.dimensionID] else {
      Issue.record("a row's tuple was never written, seed \(seed)")
      return nil
    }
    return RowKey(level: row.level, start: row.start, tuple: tuple)
  }

  static func isOrdered(_ rows: [WindowRow]) -> Bool {
    zip(rows, rows.dropFirst()).allSatisfy { a, b in
      (a.level.rawValue, a.start, a.dimensionID) < (b.level.rawValue, b.start, b.dimensionID)
    }
  }
}

/// The hot copy: rows in state as the readers see them.
struct MemoryHot {
  var rows: [RowKey: RowValue] = [:]

  mutating func update(_ changed: [HotRow], seams: Seams, watermark: Int64, seed: UInt64) {
    for hot in changed {
      let key = RowKey(level: hot.row.level, start: hot.row.start, tuple: hot.tuple)
      rows[key] = RowValue(counts: hot.row.counts, revision: hot.row.revision)
      #expect(hot.row.isFinal == key.isFinal(at: watermark), "seed \(seed)")
    }
    rows = rows.filter { $0.key.start >= seams[$0.key.level] }
  }
}

extension RowKey {
  func isFinal(at watermark: Int64) -> Bool { start + level.length <= watermark }
}
