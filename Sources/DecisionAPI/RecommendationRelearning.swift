import Analyses
import Events
import Learning
import Operators

/// Reads the log again for a ``RecommendationLearner``, without who was erased since: nobody answers from it until it has read
/// as far, and then it hands over what it has learned.
///
///     erasure ─▶ owed ──5 s: more──▶ successor reads the log, knowing whom to leave out ─▶ its book takes the place
final class RecommendationRelearning: Learner {
  private let origin: RecommendationLearner
  /// nil once it was handed over: from then on the origin learns.
  private var book: RecommendationBook?
  /// Who was erased until then is known beforehand; the log's time, microseconds since the epoch.
  private let knownUntil: Int64
  /// Erased since, after something was learned of them again.
  private var owed = 0

  init(_ origin: RecommendationLearner, keepsTexts: Bool, knownUntil: Int64) {
    self.origin = origin
    self.knownUntil = knownUntil
    book = RecommendationBook(keepsTexts: keepsTexts)
  }

  var memory: Int64 { RecommendationBook.memory }

  func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    guard book != nil else { return origin.add(frame, counted, at: moment, from: stream) }
    book?.add(
      frame, counted, 0..<counted.count, at: FramePlace(stream, sequence: moment.sequence))
  }

  func forget(_ person: Key128, erasedAt: Int64) {
    guard book != nil else { return origin.forget(person, erasedAt: erasedAt) }
    if book?.forget(person) ?? false, erasedAt > knownUntil { owed += 1 }
  }

  func publish(_ progress: LearningProgress) {
    guard let learned = book else { return origin.publish(progress) }
    // Until it takes the place of the other one it is told that it has not caught up.
    guard progress.isCaughtUp else { return }
    book = nil
    origin.replace(learned, owed: owed, at: progress.logTime)
    origin.publish(progress)
  }

  func successor() -> (any Learner)? { book == nil ? origin.successor() : nil }
}
