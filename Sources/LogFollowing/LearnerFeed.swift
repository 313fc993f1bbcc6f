import Analyses
import Events
import Learning
import Operators

/// Hands what counts of each frame to several learners, to each from the time on that it wants to know of; nothing of
/// persons who were erased since.
final class LearnerFeed: Analysis {
  /// Learners know themselves which event times they want.
  let times = Int64.min..<Int64.max

  private var learners: [any Learner]
  /// For each learner the stored time from which on it hears of frames, microseconds since the epoch.
  private var begins: [Int64]
  /// The stream that frames are from, set by who reads.
  var place = StreamPlace(generation: 0, partition: 0)
  private(set) var erasures: PersonErasures
  private var remaining = CountedEvents()
  /// Whether something was handed on since the last publication.
  private(set) var hasNews = false

  /// - Parameter erasures: that are known beforehand.
  init(_ learners: [any Learner], erasures: PersonErasures = PersonErasures()) {
    self.learners = learners
    self.erasures = erasures
    begins = learners.map { _ in .min }
  }

  /// The longest memory, microseconds; 0 without learners.
  var memory: Int64 { learners.map(\.memory).max() ?? 0 }

  /// - Parameter now: the greatest stored time of the log when reading began, microseconds since the epoch; nil where
  ///   it was empty.
  func begin(at now: Int64?) {
    guard let now else { return }
    begins = learners.map { TimeRange.clamp(now) - min(max(0, $0.memory), TimeRange.latest) }
  }

  func add(_ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment) {
    hasNews = true
    for number in 0..<counted.count where erasures.take(frame, counted.index(number), at: moment) {
      let person = frame.person(counted.index(number))
      for learner in learners { learner.forget(person, erasedAt: moment.logTime) }
    }
    if erasures.touch(frame, counted, at: moment) {
      remaining.take(counted) { !erasures.cover(frame, $0, at: moment) }
      hand(frame, remaining, at: moment)
    } else {
      hand(frame, counted, at: moment)
    }
  }

  private func hand(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment
  ) {
    for (learner, begin) in zip(learners, begins) where moment.logTime >= begin {
      learner.add(frame, counted, at: moment, from: place)
    }
  }

  /// One feed takes all streams, so there is no other one.
  func merge(_ other: LearnerFeed) {}

  /// A learner that wants the log to be read again, by its place, and who is to read it; nil where none does.
  func successor() -> (place: Int, learner: any Learner)? {
    for (place, learner) in learners.enumerated() {
      if let next = learner.successor() { return (place, next) }
    }
    return nil
  }

  /// Another learner, which has read as far, takes the place of one.
  func exchange(_ place: Int, for learner: any Learner) {
    learners[place] = learner
    hasNews = true
  }

  func publish(_ progress: LearningProgress) {
    hasNews = false
    for learner in learners { learner.publish(progress) }
  }
}
