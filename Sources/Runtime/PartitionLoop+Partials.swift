import Dataflow
import Logging
import Operators

// Partials that do not come: a frame of them that cannot be read, or that the log has lost, stops its
// source and the time of the second stage, but not the stage itself: others wait for it in memory.
extension PartitionLoop {
  /// Frames that change places, because one was sent again, are in order after this time, microseconds.
  static let missingPatience: Int64 = 5_000_000
  /// Time between two attempts at making the same partials again.
  private static let remakeInterval: Int64 = 60_000_000

  /// Notes what is waited for, and asks for it where it has not come for long.
  func watchPartials() {
    guard stream.role == .partials else { return }
    let now = environment.clock.monotonic()
    guard let partials = pipeline.missingPartials else {
      missing = nil
      return
    }
    let isSame = missing.map {
      $0.partials.numbers == partials.numbers && $0.partials.isOf(partials)
    }
    if isSame ?? false {
      missing?.partials = partials
    } else {
      missing = (partials, now, nil)
    }
    guard let known = missing, now - known.since >= Self.missingPatience, !pipeline.isSilent,
      known.askedAt.map({ now - $0 >= Self.remakeInterval }) ?? true
    else { return }
    missing?.askedAt = now
    environment.logger.error(
      "partials are lost or cannot be read", metadata: ["which": "\(partialsProblem ?? "")"])
    environment.remaker?.remake(partials, attempt: pipeline.position)
  }

  /// Why numbers stand still; nil where nothing is missing, or not for long.
  var partialsProblem: String? {
    guard let missing, environment.clock.monotonic() - missing.since >= Self.missingPatience else {
      return nil
    }
    let partials = missing.partials
    let source =
      environment.generations.generation(partials.generation).map {
        $0.streams[Int(partials.partition) % $0.partitions]
      } ?? "partition \(partials.partition) of generation \(partials.generation)"
    return "has lost partial \(partials.numbers.lowerBound) of \(source), or cannot read it:"
      + " \(partials.waitingCount) after it wait, and sessions, attribution and trends stand still;"
      + (environment.remaker == nil
        ? "" : " it is made again from the events; if that does not help,")
      + " `smartcontent rebuild` makes all of them anew"
  }
}

extension PartialIntake.Missing {
  fileprivate func isOf(_ other: PartialIntake.Missing) -> Bool {
    generation == other.generation && partition == other.partition
  }
}
