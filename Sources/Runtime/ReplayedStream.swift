import Dataflow
import Events
import Operators
import Ports

/// One stream of a replay: its pipeline, and the frames that are fetched and not yet processed.
final class ReplayedStream {
  var pipeline: Pipeline
  let name: String
  /// The last sequence of a sealed stream; nil while frames can be added.
  private let end: UInt64?
  /// The last frame that may be read.
  private var last: UInt64 = 0
  private var reader: (any FrameReader)?
  private var fetched: ArraySlice<any StoredFrame> = []
  private var position: UInt64 = 0

  private static let pendingCountMax = 100_000

  init(_ pipeline: consuming Pipeline, end: UInt64? = nil) {
    name = pipeline.stream.stream
    self.pipeline = pipeline
    self.end = end
  }

  var isFull: Bool { pipeline.pendingCount > Self.pendingCountMax }

  /// True once everything that a sealed stream holds is processed.
  var hasComeToEnd: Bool { end.map { position >= $0 } ?? false }

  /// - Returns: how many frames there are to be read at most.
  func look(at log: any EventLog) throws(LogError) -> UInt64 {
    last = try log.bounds(stream: name).last
    return last
  }

  /// When the next frame was stored; nil where there is none up to `until`.
  func nextTime(in log: any EventLog, until: Int64) throws(LogError) -> Int64? {
    while fetched.isEmpty {
      guard position < last else { return nil }
      if reader == nil { reader = try log.reader(stream: name, after: position) }
      fetched = try reader?.next(timeoutMs: 1_000)[...] ?? []
    }
    guard let time = fetched.first?.storedAt, time <= until else {
      last = position
      fetched = []
      reader = nil
      return nil
    }
    return time
  }

  func take() -> (any StoredFrame)? {
    guard let frame = fetched.popFirst() else { return nil }
    position = frame.sequence
    return frame
  }

  func process(_ frame: any StoredFrame) throws(PipelineError) {
    try pipeline.process(FrameContent(frame, of: .events), of: frame)
  }

  func process(partials frame: PartialFrame, storedAt: Int64) throws(PipelineError) {
    position += 1
    let sequence = position
    var failure: PipelineError?
    frame.bytes.withUnsafeBytes { bytes in
      do throws(FrameError) {
        let view = try PartialFrameView(bytes)
        do throws(PipelineError) {
          try pipeline.process(partials: view, bytes: bytes, sequence: sequence, storedAt: storedAt)
        } catch {
          failure = error
        }
      } catch {
        preconditionFailure("a first stage makes frames that can be read: \(error)")
      }
    }
    if let failure { throw failure }
  }
}
