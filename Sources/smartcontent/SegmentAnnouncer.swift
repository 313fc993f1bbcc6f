import Collector
import Events
import Learning
import QueryAPI
import Synchronization

/// Has changes of segments written into the log, on the way of the collector's events.
///
/// Whether they come there is no concern of its own: what is not heard from the log is handed to it again.
final class SegmentAnnouncer: Sendable {
  private struct Way: Sendable {
    var pipeline: IngestPipeline
    var debugger: EventDebugger?
  }

  private let way = Mutex<Way?>(nil)

  /// Before it nothing is written.
  func open(_ pipeline: IngestPipeline, shownTo debugger: EventDebugger?) {
    way.withLock { $0 = Way(pipeline: pipeline, debugger: debugger) }
  }

  func send(_ events: [SegmentEvent]) {
    guard !events.isEmpty, let way = way.withLock({ $0 }) else { return }
    let now = QueryRoutes.systemClock()
    // One by one: what one lane refuses does not keep others back.
    for event in events.map({ $0.event(receivedAt: now) }) {
      way.pipeline.submit([event]) { outcome in
        switch outcome {
        case .stored, .spooled: way.debugger?.stored(event, by: SegmentEvent.source)
        case .overloaded, .unavailable: break
        }
      }
    }
  }
}
