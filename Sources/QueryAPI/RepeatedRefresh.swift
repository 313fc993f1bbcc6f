import Logging
import Metrics
import Synchronization

/// Works something out again and again, for metrics of which a scrape takes the last values. A failure is counted each time,
/// and said in the log when it begins, when its reason changes and when it is over.
final class RepeatedRefresh: Sendable {
  private let what: String
  private let interval: Duration
  private let failures: Counter
  private let log: Logger
  private let task = Mutex<Task<Void, Never>?>(nil)
  /// What was said last.
  private let problem = Mutex<String?>(nil)

  /// - Parameters:
  ///   - what: as a log line names it, such as `totals of campaigns`.
  ///   - failures: counts them.
  init(_ what: String, every interval: Duration, failures: Counter, log: Logger) {
    self.what = what
    self.interval = interval
    self.failures = failures
    self.log = log
  }

  /// - Parameter body: works it out once, and notes how it went.
  func start(_ body: @escaping @Sendable () async -> Void) {
    let interval = interval
    let repeated = Task {
      while !Task.isCancelled {
        await body()
        do { try await Task.sleep(for: interval) } catch { return }
      }
    }
    task.withLock { $0 = repeated }
  }

  func stop() { task.withLock { $0?.cancel() } }

  /// - Parameter reason: why it could not be worked out; nil where it could.
  func note(_ reason: String?) {
    if reason != nil { failures.add() }
    let before = problem.withLock { problem in
      defer { problem = reason }
      return problem
    }
    if let reason, reason != before {
      log.warning(
        "\(what) can't be worked out; metrics show the last ones", metadata: ["why": "\(reason)"])
    } else if reason == nil, before != nil {
      log.notice("\(what) are worked out again")
    }
  }
}
