import Collector
import Events
import HTTPServer
import QueryAPI

/// The way of feedback into the log: that of the collector's events.
enum FeedbackLog {
  static func intake(_ pipeline: IngestPipeline) -> FeedbackIntake {
    FeedbackIntake(cleaned: { PersonalNote.removed(from: $0) }) { event async throws(Problem) in
      let outcome = await withCheckedContinuation { continuation in
        pipeline.submit([event]) { continuation.resume(returning: $0) }
      }
      switch outcome {
      case .stored(let position): return position.description
      case .spooled: return nil
      case .overloaded, .unavailable:
        throw Problem(
          .serviceUnavailable, code: "log_unavailable",
          detail: "The log takes nothing now; send the same feedback again.", retryAfterSeconds: 1)
      }
    }
  }
}
