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
  /// Written snapshots: maybe a base, then increments.
  var chain: [Link] = []
  var lastReport = RestoreReport(replayAfter: 0, findings: [])

  struct Link {
    var isBase = false
    var from: UInt64
    var to: UInt64
    var bytes: [UInt8]
  }

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
    #expect(pipeline.accounting.isConserved, "seed \(seed)")
  }

  /// The hot copy keeps what readers of the committed rows look for in it.
  func drainHot() { updateHot(pipeline.drainHot()) }

  private func updateHot(_ rows: [HotRow]) {
    hot.update(
      rows, seams: views.checkpoint.seams, watermark: pipeline.watermark, seed: seed)
  }

  /// The hot copy is lost and written anew.
  func rebuildHot() {
    hot = MemoryHot()
    updateHot(pipeline.allHot())
  }

  /// - Parameter isLost: the batch is drained and never reaches the store.
  func commit(includeCoarse: Bool, isLost: Bool = false) {
    let batch = pipeline.drainCommit(includeCoarse: includeCoarse)
    if !isLost { views.commit(batch, previous: views.checkpoint.sequence, seed: seed) }
  }

  /// Adds what has changed to the chain; nothing if no frame has come since.
  func save() {
    let from = pipeline.snapshotPosition
    guard pipeline.position > from else { return }
    let bytes = pipeline.snapshot(.changes)
    chain.append(Link(from: from, to: pipeline.position, bytes: bytes))
  }

  /// Leaves what has changed out of increments; a base is made of the log instead.
  func leaveOut() throws {
    pipeline.forgetChanges()
    let other = TestLoop(history, seed: seed, groups: groups)
    try other.read(Int(pipeline.position))
    chain = [Link(isBase: true, from: 0, to: pipeline.position, bytes: other.state())]
  }

  /// Starts the chain anew with everything.
  func saveBase() {
    let bytes = pipeline.snapshot(.everything)
    chain = [Link(isBase: true, from: 0, to: pipeline.position, bytes: bytes)]
  }

  /// Puts a base in place of the first links.
  func compact(_ count: Int) throws {
    let links = chain.prefix(count)
    guard let last = links.last else { return }
    let base = try Pipeline.compact(
      spec: history.spec, stream: Self.stream, groups: groups,
      base: links.first { $0.isBase }?.bytes,
      increments: links.filter { !$0.isBase }.map(\.bytes))
    guard let base else { return }
    chain.replaceSubrange(
      ..<links.count, with: [Link(isBase: true, from: 0, to: last.to, bytes: base)])
  }

  func crash() throws {
    pipeline = Self.pipeline(history.spec, groups)
    lastReport = try restore(&pipeline)
    // What cannot be used is not kept.
    chain.removeAll { $0.to > lastReport.replayAfter }
    if lastReport.replayAfter == 0 { chain = [] }
    try replay()
    rebuildHot()
  }

  func restore(_ pipeline: inout Pipeline) throws(PipelineError) -> RestoreReport {
    try pipeline.restore(
      base: chain.first { $0.isBase }?.bytes,
      increments: chain.filter { !$0.isBase }.map(\.bytes),
      committed: views.checkpoint, accounting: views.accounting)
  }

  /// Everything that the pipeline remembers.
  func state() -> [UInt8] { pipeline.snapshot(.everything) }
}
