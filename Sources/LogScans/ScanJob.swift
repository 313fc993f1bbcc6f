import Synchronization
import Threads

/// One scan: running, or what came of it.
public final class ScanJob: Sendable {
  /// `running` becomes `done` or `failed`, once.
  public enum State: Sendable {
    case running
    case done(Answer)
    case failed(ScanError)
  }

  /// As it is sent.
  public struct Answer: Sendable {
    public var bytes: [UInt8]
    /// Headers that say more of the bytes.
    public var headers: [(name: String, value: String)]

    public init(_ bytes: [UInt8], headers: [(name: String, value: String)] = []) {
      self.bytes = bytes
      self.headers = headers
    }
  }

  /// Names the question and the part of the log that it was asked of.
  public let id: String
  /// Of its answer, such as `application/json`.
  public let mediaType: String
  public let control = ScanControl()
  private let started: ContinuousClock.Instant
  private let now = Mutex(State.running)
  private let thread = Mutex<LoopThread?>(nil)

  init(id: String, mediaType: String, started: ContinuousClock.Instant = .now) {
    self.id = id
    self.mediaType = mediaType
    self.started = started
  }

  deinit { thread.withLock { $0 }?.detach() }

  public var state: State { now.withLock { $0 } }

  public var isRunning: Bool {
    if case .running = state { true } else { false }
  }

  public var elapsed: Duration { started.duration(to: .now) }

  /// How long it may still take, as it has gone so far; nil where nothing has been read yet.
  public var estimatedRest: Duration? {
    let share = control.progress.share
    return share > 0 ? elapsed * (1 / share - 1) : nil
  }

  /// Bytes of the answer.
  var byteCount: Int {
    if case .done(let answer) = state { answer.bytes.count } else { 0 }
  }

  /// Waits until there is an answer or a failure, for at most so long.
  public func wait(atMost patience: Duration) async {
    let deadline = ContinuousClock.now + patience
    while isRunning, ContinuousClock.now < deadline {
      do {
        try await Task.sleep(for: .milliseconds(5))
      } catch {
        // Who asked is gone.
        return
      }
    }
  }

  func run(_ body: @escaping @Sendable () -> State) {
    let started = LoopThread(name: "scan") { [self] in
      let state = body()
      now.withLock { $0 = state }
    }
    thread.withLock { $0 = started }
  }

  /// Waits until its threads have ended.
  func join() { thread.withLock { $0 }?.join() }
}
