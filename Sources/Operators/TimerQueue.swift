/// The persons that are to be looked at once a step of time has passed.
///
/// A radix heap (Ahuja, Mehlhorn, Orlin and Tarjan 1990): an entry lies at the level of the highest bit
/// in which its step differs from the present one. As time goes on a level's entries are either due or
/// move to lower levels, so that an entry is moved once per bit at most, always in bulk, and adding one
/// is an append. Entries are not removed: whoever is told that a person is due checks whether it still
/// is, and calls ``compact(_:)`` when many are not: persons that were handed over leave theirs. Memory: 16 bytes per entry, up to twice that.
struct TimerQueue: ~Copyable {
  struct Entry: BitwiseCopyable {
    var step: Int64
    var index: UInt32
  }

  private var levels: [[Entry]] = Array(repeating: [], count: 65)
  /// Steps before this one have passed.
  private var now = Int64.min
  private(set) var count = 0
  /// The first step of an entry; `.max` without entries.
  private(set) var earliest = Int64.max

  @inline(__always)
  private func level(of step: Int64) -> Int {
    64 - (step ^ now).leadingZeroBitCount
  }

  /// Adds an entry; one whose step has passed is due at the next one.
  mutating func add(_ index: UInt32, at step: Int64) {
    let step = max(step, now)
    levels[level(of: step)].append(Entry(step: step, index: index))
    count += 1
    earliest = min(earliest, step)
  }

  /// Moves time forward, and the entries whose step has passed to `due`, in no order.
  mutating func advance(to step: Int64, due: inout [Entry]) {
    guard step > now else { return }
    let highest = level(of: step)
    now = step
    if earliest >= step && count == 0 { return }
    for level in 0...highest where !levels[level].isEmpty {
      let entries = levels[level]
      levels[level] = []
      for entry in entries {
        if entry.step < step {
          due.append(entry)
        } else {
          levels[self.level(of: entry.step)].append(entry)
        }
      }
    }
    if earliest < step { findEarliest() }
    count = levels.reduce(0) { $0 + $1.count }
  }

  /// Drops the entries that are not the timers of their persons any more.
  mutating func compact(_ table: borrowing PersonTable) {
    for level in levels.indices {
      var kept = 0
      for index in levels[level].indices {
        let entry = levels[level][index]
        if table.record(Int(entry.index)).pointee.timer != entry.step { continue }
        levels[level][kept] = entry
        kept += 1
      }
      levels[level].removeLast(levels[level].count - kept)
    }
    count = levels.reduce(0) { $0 + $1.count }
    findEarliest()
  }

  private mutating func findEarliest() {
    earliest = .max
    // Entries of a level come before those of all higher ones.
    for level in levels where !level.isEmpty {
      for entry in level { earliest = min(earliest, entry.step) }
      return
    }
  }

  var byteCount: Int { levels.reduce(0) { $0 + $1.capacity * MemoryLayout<Entry>.stride } }
}
