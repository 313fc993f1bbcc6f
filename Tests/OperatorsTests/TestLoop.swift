import Dataflow
import Events
import Operators
import Testing
import Views

/// What a partition's loop does with a pipeline, on stores in memory, with crashes where the test
/// wants them. Everything durable survives `crash`; everything else is lost.
final class TestLoop {
  let history: History
  let seed: UInt64
  let groups: Range<Int>
  var pipeline: Pipeline
  var views = MemoryViews()
  var hot = MemoryHot()
  /// Written blobs: of the head the last, of each group all, each with its sequence.
  var head: [UInt8]?
  var headSequence: UInt64 = 0
  var groupBlobs: [Int: [(sequence: UInt64, bytes: [UInt8])]] = [:]
  var lastReport = RestoreReport(replayAfter: 0, headSequence: 0, findings: [])

  init(_ history: History, seed: UInt64, groups: Range<Int> = 0..<4) {
    self.history = history
    self.seed = seed
    self.groups = groups
    pipeline = Self.pipeline(history.spec, groups)
  }

  static let stream = StreamPartition(stream: "events-00", generation: 1, partition: 0)

  static func pipeline(_ spec: PipelineSpec, _ groups: Range<Int>) -> Pipeline {
    Pipeline(spec: spec, stream: stream, groups: groups)
  }

  /// Processes up to `count` further frames.
  func read(_ count: Int = .max) throws {
    let from = Int(pipeline.position)
    for index in from..<min(history.frames.count, count == .max ? .max : from + count) {
      try feed(index)
    }
  }

  /// Replays until nothing is silent any more.
  func replay() throws {
    while pipeline.isSilent { try feed(Int(pipeline.position)) }
  }

  private func feed(_ index: Int) throws {
    let frame = history.frames[index]
    let sequence = UInt64(index + 1)
    if frame.isPoison {
      try pipeline.skip(sequence: sequence, storedAt: frame.storedAt)
    } else {
      try frame.bytes.withUnsafeBytes {
        try pipeline.process(
          frame: try FrameView($0), sequence: sequence, storedAt: frame.storedAt)
      }
    }
    if !pipeline.isCatchingUp {
      #expect(pipeline.accounting.isConserved, "seed \(seed)")
    }
  }

  /// The hot copy keeps what readers of the committed rows look for in it.
  func drainHot() { hot.update(pipeline.drainHot(), seams: views.checkpoint.seams) }

  /// The hot copy is lost and written anew.
  func rebuildHot() {
    hot = MemoryHot()
    hot.update(pipeline.allHot(), seams: views.checkpoint.seams)
  }

  /// - Parameter isLost: the batch is drained and never reaches the store.
  func commit(includeCoarse: Bool, isLost: Bool = false) {
    let batch = pipeline.drainCommit(includeCoarse: includeCoarse)
    if !isLost { views.commit(batch, previous: views.checkpoint.sequence, seed: seed) }
  }

  func saveHead() {
    head = pipeline.snapshotHead()
    headSequence = pipeline.position
  }

  func saveGroup(_ group: Int) {
    groupBlobs[group, default: []].append((pipeline.position, pipeline.snapshotGroup(group)))
  }

  func crash() throws {
    pipeline = Self.pipeline(history.spec, groups)
    lastReport = try pipeline.restore(
      head: head,
      group: { group in
        self.groupBlobs[group]?.last { $0.sequence <= self.headSequence }?.bytes
      },
      committed: views.checkpoint, accounting: views.accounting)
    try replay()
    rebuildHot()
  }

  /// Head and groups as bytes: everything that the pipeline remembers.
  func state() -> [[UInt8]] {
    [pipeline.snapshotHead()] + groups.map { pipeline.snapshotGroup($0) }
  }
}
