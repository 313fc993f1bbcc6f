import Analyses
import Dataflow
import Events
import HTTPServer
public import LogScans
import Ports
import Threads
import Views

/// Where questions go that no read model answers.
public struct ScanSource: Sendable {
  public var table: ScanTable
  /// The log and the rules of a pipeline that is served; may block.
  public var open: @Sendable (_ pipeline: String) throws(ScanError) -> ScannedLog

  public init(
    table: ScanTable, open: @escaping @Sendable (_ pipeline: String) throws(ScanError) -> ScannedLog
  ) {
    self.table = table
    self.open = open
  }
}

/// Runs questions as scans of the log: answers at once what is soon done, and gives an address for the rest.
struct ScanService: Sendable {
  let source: ScanSource

  /// A question, as far as the answer depends on it.
  struct Question: Sendable {
    var pipeline: String
    /// In one form for each question.
    var text: String
    var format = AnswerFormat.json
    /// What was stored later is left out, microseconds since the epoch; nil for nothing.
    var knownAt: Int64?
  }

  static let waitDefault = Duration.seconds(2)
  static let waitSecondsMax = 60.0

  /// `?wait=` in seconds.
  static func wait(
    _ parameters: [(name: String, value: String)], otherwise: Duration = waitDefault
  ) throws(QueryError) -> Duration {
    guard let text = parameters.first(where: { $0.name == "wait" })?.value else { return otherwise }
    guard let seconds = Double(text), (0...waitSecondsMax).contains(seconds) else {
      throw QueryError(
        .invalidValue, path: "?wait", detail: "a wait is 0 to \(Int(waitSecondsMax)) seconds")
    }
    return .milliseconds(Int64(seconds * 1000))
  }

  /// Begins or finds the scan of a question, and waits for it a while.
  ///
  /// - Parameters:
  ///   - body: reads the log, by the rules of a pipeline, and says what is sent, in the question's format.
  func answer(
    _ question: Question, wait: Duration,
    _ body: @escaping @Sendable (LogScan, PipelineSpec) throws(ScanError) -> ScanJob.Answer
  ) async throws(QueryError) -> HTTPResponse {
    let source = source
    let started = await Self.offPool { () -> Result<ScanJob, ScanError> in
      do throws(ScanError) {
        let log = try source.open(question.pipeline)
        return .success(
          try source.table.start(
            "\(question.format.rawValue) \(question.text)", of: log, knownAt: question.knownAt,
            mediaType: question.format.mediaType
          ) { scan throws(ScanError) in try body(scan, log.spec) })
      } catch {
        return .failure(error)
      }
    }
    do throws(ScanError) {
      return try await response(of: try started.get(), wait: wait)
    } catch {
      throw QueryError(scanning: error)
    }
  }

  /// `GET /v1/scans/{id}`: the answer where there is one, else how far it has come.
  func answer(id: String, wait: Duration) async throws(QueryError) -> HTTPResponse {
    let job = try job(id)
    do throws(ScanError) {
      return try await response(of: job, wait: wait)
    } catch {
      throw QueryError(scanning: error)
    }
  }

  /// `DELETE /v1/scans/{id}`: whoever asked is told that it was cancelled.
  func cancel(id: String) async throws(QueryError) -> HTTPResponse {
    let job = try job(id)
    let wasRunning = job.isRunning
    job.control.cancel()
    await job.wait(atMost: Self.waitDefault)
    return .json(
      Array(#"{"scan":"\#(id)","state":"\#(wasRunning ? "cancelled" : "ended")"}"#.utf8))
  }

  private func job(_ id: String) throws(QueryError) -> ScanJob {
    guard let job = source.table.job(id) else {
      throw QueryError(
        .unknownScan, path: "",
        detail: "there is no such scan, or its answer is not kept any more; ask the question again")
    }
    return job
  }

  private func response(of job: ScanJob, wait: Duration) async throws(ScanError) -> HTTPResponse {
    await job.wait(atMost: wait)
    switch job.state {
    case .done(let answer):
      return HTTPResponse(
        status: .ok,
        headers: [
          (name: "Content-Type", value: job.mediaType),
          (name: "Cache-Control", value: "no-store"), (name: "Vary", value: "Accept"),
        ] + answer.headers, body: .bytes(answer.bytes))
    case .failed(let error): throw error
    case .running:
      return HTTPResponse(
        status: .accepted,
        headers: [
          (name: "Content-Type", value: "application/json"),
          (name: "Cache-Control", value: "no-store"),
          (name: "Location", value: "/v1/scans/\(job.id)"), (name: "Retry-After", value: "1"),
        ], body: .bytes(Self.progress(of: job)))
    }
  }

  private static func progress(of job: ScanJob) -> [UInt8] {
    let progress = job.control.progress
    let rest = job.estimatedRest.map { "\(seconds($0))" } ?? "null"
    return Array(
      """
      {"scan":"\(job.id)","state":"\(job.control.hasBegun ? "running" : "waiting")","progress":\(rounded(progress.share)),\
      "frames_done":\(progress.framesDone),"frames_total":\(progress.framesTotal),\
      "events_read":\(progress.eventsRead),"elapsed_seconds":\(seconds(job.elapsed)),\
      "remaining_seconds":\(rest)}
      """.utf8)
  }

  private static func seconds(_ duration: Duration) -> Double {
    rounded(
      Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18)
  }

  /// To thousandths.
  private static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

  /// Runs what may block on a thread of its own: the pool's must not wait for a log.
  private static func offPool<Value: Sendable>(
    _ body: @escaping @Sendable () -> Value
  ) async -> Value {
    await withCheckedContinuation { continuation in
      LoopThread(name: "scan-start") { continuation.resume(returning: body()) }.detach()
    }
  }
}

extension QueryError {
  /// What the failure of a scan means to the client.
  init(scanning error: ScanError) {
    switch error {
    case .log(.unavailable):
      self.init(.logUnavailable, path: "", detail: "\(error)")
    case .log: self.init(.scanFailed, path: "", detail: "\(error)")
    case .analysis: self.init(.scanTooLarge, path: "", detail: "\(error)")
    case .cancelled: self.init(.scanCancelled, path: "", detail: "\(error)")
    case .tooMany: self.init(.tooManyScans, path: "", detail: "\(error)")
    }
  }
}
