public import Views

extension HoppingWindows {
  /// Moves the rows of windows that became final, and of final ones that were corrected, to `rows`, in
  /// order of (end, dimension), and the tuples that they use for the first time to `dimensions`, in
  /// order of id. Draining more or less often changes how often a row is given, never what it says in
  /// the end.
  public mutating func drain(into rows: inout [TrendRow], dimensions: inout [DimensionEntry]) {
    if !revised.isEmpty { settleRevised() }
    rows.append(contentsOf: finals)
    finals.removeAll(keepingCapacity: true)
    dimensions.append(contentsOf: self.dimensions.sorted { $0.id < $1.id })
    self.dimensions.removeAll(keepingCapacity: true)
  }

  /// Works out the rows that were corrected and puts them in their places among those that wait.
  mutating func settleRevised() {
    if revised.isEmpty { return }
    revised.sort { ($0.slot, $0.end) < ($1.slot, $1.end) }
    var index = 0
    while index < revised.count {
      let slot = Int(revised[index].slot)
      announce(slot)
      var total = HoppingTotal()
      // Where a tuple's windows lie beside each other each follows from the one before.
      var from = revised[index].end - size
      var to = from
      while index < revised.count, Int(revised[index].slot) == slot {
        let end = revised[index].end
        forEachRow(of: slot, from: from, to: min(end - size, to)) { total.remove($0) }
        from = end - size
        forEachRow(of: slot, from: max(to, from), to: end) { total.add($0) }
        to = end
        finals.append(takeRevised(slot, end, total.sums))
        index += 1
      }
    }
    revised.removeAll(keepingCapacity: true)
    finals.sort { ($0.end, $0.dimensionID, $0.revision) < ($1.end, $1.dimensionID, $1.revision) }
    // Of a row that was given twice the later one stays.
    var kept = 0
    for index in finals.indices {
      if index + 1 < finals.count, finals[index].end == finals[index + 1].end,
        finals[index].dimensionID == finals[index + 1].dimensionID
      {
        continue
      }
      finals[kept] = finals[index]
      kept += 1
    }
    finals.removeLast(finals.count - kept)
  }

  private func takeRevised(_ slot: Int, _ end: Int64, _ counts: Counts) -> TrendRow {
    var revision: Int32 = 0
    if let pane = pane(startingAt: end - slide) {
      let index = pane.pointee.revisions.find(UInt64(slot))
      if index >= 0 {
        pane.pointee.revisions.entries[index].value.isPending = false
        revision = pane.pointee.revisions.entries[index].value.count
      }
    }
    return TrendRow(
      end: end, dimensionID: tuples.slots[slot].id, counts: counts, revision: revision,
      isFinal: true)
  }

  private func forEachRow(of slot: Int, from: Int64, to: Int64, _ body: (Counts) -> Void) {
    var index = place(of: from)
    while index < panes.count, panes[index].pointee.start < to {
      let row = panes[index].pointee.rows.find(UInt64(slot))
      if row >= 0 { body(panes[index].pointee.rows.entries[row].value) }
      index += 1
    }
  }

  /// Appends the rows of the open window that `logTime` lies in, or the next one to be closed where
  /// that is later, as far as they are known: early results, not final, in order of id; and the tuples
  /// of these that have not been handed out. State does not change.
  ///
  /// - Parameter logTime: microseconds since the epoch.
  public func early(
    logTime: Int64, into rows: inout [TrendRow], dimensions: inout [DimensionEntry]
  ) {
    if closedEnd == .min { return }
    let end = max(floor(logTime), closedEnd) + slide
    // From the window that was closed last, with what has come since and without what has gone.
    var sums = closedTotals()
    for pane in panes[place(of: closedEnd)..<place(of: end)] {
      for index in 0..<pane.pointee.rows.count {
        let row = pane.pointee.rows.entries[index]
        sums[UInt32(row.key), default: HoppingTotal()].add(row.value)
      }
    }
    for pane in panes[place(of: closedEnd - size)..<place(of: end - size)] {
      for index in 0..<pane.pointee.rows.count {
        let row = pane.pointee.rows.entries[index]
        sums[UInt32(row.key), default: HoppingTotal()].remove(row.value)
      }
    }
    let first = rows.count
    let known = dimensions.count
    for (slot, total) in sums where total.paneCount > 0 {
      let tuple = tuples.slots[Int(slot)]
      rows.append(
        TrendRow(
          end: end, dimensionID: tuple.id, counts: total.sums, revision: 0, isFinal: false))
      if !tuple.isAnnounced {
        dimensions.append(DimensionEntry(id: tuple.id, encoded: Array(tuples.bytes(Int(slot)))))
      }
    }
    dimensions[known...].sort { $0.id < $1.id }
    rows[first...].sort { $0.dimensionID < $1.dimensionID }
  }
}
