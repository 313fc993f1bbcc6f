import Dataflow
import Views

/// Names of the hot copy's keys; see `HotScripts` for all of them.
struct HotKeys: Sendable {
  private let pipeline: String

  init(_ pipeline: PipelineSpec) { self.pipeline = "\(pipeline.name)_\(pipeline.version)" }

  /// Matches every key of a pipeline version, as `SCAN` takes it. Names hold none of its wildcards.
  static func pattern(_ pipeline: PipelineSpec) -> String {
    "sc:{\(pipeline.name)_\(pipeline.version):*"
  }

  /// The one key that scripts are given; they derive the others, which share its hash tag.
  func head(generation: UInt32, partition: Int) -> String {
    "sc:{\(pipeline):\(generation):\(partition)}:head"
  }

  /// The index of a level's windows in the copy at `slot`, and the rows of one of them.
  static func index(head: String, slot: String, level: String) -> String {
    head.dropLast("head".count) + slot + ":" + level
  }

  static func window(head: String, slot: String, level: String, start: String) -> String {
    index(head: head, slot: slot, level: level) + ":" + start
  }

  /// Before every window, and exact as a double.
  static let secondsMin: Int64 = -(1 << 53)

  /// A window's start in whole seconds, towards the past; nil for the beginning of time.
  static func seconds(_ start: Int64) -> Int64? {
    guard start != .min else { return nil }
    let seconds = start / 1_000_000
    return start % 1_000_000 < 0 ? seconds - 1 : seconds
  }
}
