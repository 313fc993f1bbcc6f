import Events
import Views

// What the aggregator hands out; see `Drain` and `Outbox`.
extension WindowAggregator {
  public mutating func drain(_ drain: Drain, into outbox: inout Outbox) {
    fold()
    switch drain {
    case .hot: drainHot(complete: false, into: &outbox)
    case .hotComplete: drainHot(complete: true, into: &outbox)
    case .commit(let includeCoarse): drainCommit(includeCoarse, into: &outbox)
    }
  }

  /// Rows in state.
  public var rowCount: Int {
    windows.reduce(0) { $1.reduce($0) { $0 + $1.pointee.rows.count } }
  }

  /// Tuples with rows in state, of at most ``WindowPolicy/tupleCountMax`` and the `(other)` ones.
  public var tupleCount: Int { tuples.liveCount }

  /// What waits for the next commit beside rows in state; it grows until then.
  public var pendingCount: Int {
    corrections.count + lateEvents.count + retired.count - retiredCommitted
  }

  /// What has left state since the last commit comes along: until that commit is seen, readers look
  /// for it in the hot copy.
  private mutating func drainHot(complete: Bool, into outbox: inout Outbox) {
    let left = retired.filter { complete || $0.isChanged }.map(\.row).sorted {
      WindowRow.isOrdered($0.row, $1.row)
    }
    for index in retired.indices { retired[index].isChanged = false }
    var next = left[...]
    order.begin()
    for level in windows {
      for window in level {
        for index in hotRows(of: window, complete: complete) {
          order.note(Int(window.pointee.rows.entry(Int(index)).pointee.key), in: tuples)
        }
      }
    }
    order.sort(tuples)
    for level in WindowLevel.allCases {
      outbox.hot.append(contentsOf: next.prefix { $0.row.level == level })
      next = next.drop { $0.row.level == level }
      for window in windows[level.rawValue] {
        let isFinal = window.pointee.isFinal
        let start = window.pointee.start
        order.forEach(hotRows(of: window, complete: complete)) {
          Int(window.pointee.rows.entry($0).pointee.key)
        } _: { index, id, text in
          let row = window.pointee.rows.entry(index)
          outbox.hot.append(
            HotRow(
              row: WindowRow(
                level: level, start: start, dimensionID: id, counts: row.pointee.value.counts,
                revision: row.pointee.value.revision, isFinal: isFinal),
              tuple: text))
          row.pointee.value.isHotChanged = false
        }
        window.pointee.hotChanged.removeAll(keepingCapacity: true)
      }
    }
  }

  private func hotRows(
    of window: UnsafeMutablePointer<LiveWindow>, complete: Bool
  ) -> [UInt32] {
    complete ? Array(0..<UInt32(window.pointee.rows.count)) : window.pointee.hotChanged
  }

  /// Takes what the rows are now for committed: those of final windows, and where `includeCoarse` those
  /// of open hours and days too. So a start from snapshots need not write every row that it restored.
  public mutating func forgetCommitted(includeCoarse: Bool) {
    fold()
    for level in WindowLevel.allCases {
      for window in windows[level.rawValue]
      where window.pointee.isFinal || (level.isCoarse && includeCoarse) {
        for index in window.pointee.commitChanged {
          window.pointee.rows.entry(Int(index)).pointee.value.isCommitChanged = false
        }
        window.pointee.commitChanged.removeAll(keepingCapacity: true)
      }
    }
  }

  /// Says that nobody reads a hot copy of what has changed, or that it has everything.
  public mutating func forgetHotChanges() {
    fold()
    for level in windows {
      for window in level {
        for index in window.pointee.hotChanged {
          window.pointee.rows.entry(Int(index)).pointee.value.isHotChanged = false
        }
        window.pointee.hotChanged.removeAll(keepingCapacity: true)
      }
    }
    for index in retired.indices { retired[index].isChanged = false }
  }

  /// The most changed rows that wait for a hot drain after their commit.
  private static var retiredCountMax: Int { 50_000 }

  private mutating func drainCommit(_ includeCoarse: Bool, into outbox: inout Outbox) {
    for level in WindowLevel.allCases {
      // Expired windows start before those in state.
      outbox.rows.append(contentsOf: expired[level.rawValue].sorted(by: WindowRow.isOrdered))
      expired[level.rawValue].removeAll(keepingCapacity: true)
      for window in windows[level.rawValue]
      where window.pointee.isFinal || (level.isCoarse && includeCoarse) {
        for row in ordered(window.pointee.commitChanged, of: window) {
          announce(Int(window.pointee.rows.entry(row.index).pointee.key))
          outbox.rows.append(value(row.index, of: window, id: row.id))
          window.pointee.rows.entry(row.index).pointee.value.isCommitChanged = false
        }
        window.pointee.commitChanged.removeAll(keepingCapacity: true)
      }
    }
    retired.removeAll { !$0.isChanged }
    // A hot copy that nobody has written for so long will be written anew.
    if retired.count > Self.retiredCountMax { retired.removeAll() }
    retiredCommitted = retired.count
    drainCorrections(into: &outbox)
    outbox.lateEvents.append(contentsOf: lateEvents)
    lateEvents.removeAll(keepingCapacity: true)
    var last: Int64?
    for entry in dimensions.sorted(by: { $0.id < $1.id }) where entry.id != last {
      outbox.dimensions.append(entry)
      last = entry.id
    }
    dimensions.removeAll(keepingCapacity: true)
  }

  private mutating func drainCorrections(into outbox: inout Outbox) {
    if corrections.count == 0 { return }
    var deltas: [WindowRow] = []
    deltas.reserveCapacity(corrections.count)
    for index in 0..<corrections.count {
      let entry = corrections.entries[index]
      let slot = WindowKey.slot(entry.key)
      announce(slot)
      deltas.append(
        WindowRow(
          level: WindowKey.level(entry.key), start: WindowKey.start(entry.key),
          dimensionID: tuples.slots[slot].id, counts: entry.value.counts,
          revision: entry.value.revision, isFinal: true))
      tuples.releasePending(slot)
    }
    corrections.removeAll()
    deltas.sort(by: WindowRow.isOrdered)
    outbox.deltas.append(contentsOf: deltas)
  }

  private func ordered(
    _ indices: [UInt32], of window: UnsafeMutablePointer<LiveWindow>
  ) -> [(id: Int64, index: Int)] {
    indices.map { index in
      let slot = Int(window.pointee.rows.entry(Int(index)).pointee.key)
      return (tuples.slots[slot].id, Int(index))
    }.sorted { $0.id < $1.id }
  }

  private func value(
    _ index: Int, of window: UnsafeMutablePointer<LiveWindow>, id: Int64
  ) -> WindowRow {
    let row = window.pointee.rows.entry(index).pointee.value
    return WindowRow(
      level: window.pointee.level, start: window.pointee.start, dimensionID: id,
      counts: row.counts, revision: row.revision, isFinal: window.pointee.isFinal)
  }
}

extension WindowRow {
  /// The order of everything that is handed out: level, start, dimension.
  static func isOrdered(_ a: WindowRow, _ b: WindowRow) -> Bool {
    (a.level.rawValue, a.start, a.dimensionID) < (b.level.rawValue, b.start, b.dimensionID)
  }
}
