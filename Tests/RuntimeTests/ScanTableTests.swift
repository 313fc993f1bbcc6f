import Analyses
import Dataflow
import Events
import Glibc
import LogScans
import MemoryPorts
import Metrics
import Ports
import Synchronization
import Testing
import Threads
import Views

@testable import Runtime

/// Scans beside each other, on a log that gives nothing until it is told to.
@Suite struct ScanTableTests {
  private let log = GatedLog()

  private var source: ScannedLog {
    ScannedLog(
      spec: World.shortGrace, generations: [LogGeneration(number: 1, streams: ["events-00"])],
      log: log)
  }

  private func table(
    running: Int = 2, waiting: Int = 8, kept: Int = 64,
    _ registry: MetricRegistry = MetricRegistry()
  ) -> ScanTable {
    var limits = ScanTable.Limits(threadCount: 1)
    limits.runningMax = running
    limits.waitingMax = waiting
    limits.keptMax = kept
    return ScanTable(limits: limits, registry: registry, logger: World.quiet)
  }

  private func start(
    _ table: ScanTable, _ question: String, knownAt: Int64? = nil
  ) throws -> ScanJob {
    try table.start(question, of: source, knownAt: knownAt) { scan throws(ScanError) in
      let (breakdown, reach) = try scan.run {
        Breakdown(BreakdownQuestion(site: "shop", times: .min..<Int64.max))
      }
      return ScanJob.Answer(
        Array(
          "\(breakdown.rows().first?.counts[""]?.impressions ?? 0) \(reach.tally.events)".utf8))
    }
  }

  private func text(_ job: ScanJob) async -> String {
    await job.wait(atMost: .seconds(30))
    guard case .done(let answer) = job.state else { return "\(job.state)" }
    return String(decoding: answer.bytes, as: UTF8.self)
  }

  private func append(_ ids: ClosedRange<UInt64>) {
    log.append(.events(ids.map { TestEvent(id: $0, time: ten) }, at: ten))
  }

  @Test("Who asks the same meanwhile waits for the same scan; later the answer is there")
  func shared() async throws {
    append(1...5)
    let registry = MetricRegistry()
    let table = table(running: 8, registry)
    let first = try start(table, "a")
    let second = try start(table, "a")
    #expect(first === second && first.isRunning && table.job(first.id) === first)
    log.open()
    #expect(await text(first) == "5 5")
    #expect(try start(table, "a") === first)
    let outcomes = registry.counter(ScanMetrics.scans)
    #expect(outcomes.with("shared").value == 1 && outcomes.with("cached").value == 1)
    #expect(outcomes.with("done").value == 1)
    // Another question, and the same one of a log that has grown, are scans of their own.
    #expect(try start(table, "b").id != first.id)
    #expect(try start(table, "a", knownAt: ten - 1).id != first.id)
    append(6...8)
    let grown = try start(table, "a")
    #expect(grown.id != first.id)
    #expect(await text(grown) == "8 8")
  }

  @Test("Of a time that is over the answer stays, however the log grows")
  func known() async throws {
    append(1...5)
    log.open()
    let table = table()
    let known = try start(table, "a", knownAt: ten)
    #expect(await text(known) == "5 5")
    log.append(.events([TestEvent(id: 6, time: ten)], at: ten + 1))
    #expect(try start(table, "a", knownAt: ten) === known)
    let later = try start(table, "a", knownAt: ten + 1)
    #expect(await text(later) == "6 6")
    // What is only just known may still come.
    let now = Int64(time(nil)) * 1_000_000
    let open = try start(table, "a", knownAt: now)
    log.append(.events([TestEvent(id: 7, time: ten)], at: ten + 2))
    #expect(try start(table, "a", knownAt: now) !== open)
  }

