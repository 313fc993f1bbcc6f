/// A few threads, each with a session of its own (a database connection), for callers that may not
/// block.
///
/// C clients block their thread, and a session belongs to one thread. A task hands its work over
/// and suspends; one of the threads runs it with its session and resumes the task (about 6 µs for
/// the round trip, nothing beside a query). At most `waitingMax` pieces of work wait; more are
/// refused at once, so that a slow server shows as an error and not as growing memory. Work that
/// has begun is not cancelled: sessions have time limits of their own.
///
/// The work gets the session as an optional: it opens one where there is none and sets it to nil, or to
/// a new one, where it broke, since only the work knows its errors. Sessions that have not been used since
/// are let go then; see ``SessionLosses``.
public final class SessionPool<Session: AnyObject>: Sendable {
  private let shared: SessionQueue<Session>

  /// Starts the threads. They end when the pool goes.
  /// - Parameter losses: shared by all pools of one server.
  public init(size: Int, waitingMax: Int, losses: SessionLosses = SessionLosses()) {
    precondition(size > 0 && waitingMax > 0, "a pool needs threads and room to wait")
    shared = SessionQueue(waitingMax: waitingMax, losses: losses)
    for _ in 0..<size { shared.startThread() }
  }

  deinit { shared.close() }

  /// Runs `work` on one of the threads.
  /// - Parameter refusal: what to throw when too much work is waiting already.
  public func run<Value: Sendable, Failure: Error>(
    orElse refusal: Failure,
    _ work: @escaping @Sendable (inout Session?) throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let result: Result<Value, Failure> = await withUnsafeContinuation { continuation in
      let accepted = shared.add { session in
        let result: Result<Value, Failure>
        do throws(Failure) {
          result = .success(try work(&session))
        } catch {
          result = .failure(error)
        }
        return { continuation.resume(returning: result) }
      }
      if !accepted { continuation.resume(returning: .failure(refusal)) }
    }
    return try result.get()
  }
}
