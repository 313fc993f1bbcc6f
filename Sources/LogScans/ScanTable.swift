import Analyses
import Dataflow
import Events
import Glibc
public import Logging
public import Metrics
import Ports
import Synchronization
import Threads

/// The scans of a process: a bounded number that run, others that wait for their turn in the order in which they
/// came, and a bounded number of answers that are kept.
///
/// An answer is kept by what it was asked and how far the log had come: asked once more before anything new is
/// stored, it is there at once, and who asks while the same scan runs waits for that one.
public final class ScanTable: Sendable {
  /// Bounds of what scans may use.
  public struct Limits: Sendable {
    /// Scans that run at once. Each remembers ids as a pipeline does, some 35 bytes for each within the horizon.
    public var runningMax = 2
    /// Scans that wait for their turn, each with a thread that sleeps.
    public var waitingMax = 30
    /// Answers, failures among them, that can still be asked for.
    public var keptMax = 64
    public var keptBytesMax = 64 << 20
    /// Streams that one scan reads at the same time; by default as many as there are processors.
    public var threadCount: Int

    public init(threadCount: Int = ScanTable.processorCount) { self.threadCount = threadCount }
  }

  /// Processors that this process may run on.
  public static var processorCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

  private struct State {
    var jobs: [String: ScanJob] = [:]
    /// Ids in order of their beginning.
    var order: [String] = []
    var isStopped = false
  }

  private let limits: Limits
  private let metrics: ScanMetrics
  private let logger: Logger
  private let state = Mutex(State())

  public init(limits: Limits = Limits(), registry: MetricRegistry, logger: Logger) {
    self.limits = limits
    self.logger = logger
    metrics = ScanMetrics(registry)
  }

  /// Begins a scan, or finds the one of the same question and the same part of the log. Blocks while the log is asked
  /// how far it reaches.
  ///
  /// - Parameters:
  ///   - question: in one form for each question; two with the same one have the same answer.
  ///   - mediaType: of the answer.
  ///   - body: reads the log, once or more, and says what is sent of what it found.
  public func start(
    _ question: String, of source: ScannedLog, knownAt: Int64?,
    mediaType: String = "application/json",
    _ body: @escaping @Sendable (LogScan) throws(ScanError) -> ScanJob.Answer
  ) throws(ScanError) -> ScanJob {
    let extent: ScanExtent
    do throws(LogError) {
      extent = try source.extent(knownAt: knownAt)
    } catch {
      throw .log(error)
    }
    let id = Self.id(question, source, extent, now: Self.now)
    let (job, isNew) = try enter(id, mediaType)
    guard isNew else { return job }
    let scan = LogScan(source, extent, control: job.control, threadCount: limits.threadCount)
    job.run { [self] in
      guard awaitTurn(job) else { return .failed(.cancelled) }
      metrics.began()
      let state: ScanJob.State
      do throws(ScanError) {
        state = .done(try body(scan))
      } catch {
        state = .failed(error)
      }
      ended(job, state)
      return state
    }
    return job
  }

  /// - Returns: nil where there is no such scan, or not any more.
  public func job(_ id: String) -> ScanJob? { state.withLock { $0.jobs[id] } }

  /// Ends all scans, and waits for them.
  public func stop() {
    let jobs = state.withLock { state in
      state.isStopped = true
      return Array(state.jobs.values)
    }
    for job in jobs { job.control.cancel() }
    for job in jobs { job.join() }
  }

  /// - Returns: false where it was cancelled meanwhile.
  private func awaitTurn(_ job: ScanJob) -> Bool {
    while !state.withLock({ isTurn(of: job, $0) }) {
      if job.control.stop.wait(milliseconds: 10) { return false }
    }
    return !job.control.stop.isSet
  }

  private func isTurn(of job: ScanJob, _ state: State) -> Bool {
    state.order.lazy.filter { state.jobs[$0]?.isRunning ?? false }.prefix(limits.runningMax)
      .contains(job.id)
  }

  private func enter(
    _ id: String, _ mediaType: String
  ) throws(ScanError) -> (ScanJob, isNew: Bool) {
    let entered = state.withLock { state -> Result<(ScanJob, Bool), ScanError> in
      if let known = state.jobs[id], !Self.hasFailed(known) { return .success((known, false)) }
      let running = state.jobs.values.count { $0.isRunning }
      let countMax = limits.runningMax + limits.waitingMax
      guard running < countMax, !state.isStopped else {
        return .failure(.tooMany(max: countMax))
      }
      let job = ScanJob(id: id, mediaType: mediaType)
      if state.jobs.updateValue(job, forKey: id) != nil { state.order.removeAll { $0 == id } }
      state.order.append(id)
      removeOldest(&state)
      return .success((job, true))
    }
    let (job, isNew) = try entered.get()
    if !isNew { metrics.shared(isDone: !job.isRunning) }
    return (job, isNew)
  }

  private static func hasFailed(_ job: ScanJob) -> Bool {
    if case .failed = job.state { true } else { false }
  }

  /// Forgets the oldest scans that have ended, where there are too many.
  private func removeOldest(_ state: inout State) {
    var bytes = state.jobs.values.reduce(0) { $0 + $1.byteCount }
    for id in state.order {
      guard state.jobs.count > limits.keptMax || bytes > limits.keptBytesMax else { break }
      guard let job = state.jobs[id], !job.isRunning else { continue }
      bytes -= job.byteCount
      state.jobs[id] = nil
    }
    state.order.removeAll { state.jobs[$0] == nil }
  }

  private func ended(_ job: ScanJob, _ result: ScanJob.State) {
    let progress = job.control.progress
    metrics.ended(result, events: progress.eventsRead, duration: job.elapsed)
    if case .failed(let error) = result, error != .cancelled {
      logger.warning(
        "a scan of the log has failed",
        metadata: [
          "scan": "\(job.id)", "error": "\(error)",
          "frames": "\(progress.framesDone) of \(progress.framesTotal)",
        ])
    }
  }

  /// The machine's clock, microseconds since the epoch.
  private static var now: Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
  }

  /// A hash of all that an answer depends on.
  private static func id(
    _ question: String, _ source: ScannedLog, _ extent: ScanExtent, now: Int64
  ) -> String {
    var hash = SipHash128()
    hash.update(field: question)
    hash.update(field: "\(source.spec.name) \(source.spec.hash)")
    // What could be known at a time that is over stays the same however far the log has come since.
    if !extent.isOver(at: now) {
      for (stream, end) in extent.ends.sorted(by: { $0.key.stream < $1.key.stream }) {
        hash.update(field: "\(stream.stream) \(end)")
      }
    }
    let (erasedCount, erasedLast) = source.erasures.version
    hash.update(field: "\(erasedCount) \(erasedLast)")
    hash.update(field: extent.knownAt.map { "\($0)" } ?? "")
    return hash.finalize().description
  }
}
