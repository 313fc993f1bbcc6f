import Dataflow
import Definitions
import Events
import JetStreamLog
import NATSClient
import Ports

/// Reads the whole log once, from the first frame to the last, and hands every frame on.
struct LogScan {
  /// One frame, valid during the call that hands it out.
  struct Frame {
    let stream: StreamPartition
    let sequence: UInt64
    let storedAt: Int64
    /// Nil for a frame that can't be read.
    let view: FrameView?
  }

  private let log: JetStreamLog
  private let streams: [StreamPartition]

  init(nats: String, definitions: Definitions) throws {
    log = JetStreamLog(address: try NATSAddress(nats), name: "chaos")
    streams = definitions.streams.streamPartitions
  }

  /// - Returns: frames of all streams.
  func run(_ body: (Frame) -> Void) throws -> Int {
    var count = 0
    for stream in streams {
      let last = try log.bounds(stream: stream.stream).last
      let reader = try log.reader(stream: stream.stream, after: 0)
      var position: UInt64 = 0
      let deadline = Clock.steady() + 600_000_000
      while position < last {
        guard Clock.steady() < deadline else {
          throw ChaosError("\(stream.stream) can't be read to its end in 10 minutes")
        }
        for frame in try reader.next(timeoutMs: 1000) where frame.sequence <= last {
          position = frame.sequence
          count += 1
          body(
            Frame(
              stream: stream, sequence: frame.sequence, storedAt: frame.storedAt,
              view: Self.view(frame)))
        }
      }
    }
    return count
  }

  private static func view(_ frame: any StoredFrame) -> FrameView? {
    do throws(FrameError) {
      return try FrameView(frame.bytes)
    } catch {
      return nil
    }
  }
}