  @Test("So many run at once, others wait for their turn, and who comes then is told to come again")
  func bounded() async throws {
    append(1...5)
    let table = table(running: 2, waiting: 2)
    let jobs = try ["a", "b", "c", "d"].map { try start(table, $0) }
    #expect(throws: ScanError.tooMany(max: 4)) { try start(table, "e") }
    try await eventually { jobs[0].control.hasBegun && jobs[1].control.hasBegun }
    #expect(!jobs[2].control.hasBegun && !jobs[3].control.hasBegun)
    jobs[2].control.cancel()
    await jobs[2].wait(atMost: .seconds(30))
    guard case .failed(.cancelled) = jobs[2].state else {
      Issue.record("\(jobs[2].state)")
      return
    }
    log.open()
    for job in [jobs[0], jobs[1], jobs[3]] { #expect(await text(job) == "5 5") }
    #expect(await text(try start(table, "e")) == "5 5")
  }

  @Test("A cancelled scan ends without an answer, and the question can be asked again")
  func cancelled() async throws {
    append(1...5)
    let table = table()
    let job = try start(table, "a")
    job.control.cancel()
    await job.wait(atMost: .seconds(30))
    guard case .failed(.cancelled) = job.state else {
      Issue.record("\(job.state)")
      return
    }
    log.open()
    let again = try start(table, "a")
    #expect(again !== job && again.id == job.id)
    #expect(await text(again) == "5 5")
  }

  @Test("The oldest answers are forgotten where there are too many")
  func forgotten() async throws {
    append(1...5)
    log.open()
    let table = table(kept: 3)
    var ids: [String] = []
    for question in 0..<8 {
      let job = try start(table, "\(question)")
      ids.append(job.id)
      #expect(await text(job) == "5 5")
    }
    let kept = ids.map { table.job($0) != nil }
    #expect(kept == [false, false, false, false, false, true, true, true])
  }

  @Test("Progress counts up to all frames, with an estimate of the rest")
  func progress() async throws {
    append(1...5)
    append(6...9)
    let table = table()
    let job = try start(table, "a")
    #expect(job.estimatedRest == nil && job.control.progress.share == 0)
    log.open()
    #expect(await text(job) == "9 9")
    let progress = job.control.progress
    #expect(progress.framesDone == 2 && progress.framesTotal == 2 && progress.eventsRead == 9)
    #expect(job.control.progress.share == 1)
  }

  @Test("Who was erased is known once all facts of it were read, and those that come")
  func erasures() async throws {
    let facts = MemoryFacts()
    let ann = Key128(low: 1, high: 1)
    _ = try await facts.append(ErasureRegister.fact(ann, at: 5), expecting: nil)
    facts.isAway = true
    let registry = MetricRegistry()
    let register = ErasureRegister(facts: facts, registry: registry, logger: World.quiet)
    register.start()
    try await eventually { registry.counter(ErasureRegister.problems).with().value > 0 }
    #expect(register.erasures == nil)
    facts.isAway = false
    try await eventually { register.erasures?.version.count == 1 }
    _ = try await facts.append(
      ErasureRegister.fact(Key128(low: 2, high: 1), at: 9), expecting: nil)
    try await eventually { register.erasures.map { $0.version == (2, 9) } ?? false }
    register.stop()
  }

  @Test("Once stopped it ends what runs and begins nothing")
  func stopped() throws {
    append(1...5)
    let table = table()
    let job = try start(table, "a")
    table.stop()
    #expect(!job.isRunning)
    #expect(throws: ScanError.self) { try start(table, "b") }
  }
}

/// One stream whose readers get nothing until it is opened.
private final class GatedLog: EventLog {
  private struct State {
    var entries: [LogEntry] = []
    var isOpen = false
  }

  private let state = Mutex(State())
  private let bell = Bell()

  func append(_ entry: LogEntry) { state.withLock { $0.entries.append(entry) } }

  func open() {
    state.withLock { $0.isOpen = true }
    bell.ring()
  }

  fileprivate func frames(after position: UInt64, timeoutMs: Int) -> [any StoredFrame] {
    if !state.withLock({ $0.isOpen }) {
      bell.wait(milliseconds: timeoutMs)
      // There may be another reader who waits.
      if state.withLock({ $0.isOpen }) { bell.ring() }
      return []
    }
    return state.withLock { $0.entries }.enumerated().dropFirst(Int(position)).map {
      MemoryFrame($1, sequence: UInt64($0 + 1))
    }
  }

  func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
    GatedReader(self, after)
  }

  func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
    MemoryFrame(state.withLock { $0.entries[Int(sequence) - 1] }, sequence: sequence)
  }

  func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
    (1, UInt64(state.withLock { $0.entries.count }))
  }
}

private final class GatedReader: FrameReader {
  private let log: GatedLog
  private var position: UInt64

  init(_ log: GatedLog, _ position: UInt64) {
    self.log = log
    self.position = position
  }

  func next(timeoutMs: Int) throws(LogError) -> [any StoredFrame] {
    let frames = log.frames(after: position, timeoutMs: timeoutMs)
    position = frames.last?.sequence ?? position
    return frames
  }

  var lastKnownSequence: UInt64 { position }
}
