/// The persons that are to be looked at once a step of time has passed.
///
/// A radix heap (Ahuja, Mehlhorn, Orlin and Tarjan 1990): an entry lies at the level of the highest bit
/// in which its step differs from the present one. As time goes on a level's entries are either due or
/// move to lower levels, so that an entry is moved once per bit at most, always in bulk, and adding one
/// is an append. Entries are not removed: whoever is told that a person is due checks whether it still
/// is, and calls ``compact(_:)`` when many are not: persons that were handed over leave theirs. Memory:
/// 16 bytes per entry, up to twice that.
struct TimerQueue: ~Copyable {
  struct Entry: BitwiseCopyable {
    var step: Int64
    var index: UInt32
  }

  /// Entries in chunks, which are never moved: an array of a million would stop processing for some 10 ms
  /// each time that it grows.
  private struct Level {
    private static let chunkCount = 4096

    private(set) var chunks: [[Entry]] = []

    var isEmpty: Bool { chunks.isEmpty }
    var count: Int { chunks.reduce(0) { $0 + $1.count } }
    var byteCount: Int { chunks.reduce(0) { $0 + $1.capacity } * MemoryLayout<Entry>.stride }

    @inline(__always)
    mutating func append(_ entry: Entry) {
      if chunks.isEmpty || chunks[chunks.count &- 1].count == Self.chunkCount { addChunk() }
      chunks[chunks.count &- 1].append(entry)
    }

    @inline(never)
    private mutating func addChunk() {
      var chunk: [Entry] = []
      if !chunks.isEmpty { chunk.reserveCapacity(Self.chunkCount) }
      chunks.append(chunk)
    }
  }

  private var levels = Array(repeating: Level(), count: 65)
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
      let chunks = levels[level].chunks
      levels[level] = Level()
      for chunk in chunks {
        for entry in chunk {
          if entry.step < step {
            due.append(entry)
          } else {
            levels[self.level(of: entry.step)].append(entry)
          }
        }
      }
    }
    if earliest < step { findEarliest() }
    count = levels.reduce(0) { $0 + $1.count }
  }

  /// Drops the entries that are not the timers of their persons any more.
  mutating func compact(_ table: borrowing PersonTable) {
    for level in levels.indices {
      let chunks = levels[level].chunks
      levels[level] = Level()
      for chunk in chunks {
        for entry in chunk
        where table.record(Int(entry.index)).pointee.timer == entry.step {
          levels[level].append(entry)
        }
      }
    }
    count = levels.reduce(0) { $0 + $1.count }
    findEarliest()
  }

  private mutating func findEarliest() {
    earliest = .max
    // Entries of a level come before those of all higher ones.
    for level in levels where !level.isEmpty {
      for chunk in level.chunks {
        for entry in chunk { earliest = min(earliest, entry.step) }
      }
      return
    }
  }

  var byteCount: Int { levels.reduce(0) { $0 + $1.byteCount } }
}
