import Views

/// What a window in state holds for one tuple. The key of its table is the tuple's slot.
struct LiveRow: BitwiseCopyable {
  var counts = Counts()
  /// Frames that changed the row after it was final.
  var revision: Int32 = 0
  /// In ``LiveWindow/hotChanged``.
  var isHotChanged = false
  /// In ``LiveWindow/commitChanged``.
  var isCommitChanged = false
  /// Changed by the present frame after it was final.
  var isRevised = false
}

/// A window whose rows are in state.
///
/// Open until the watermark reaches its end, then final, then, after the grace, expired and gone.
struct LiveWindow: ~Copyable {
  let level: WindowLevel
  let start: Int64
  let end: Int64
  var isFinal: Bool
  var rows = RowTable<LiveRow>()
  /// Indices of rows that changed since the last hot drain, and since they were last drained for a
  /// commit.
  var hotChanged: [UInt32] = []
  var commitChanged: [UInt32] = []

  init(level: WindowLevel, start: Int64, isFinal: Bool) {
    self.level = level
    self.start = start
    end = start + level.length
    self.isFinal = isFinal
  }

  /// The index of the slot's row, or of a new one (then `isNew`), marked as changed.
  mutating func change(_ slot: Int) -> (index: Int, isNew: Bool) {
    let known = rows.find(UInt64(slot))
    let index = known >= 0 ? known : rows.insert(UInt64(slot), LiveRow())
    mark(index)
    return (index, known < 0)
  }

  /// Makes room for so many changed rows.
  mutating func reserve(_ rowCount: Int) {
    hotChanged.reserveCapacity(rowCount)
    commitChanged.reserveCapacity(rowCount)
  }

  /// Marks a row as changed for both sorts of drains.
  mutating func mark(_ index: Int) {
    let row = rows.entry(index)
    if !row.pointee.value.isHotChanged {
      row.pointee.value.isHotChanged = true
      hotChanged.append(UInt32(truncatingIfNeeded: index))
    }
    markForCommit(index)
  }

  private mutating func markForCommit(_ index: Int) {
    let row = rows.entry(index)
    guard !row.pointee.value.isCommitChanged else { return }
    row.pointee.value.isCommitChanged = true
    commitChanged.append(UInt32(truncatingIfNeeded: index))
  }

  /// Being final is part of a durable row, so each counts as changed for the next commit. In the hot
  /// copy the watermark says it of a whole window, and no row is written for it.
  mutating func finalize() {
    isFinal = true
    for index in 0..<rows.count { markForCommit(index) }
  }
}
