import Oracles

/// What goes wrong in a simulation. Each must happen somewhere, or a simulation proves nothing of it.
enum Fault: String, CaseIterable, Sendable {
  // Processes.
  case killedBetweenSteps, askedToStop
  // The durable rows.
  case durableRowsAway
  case killedBeforeClaim, killedAfterClaim, claimAnswerLost, claimRefused
  case killedBeforeCommit, killedAfterCommit
  case commitLost, commitAnswerLost, takenOverInDoubt, stoppedInDoubt
  // The hot copy.
  case hotCopyAway, hotCopyFlushed, hotCopySetBack
  case killedBeforeHotUpdate, killedAfterHotUpdate, hotUpdateLost, hotAnswerLost
  // What the first stage hands on.
  case killedInPublish, publishedAfterDeath, publishNotSent, publishAnswerLost, publishedTwice
  case publishOvertaken, logFull
  // The log.
  case logAway, deliveryLost, deliveryRepeated, redelivered, deliveryOvertaken
  case framesTrimmed, eventsWentBack, partialsWentBack
  // Snapshots.
  case killedBeforeSnapshot, killedInSnapshot, killedAfterSnapshot, snapshotRefused
  case snapshotLost, snapshotCorrupt
  // Clocks.
  case wallClockJumped, logClockJumped, timePassed
}

/// Decides, by the seed alone, what goes wrong where, and counts it.
///
/// `@unchecked Sendable`: a simulation runs on one thread.
final class Faults: @unchecked Sendable {
  var isOn = false
  private(set) var counts: [Fault: Int] = [:]
  var random: SeededGenerator

  init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  /// True once in `odds` times while things may fail.
  func strikes(_ fault: Fault, onceIn odds: Int) -> Bool {
    guard isOn, random.once(in: odds) else { return false }
    note(fault)
    return true
  }

  func note(_ fault: Fault) { counts[fault, default: 0] += 1 }
}

/// What a program under test does wrong on purpose, so that the simulation proves that it would see it.
enum Defect: Sendable {
  /// The checkpoint is committed in a transaction of its own, before the rows.
  case offsetBeforeRows
  /// The epoch is not looked at.
  case fenceIgnored
  /// Readers hand on whatever is delivered to them.
  case deliveryTrusted
}

/// A process: from its death on nothing of it reaches a store.
///
/// `@unchecked Sendable`: a simulation runs on one thread.
final class SimulatedHost: @unchecked Sendable {
  private(set) var isDead = false
  /// It was asked to end, and waits for nothing that is away.
  var isStopping = false

  func die() { isDead = true }
}
