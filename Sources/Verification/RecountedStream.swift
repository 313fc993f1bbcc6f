import Dataflow
import Ports

/// A stream on its way through a recount: reads exactly as far as it is told.
final class RecountedStream {
  let recount: StreamRecount
  private let log: any EventLog
  private var reader: (any FrameReader)?
  private var fetched: ArraySlice<any StoredFrame> = []

  /// The last frame that was added.
  var position: UInt64 { recount.sequence }

  init(_ recount: StreamRecount, log: any EventLog) {
    self.recount = recount
    self.log = log
  }

  /// Adds the frames up to and including `sequence`.
  ///
  /// - Parameters:
  ///   - patienceMs: the longest wait for a frame that must be there.
  ///   - progress: called after each batch with the number of frames added.
  func advance(
    to sequence: UInt64, patienceMs: Int = 30_000, progress: (Int) -> Void
  ) throws(LogError) {
    var waitedMs = 0
    while position < sequence {
      if fetched.isEmpty {
        let open: any FrameReader
        if let reader {
          open = reader
        } else {
          open = try log.reader(stream: recount.stream.stream, after: position)
          reader = open
        }
        do throws(LogError) {
          fetched = try open.next(timeoutMs: 1_000)[...]
        } catch .unavailable(let reason) {
          guard waitedMs < patienceMs else { throw .unavailable(reason) }
        }
        guard !fetched.isEmpty else {
          waitedMs += 1_000
          guard waitedMs < patienceMs else {
            throw .wentBack(
              stream: recount.stream.stream, wanted: sequence, last: open.lastKnownSequence)
          }
          continue
        }
      }
      waitedMs = 0
      var added = 0
      while let frame = fetched.first, frame.sequence <= sequence {
        recount.add(frame.bytes, sequence: frame.sequence, storedAt: frame.storedAt)
        fetched.removeFirst()
        added += 1
      }
      progress(added)
    }
  }
}
