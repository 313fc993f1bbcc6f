import Events
import JetStreamLog
import NATSClient
import Ports

/// The events that a log holds, read from its streams directly.
enum LoggedEvents {
  /// How often each event id is there, over the streams of a generation.
  static func counts(
    natsURL: String, streams: [String] = (0..<4).map { "events-0\($0)" }
  ) throws -> [String: Int] {
    let log = JetStreamLog(address: try NATSAddress(natsURL), name: "test")
    var counts: [String: Int] = [:]
    for stream in streams {
      let last = try log.bounds(stream: stream).last
      let reader = try log.reader(stream: stream, after: 0)
      var sequence: UInt64 = 0
      while sequence < last {
        for frame in try reader.next(timeoutMs: 5000) {
          sequence = frame.sequence
          let view = try FrameView(frame.bytes)
          guard view.header.kind == .events else { continue }
          for index in 0..<view.count { counts[view.id(index), default: 0] += 1 }
        }
      }
    }
    return counts
  }
}
