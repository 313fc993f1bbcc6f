import Analyses
import Dataflow
import Events
import Learning
import Operators
import States

/// Hands what counts of each frame to several learners, to each from the time on that it wants to know of; nothing of
/// persons who were erased since.
final class LearnerFeed: Analysis {
  /// Learners know themselves which event times they want.
  let times = Int64.min..<Int64.max

  private var learners: [any Learner]
  /// For each learner the stored time from which on it hears of frames, microseconds since the epoch.
  private var begins: [Int64]
  /// The places of those that have learned some events by rules of before.
  private var mixed: Set<Int> = []
  /// The places of those that were restored further ahead than what is read, and the position that they know.
  private var ahead: Set<Int> = []
  private var aheadAt: (generation: UInt32, sequences: [UInt64]) = (0, [])
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
      for learner in hearing(moment) { learner.forget(person, erasedAt: moment.logTime) }
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
    let isKnown = isKnown(moment)
    for (index, learner) in learners.enumerated() where moment.logTime >= begins[index] {
      if isKnown, ahead.contains(index) { continue }
      learner.add(frame, counted, at: moment, from: place)
    }
  }

  /// Whether the frame is one that was learned before the snapshot was taken.
  private func isKnown(_ moment: FrameMoment) -> Bool {
    guard !ahead.isEmpty else { return false }
    if place.generation != aheadAt.generation { return place.generation < aheadAt.generation }
    return aheadAt.sequences.indices.contains(place.partition)
      && moment.sequence <= aheadAt.sequences[place.partition]
  }

  private func hearing(_ moment: FrameMoment) -> [any Learner] {
    guard isKnown(moment) else { return learners }
    return learners.enumerated().filter { !ahead.contains($0.offset) }.map(\.element)
  }

  // MARK: Snapshots

  /// Whether some learner has snapshots.
  var hasSnapshots: Bool { learners.contains { $0 is any SnapshotLearner } }

  /// Restores the learners whose states are there; they hear of what comes after.
  ///
  /// - Parameter refused: gets whose state is of no use, and why.
  /// - Returns: whether that is all of them, so that nothing before needs to be read.
  func restore(_ snapshot: FollowerSnapshot, refused: (String, StateError) -> Void) -> Bool {
    for (index, learner) in learners.enumerated() {
      guard let learner = learner as? any SnapshotLearner else { continue }
      let key = learner.snapshotKey
      guard let state = snapshot.learners.first(where: { $0.name == key.name }) else { continue }
      do throws(StateError) {
        guard state.hash == key.hash else { throw .other("something else is declared now") }
        try learner.restore(state.bytes)
        ahead.insert(index)
        begins[index] = .min
      } catch {
        refused(key.name, error)
      }
    }
    if ahead.count == learners.count {
      for (person, time) in snapshot.erasures { erasures.note(person, at: time) }
      ahead = []
      return true
    }
    aheadAt = (snapshot.generation, snapshot.streams.map(\.sequence))
    return false
  }

  /// Whether all learners have heard of the same frames.
  func isLevel(_ streams: [FollowedStream]) -> Bool {
    guard !ahead.isEmpty, let generation = streams.first?.stream.generation else { return true }
    let isPast =
      generation == aheadAt.generation
      ? zip(streams, aheadAt.sequences).allSatisfy { $0.sequence >= $1 }
      : generation > aheadAt.generation
    if isPast { ahead = [] }
    return isPast
  }

  /// Of the states of learners, those that the rules of now and the log come to.
  func freeze() -> [SnapshotKeeper.Frozen.Learner] {
    learners.enumerated().filter { !mixed.contains($0.offset) }
      .compactMap { $0.element as? any SnapshotLearner }
      .map { SnapshotKeeper.Frozen.Learner(key: $0.snapshotKey, bytes: $0.freeze()) }
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

  /// Of each learner that can read the log anew, its place and who is to read it.
  func anew() -> [(place: Int, learner: any Learner)] {
    learners.enumerated().compactMap { place, learner in
      learner.anew().map { (place: place, learner: $0) }
    }
  }

  /// Other learners, which have read as far, take the places of some.
  ///
  /// - Parameter byOtherRules: whether events were judged by other rules for them, as they are from now on.
  func exchange(_ places: [Int], for others: [any Learner], byOtherRules: Bool) {
    for (place, learner) in zip(places, others) {
      learners[place] = learner
      ahead.remove(place)
    }
    mixed = byOtherRules ? Set(learners.indices).subtracting(places) : mixed.subtracting(places)
    hasNews = true
  }

  func publish(_ progress: LearningProgress) {
    hasNews = false
    for learner in learners { learner.publish(progress) }
  }
}
