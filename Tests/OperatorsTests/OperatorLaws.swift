import Dataflow
import Events
import Operators
import Testing
import Views

/// The laws that every operator keeps, whatever it computes.
enum OperatorLaws {
  /// What one run of an operator gave.
  private struct Run: Equatable {
    var verdicts: [[Verdict]] = []
    var rows: [RowKeyByID: RowValue] = [:]
    var lateEvents: [LateEvent] = []
    var state: [UInt8] = []
  }

  private struct RowKeyByID: Hashable {
    var level: WindowLevel
    var start: Int64
    var id: Int64
  }

  /// - Parameters:
  ///   - make: a new, empty operator.
  ///   - earlier: fills in what the operators before it decided.
  static func verify<Op: Operator & ~Copyable>(
    _ history: History, seed: UInt64, make: () -> Op,
    earlier: (Int, FrameView, inout Verdicts) throws -> Void = { _, _, _ in }
  ) throws {
    let straight = try run(history, make, earlier, restarts: .never, drainEvery: 1)
    for restarts in [Restarts.fromEverything, .fromChanges, .fromChain] {
      let restarted = try run(history, make, earlier, restarts: restarts, drainEvery: 1)
      #expect(
        (straight == restarted) == true,
        "\(Op.name): restored \(restarts) it is another, seed \(seed)")
    }
    let seldom = try run(history, make, earlier, restarts: .never, drainEvery: 7)
    #expect(
      (straight == seldom) == true,
      "\(Op.name): draining less often changes what is said, seed \(seed)")
  }

  private static func run<Op: Operator & ~Copyable>(
    _ history: History, _ make: () -> Op,
    _ earlier: (Int, FrameView, inout Verdicts) throws -> Void, restarts: Restarts,
    drainEvery: Int
  ) throws -> Run {
    var result = Run()
    var op = make()
    var chain: [[UInt8]] = []
    var verdicts = Verdicts()
    var logTime = Int64.min
    for (index, frame) in history.frames.enumerated() {
      logTime = max(logTime, frame.storedAt)
      let moment = FrameMoment(
        sequence: UInt64(index + 1), logTime: logTime,
        watermark: logTime - history.spec.allowedDisorder)
      op.advance(to: moment)
      if !frame.isPoison {
        try frame.bytes.withUnsafeBytes {
          let view = try FrameView($0)
          verdicts.reset(count: view.count)
          try earlier(index, view, &verdicts)
          try op.process(view, at: moment, verdicts: &verdicts)
        }
        result.verdicts.append((0..<verdicts.count).map { verdicts[$0] })
      }
      if index % drainEvery == 0 || index == history.frames.count - 1 {
        var outbox = Outbox()
        op.drain(.commit(includeCoarse: true), into: &outbox)
        add(outbox, to: &result)
      }
      switch restarts {
      case .never: break
      case .fromEverything: chain = [bytes(&op, .everything)]
      case .fromChanges: chain.append(bytes(&op, .changes))
      case .fromChain:
        if index % 5 == 2 {
          chain = [bytes(&op, .everything)]
        } else if index % 3 != 1 {
          chain.append(bytes(&op, .changes))
        } else {
          continue
        }
      }
      if restarts != .never { try restart(&op, make, chain) }
    }
    result.state = bytes(&op, .everything)
    return result
  }

  /// Between frames: from a base each time, from increments alone, or from a base and increments
  /// that hold one frame or more.
  private enum Restarts { case never, fromEverything, fromChanges, fromChain }

  private static func restart<Op: Operator & ~Copyable>(
    _ op: inout Op, _ make: () -> Op, _ chain: [[UInt8]]
  ) throws {
    var restored = make()
    for link in chain {
      var reader = try SnapshotReader(link, pipelineHash: 1)
      try restored.restore(from: &reader, keeping: 0..<KeyGroup.count)
      try reader.finish()
    }
    op = restored
  }

  private static func bytes<Op: Operator & ~Copyable>(
    _ op: inout Op, _ scope: SnapshotScope
  ) -> [UInt8] {
    var writer = SnapshotWriter(
      kind: scope == .everything ? .base : .increment, pipelineHash: 1)
    op.snapshot(scope, into: &writer)
    return writer.finish()
  }

  private static func add(_ outbox: Outbox, to run: inout Run) {
    for row in outbox.rows {
      run.rows[RowKeyByID(level: row.level, start: row.start, id: row.dimensionID)] =
        RowValue(counts: row.counts, revision: row.revision)
    }
    for delta in outbox.deltas {
      let key = RowKeyByID(level: delta.level, start: delta.start, id: delta.dimensionID)
      run.rows[key, default: RowValue()].counts += delta.counts
      run.rows[key, default: RowValue()].revision += delta.revision
    }
    run.lateEvents.append(contentsOf: outbox.lateEvents)
  }
}
