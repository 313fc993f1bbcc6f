import Events

/// The ids that were added since the last snapshot, in order of their adding.
///
/// Appending is one store per new id. Limit: when there are more than half as many as are remembered,
/// and many, the notes are thrown away, because all ids are then hardly more to write; nothing is
/// noted until the next snapshot. So memory stays bounded where snapshots cannot be written, or nobody
/// wants any. 24 bytes per id.
struct DedupeChanges: ~Copyable {
  struct Addition: BitwiseCopyable {
    var key: Key128
    var stamp: UInt32
    /// Index of the id's table.
    var table: UInt16
  }

  /// Fewer are always kept: 24 MB.
  var keptCountMin = 1_000_000

  private(set) var count = 0
  /// True while nothing is noted: the next increment must hold all ids.
  private(set) var isLost = false
  private(set) var additions: UnsafeMutablePointer<Addition>
  private var capacity = 1024

  init() { additions = .allocate(capacity: capacity) }

  deinit { additions.deallocate() }

  /// Memory in bytes.
  var byteCount: Int { capacity * MemoryLayout<Addition>.stride }

  /// Room for `count` further additions, to be filled from the start and then ``add(_:stateCount:)``ed.
  mutating func reserve(_ extra: Int) -> UnsafeMutablePointer<Addition> {
    if count + extra > capacity { resize(max(capacity * 2, count + extra)) }
    return additions + count
  }

  /// - Parameter stateCount: remembered ids.
  mutating func add(_ extra: Int, stateCount: Int) {
    if isLost { return }
    count += extra
    if count > keptCountMin && count > stateCount / 2 {
      isLost = true
      count = 0
      resize(1024)
    }
  }

  /// Starts anew: everything so far is in a snapshot.
  mutating func clear() {
    isLost = false
    count = 0
    if capacity > keptCountMin { resize(1024) }
  }

  private mutating func resize(_ wanted: Int) {
    let old = additions
    capacity = wanted
    additions = .allocate(capacity: wanted)
    additions.update(from: old, count: count)
    old.deallocate()
  }
}
