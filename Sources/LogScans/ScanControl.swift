import Synchronization
import Threads

/// How far a scan has come, and how it is told to stop.
public final class ScanControl: Sendable {
  public struct Progress: Hashable, Sendable {
    public var framesDone: Int
    public var framesTotal: Int
    public var eventsRead: Int

    /// 0 to 1; 0 until it is known how much there is to read.
    public var share: Double {
      framesTotal == 0 ? 0 : min(1, Double(framesDone) / Double(framesTotal))
    }
  }

  private let framesDone = Atomic<Int>(0)
  private let framesTotal = Atomic<Int>(0)
  private let eventsRead = Atomic<Int>(0)
  private let expectedPasses = Atomic<Int>(0)
  let stop = StopFlag()

  public init() {}

  /// False while the scan waits for its turn.
  public var hasBegun: Bool { framesTotal.load(ordering: .relaxed) > 0 }

  /// Ends the scan within a batch of frames.
  public func cancel() { stop.set() }

  public var progress: Progress {
    Progress(
      framesDone: framesDone.load(ordering: .relaxed),
      framesTotal: framesTotal.load(ordering: .relaxed),
      eventsRead: eventsRead.load(ordering: .relaxed))
  }

  /// Frames that will be read, so many times in a row.
  func expect(frames: Int, times: Int) {
    framesTotal.add(frames * times, ordering: .relaxed)
    expectedPasses.add(times, ordering: .relaxed)
  }

  /// The log is read from here on once more.
  func begin(frames: Int) {
    if expectedPasses.load(ordering: .relaxed) == 0 { expect(frames: frames, times: 1) }
    expectedPasses.subtract(1, ordering: .relaxed)
  }

  /// They need not be read.
  func skip(frames: Int) { framesTotal.subtract(frames, ordering: .relaxed) }

  func read(frames: Int, events: Int) {
    framesDone.add(frames, ordering: .relaxed)
    eventsRead.add(events, ordering: .relaxed)
  }
}
