import Collector
import Foundation
import Synchronization
import Testing

/// A folder that goes with its owner.
final class ScratchFolder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.path + "/keys-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      Issue.record("\(path) stays: \(error)")
    }
  }

  /// In a folder that is not there yet.
  var keys: String { path + "/home/keys.json" }

  func read(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  /// In one step, as editors do it.
  func write(_ text: String, _ path: String) throws {
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }
}

/// A clock that stands until it is moved.
final class ScriptedClock: Sendable {
  private let wall = Atomic<Int64>(testNow)
  private let steady = Atomic<Int64>(1_000_000)

  var now: Int64 { wall.load(ordering: .relaxed) }

  func advance(micros: Int64) {
    wall.add(micros, ordering: .relaxed)
    steady.add(micros, ordering: .relaxed)
  }

  func advance(days: Int64) { advance(micros: days * 86_400_000_000) }

  var clock: CollectorClock {
    CollectorClock(
      nowMicros: { self.wall.load(ordering: .relaxed) },
      steadyMicros: { self.steady.load(ordering: .relaxed) })
  }
}

/// The same keys in each run.
struct CountingGenerator: RandomNumberGenerator {
  var state: UInt64 = 0

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return state ^ state >> 31
  }
}
