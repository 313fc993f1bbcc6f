import Dataflow
public import Events
public import Ports
import Threads

/// Finds one event in the log whose time is known: by bisection to what was stored then, and a look through the frames
/// of a short while.
public struct EventSearch: Sendable {
  /// An event, and the frame that it is in.
  public struct Finding: Sendable {
    public var event: IncomingEvent
    public var position: Position
  }

  private let source: FollowedLog

  /// Clocks of collectors may go ahead of the log's by so much.
  private static let ahead: Int64 = 5_000_000
  /// An event is stored so much later at most; one that waited in a spool for longer is not found.
  private static let behind: Int64 = 60_000_000
  private static let frameCountMax = 20_000

  public init(_ source: FollowedLog) { self.source = source }

  /// - Parameters:
  ///   - id: of the event.
  ///   - time: of its receipt, microseconds since the epoch.
  /// - Returns: nil where it is not there, or where the log is away.
  public func find(_ kind: EventKind, id: String, receivedAt time: Int64) async -> Finding? {
    await withCheckedContinuation { continuation in
      LoopThread(name: "search") {
        do throws(LogError) {
          continuation.resume(returning: try search(kind, id, time))
        } catch {
          // Whoever asks is told less; that the log is away readiness says.
          continuation.resume(returning: nil)
        }
      }.detach()
    }
  }

  /// Where the log has what was stored from a time until another, microseconds since the epoch.
  ///
  /// - Returns: nil where the log is away.
  public func spans(from begin: Int64, until end: Int64) async -> [LogSpan]? {
    await withCheckedContinuation { continuation in
      LoopThread(name: "search") {
        do throws(LogError) {
          var spans: [LogSpan] = []
          for generation in source.generations() ?? [] {
            for stream in generation.streams {
              if let span = try source.log.span(of: stream, from: begin, until: end) {
                spans.append(span)
              }
            }
          }
          continuation.resume(returning: spans)
        } catch {
          // As above.
          continuation.resume(returning: nil)
        }
      }.detach()
    }
  }

  private func search(
    _ kind: EventKind, _ id: String, _ time: Int64
  ) throws(LogError) -> Finding? {
    for generation in (source.generations() ?? []).reversed() {
      for stream in generation.streamPartitions {
        guard
          let (event, sequence) = try search(stream.stream, kind, id, time)
        else { continue }
        return Finding(
          event: event,
          position: Position(
            generation: generation.number, sequences: [stream.partition: sequence]))
      }
    }
    return nil
  }

  private func search(
    _ stream: String, _ kind: EventKind, _ id: String, _ time: Int64
  ) throws(LogError) -> (IncomingEvent, UInt64)? {
    let (first, last) = try source.log.bounds(stream: stream)
    guard first >= 1, last >= first else { return nil }
    let before = try source.log.lastFrame(
      of: stream, upTo: last, storedBefore: time - Self.ahead)
    var sequence = before ?? first - 1
    let reader = try source.log.reader(stream: stream, after: sequence)
    var count = 0
    while sequence < last, count < Self.frameCountMax {
      let frames = try reader.next(timeoutMs: 1_000)
      guard !frames.isEmpty else { return nil }
      for frame in frames {
        if frame.storedAt > time + Self.behind { return nil }
        if let event = Self.event(in: frame, kind, id) { return (event, frame.sequence) }
        sequence = frame.sequence
        count += 1
      }
    }
    return nil
  }

  private static func event(
    in frame: any StoredFrame, _ kind: EventKind, _ id: String
  ) -> IncomingEvent? {
    let view: FrameView
    do throws(FrameError) {
      view = try FrameView(frame.bytes)
    } catch {
      return nil
    }
    guard view.header.kind == .events else { return nil }
    let index = (0..<view.count).first { view.kind($0) == kind.rawValue && view.id($0) == id }
    return index.map { IncomingEvent(view, event: $0) }
  }
}
