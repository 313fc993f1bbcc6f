import Events
public import Views

/// Sums per tuple over windows that overlap: `size` long, one ending at every multiple of `slide`.
///
/// Time is cut into panes as long as a slide, and an event is counted once, in its pane. A running total
/// per tuple is the window that was closed last; the next one is that total plus the pane that has
/// come and minus the pane that has gone (Li et al. 2005, "No pane, no gain"), so a slide costs the same
/// whatever the window's length:
///
///     panes   │ 3 │ 0 │ 2 │ 1 │ 4 │ 2 ┆ …
///     closed  └────── 6 ──────┘
///     next        └────── 7 ──────┘        6 + 4 - 3
///
/// A window is final once the watermark has reached its end: then every tuple with anything in it has
/// its row handed out, an absolute value. A pane that comes after that, but less than the allowed
/// lateness behind the watermark, changes the rows of all windows that it lies in; each is handed out
/// again with a higher revision: the number of frames that changed it since it was final. Later ones are
/// not counted, and that is counted. ``early(logTime:into:dimensions:)`` gives rows of a window that is still open.
///
/// The order of calls is: ``advance(to:)`` where the watermark moves, then ``begin(tupleCount:bytes:)`` and its
/// events (``count(tuple:time:kind:revenueMicros:)``) or panes (``add(_:tuple:start:at:)``), and
/// ``drain(into:dimensions:)`` between two frames. Nothing is handed out while moments are silent.
///
/// Cost: 10 ns per event, 30 ns per tuple and slide, one look-up per tuple and window for what is late.
/// Memory: 88 bytes per tuple and pane that has anything of it (up to twice that after growth), 80
/// bytes and its text per tuple. Limits: tuples in state; events of further ones count for `(other)`.
public struct HoppingWindows: ~Copyable {
  public static var name: String { "trends" }

  /// Length of a window, microseconds; a multiple of ``slide``.
  public let size: Int64
  /// Distance of windows and length of panes, microseconds.
  public let slide: Int64
  /// How far the end of a pane may lie behind the watermark, microseconds.
  public let lateness: Int64
  public let tupleCountMax: Int

  var tuples = TupleTable()
  /// In order of their starts. Owned.
  var panes: [UnsafeMutablePointer<HoppingPane>] = []
  /// Panes that have gone, for their tables' room. Owned.
  private var spares: [UnsafeMutablePointer<HoppingPane>] = []
  /// The last pane that was counted in, if it belongs to no final window; and its start.
  private var openPane: UnsafeMutablePointer<HoppingPane>?
  private var openStart = Int64.max
  /// End of the window that was closed last; `.min` before the first moment.
  private(set) var closedEnd = Int64.min
  private(set) var watermark = Int64.min
  /// By slot: the window that ends at ``closedEnd``.
  private var totals: UnsafeMutablePointer<HoppingTotal>
  private var totalCapacity = 64
  /// Tuples with panes in that window, in order of id, and those that have entered it since.
  var present: [Present] = []
  private var entered: [UInt32] = []

  /// Rows that wait to be drained: of windows in the order in which they were closed, then corrected
  /// ones.
  var finals: [TrendRow] = []
  /// Rows that were corrected since; their values are worked out when they are drained.
  var revised: [(slot: UInt32, end: Int64)] = []
  var dimensions: [DimensionEntry] = []
  private var frameSlots: [UInt32] = []

  /// Events and panes that were too late for every window.
  public internal(set) var tooLate: Int64 = 0
  /// Events and panes that counted for `(other)` because there were too many tuples.
  public internal(set) var overflowed: Int64 = 0

  /// A tuple of the running totals.
  struct Present: BitwiseCopyable {
    var id: Int64
    var slot: UInt32
    var isAnnounced: Bool
  }

  /// - Parameters:
  ///   - size: microseconds, a multiple of `slide`.
  ///   - slide: microseconds.
  ///   - lateness: microseconds.
  ///   - tupleCountMax: the most tuples in state.
  public init(size: Int64, slide: Int64, lateness: Int64, tupleCountMax: Int) {
    precondition(
      slide > 0 && size >= slide && size % slide == 0 && size < TimeRange.latest,
      "a window is a multiple of its slide")
    precondition(lateness >= 0, "a declaration's times are checked")
    self.size = size
    self.slide = slide
    self.lateness = min(lateness, TimeRange.latest)
    self.tupleCountMax = tupleCountMax
    totals = .allocate(capacity: totalCapacity)
    totals.initialize(repeating: HoppingTotal(), count: totalCapacity)
  }

  deinit {
    for pane in panes + spares {
      pane.deinitialize(count: 1)
      pane.deallocate()
    }
    totals.deallocate()
  }

  // MARK: Sizes

  /// Tuples in state, of at most ``tupleCountMax``.
  public var tupleCount: Int { tuples.liveCount }
  public var paneCount: Int { panes.count }
  /// Sums in state: one per tuple and pane that has anything of it.
  public var rowCount: Int { panes.reduce(0) { $0 + $1.pointee.rows.count } }
  /// Rows that wait to be drained.
  public var pendingCount: Int { finals.count + revised.count }

  /// The watermark at which the next window is closed, or a pane leaves state; nil where there is none.
  public var earliestTimer: Int64? {
    guard let first = panes.first else { return nil }
    let isEmpty = present.isEmpty && entered.isEmpty
    let closing = isEmpty ? nextFull() ?? .max : closedEnd + slide
    return min(closing, first.pointee.start + slide + size + lateness)
  }

  /// The end of the next window that a pane comes into.
  private func nextFull() -> Int64? {
    let place = place(of: closedEnd)
    return place < panes.count ? panes[place].pointee.start + slide : nil
  }

  func floor(_ time: Int64) -> Int64 {
    let rest = time % slide
    return rest < 0 ? time - rest - slide : time - rest
  }

  // MARK: Time

  /// Closes the windows that the watermark has reached, and drops the panes that nothing can change or
  /// needs any more.
  public mutating func advance(to moment: FrameMoment) {
    guard moment.watermark > watermark else { return }
    watermark = moment.watermark
    let last = floor(watermark)
    // What came before the first watermark belongs to windows from its first pane on.
    if closedEnd == .min { closedEnd = min(last, panes.first?.pointee.start ?? last) }
    if last > closedEnd {
      openPane = nil
      openStart = .max
      while closedEnd < last {
        // Where nothing is in the window nothing is to be handed out.
        if present.isEmpty && entered.isEmpty {
          guard let next = nextFull(), next <= last else { break }
          closedEnd = next - slide
        }
        close(isSilent: moment.isSilent)
      }
      closedEnd = last
    }
    expire()
  }

  /// Closes the next window.
  private mutating func close(isSilent: Bool) {
    closedEnd += slide
    if let pane = pane(startingAt: closedEnd - slide) {
      for index in 0..<pane.pointee.rows.count {
        prefetchTotal(pane, index + 2 * TableMemory.ahead)
        let row = pane.pointee.rows.entries[index]
        let total = totals + Int(row.key)
        if total.pointee.paneCount == 0 { entered.append(UInt32(row.key)) }
        total.pointee.add(row.value)
      }
    }
    var hasLeft = false
    if let pane = pane(startingAt: closedEnd - slide - size) {
      for index in 0..<pane.pointee.rows.count {
        prefetchTotal(pane, index + 2 * TableMemory.ahead)
        let row = pane.pointee.rows.entries[index]
        let total = totals + Int(row.key)
        total.pointee.remove(row.value)
        hasLeft = hasLeft || total.pointee.paneCount == 0
      }
    }
    if hasLeft || !entered.isEmpty { arrangePresent() }
    if isSilent { return }
    finals.reserveCapacity(finals.count + present.count)
    for index in present.indices {
      if index + 2 * TableMemory.ahead < present.count {
        let slot = Int(present[index + 2 * TableMemory.ahead].slot)
        TableMemory.prefetch(whole: totals + slot)
      }
      let tuple = present[index]
      if !tuple.isAnnounced {
        announce(Int(tuple.slot))
        present[index].isAnnounced = true
      }
      finals.append(
        TrendRow(
          end: closedEnd, dimensionID: tuple.id, counts: totals[Int(tuple.slot)].sums, revision: 0,
          isFinal: true))
    }
  }

  @inline(__always)
  private func prefetchTotal(_ pane: UnsafeMutablePointer<HoppingPane>, _ index: Int) {
    if index >= pane.pointee.rows.count { return }
    TableMemory.prefetch(whole: totals + Int(pane.pointee.rows.entries[index].key))
  }

  /// Takes those that have left out of ``present``, and puts those that have entered in their places.
  private mutating func arrangePresent() {
    let slots = tuples.slots
    present.removeAll { totals[Int($0.slot)].paneCount == 0 }
    if entered.isEmpty { return }
    for slot in entered where totals[Int(slot)].paneCount > 0 {
      present.append(Present(id: slots[Int(slot)].id, slot: slot, isAnnounced: false))
    }
    entered.removeAll(keepingCapacity: true)
    // Few come at a time: sorting what is nearly in order costs little more than merging.
    present.sort { $0.id < $1.id }
  }

  /// Sees to it that the tuple's entry is written with or before what refers to it.
  mutating func announce(_ slot: Int) {
    if tuples.slots[slot].isAnnounced { return }
    tuples.markAnnounced(slot)
    dimensions.append(
      DimensionEntry(id: tuples.slots[slot].id, encoded: Array(tuples.bytes(slot))))
  }

  /// Says that the rows of the window that was closed last have been written, and with them the tuples of
  /// all that are in it.
  public mutating func forgetCommitted() {
    for index in present.indices {
      present[index].isAnnounced = true
      tuples.markAnnounced(Int(present[index].slot))
    }
  }

  /// The start before which panes have left state.
  private var keptFrom: Int64 { floor(watermark - lateness) - size }

  private mutating func expire() {
    let keptFrom = keptFrom
    let count = panes.prefix { $0.pointee.start < keptFrom }.count
    if count == 0 { return }
    settleRevised()
    for pane in panes.prefix(count) { retire(pane) }
    panes.removeFirst(count)
  }

  private mutating func retire(_ pane: UnsafeMutablePointer<HoppingPane>) {
    let rowCount = pane.pointee.rows.count
    for index in 0..<rowCount {
      let far = index + 4 * TableMemory.ahead
      if far < rowCount { tuples.prefetchSlot(Int(pane.pointee.rows.entries[far].key)) }
      let near = index + 2 * TableMemory.ahead
      if near < rowCount { tuples.prefetchRelease(Int(pane.pointee.rows.entries[near].key)) }
      tuples.releaseLive(Int(pane.pointee.rows.entries[index].key))
    }
    for index in 0..<pane.pointee.revisions.count {
      tuples.releaseLive(Int(pane.pointee.revisions.entries[index].key))
    }
    if spares.count < 2 {
      spares.append(pane)
    } else {
      pane.deinitialize(count: 1)
      pane.deallocate()
    }
  }

  // MARK: Events

  /// Starts the events of a frame that has so many tuples.
  public mutating func begin(tupleCount: Int, bytes: (Int) -> UnsafeRawBufferPointer) {
    tuples.releaseUnused()
    frameSlots.removeAll(keepingCapacity: true)
    for tuple in 0..<tupleCount {
      let slot = tuples.intern(tuple, of: tupleCount, bytes)
      if slot >= totalCapacity { growTotals(slot) }
      frameSlots.append(UInt32(slot))
      askForRow(tuple)
    }
    for tuple in tupleCount..<tupleCount + TableMemory.ahead { askForRow(tuple) }
  }

  /// Asks for the place of a tuple's row in the open pane, and for the row of one before it.
  @inline(__always)
  private func askForRow(_ tuple: Int) {
    guard let pane = openPane, pane.pointee.rows.isLarge else { return }
    if tuple < frameSlots.count { pane.pointee.rows.prefetchPlace(UInt64(frameSlots[tuple])) }
    let near = tuple - TableMemory.ahead
    if near >= 0 { pane.pointee.rows.prefetchEntry(UInt64(frameSlots[near])) }
  }

  mutating func intern(_ bytes: UnsafeRawBufferPointer) -> Int {
    let slot = tuples.intern(bytes)
    if slot >= totalCapacity { growTotals(slot) }
    return slot
  }

  private mutating func growTotals(_ slot: Int) {
    let capacity = max(totalCapacity * 2, slot + 1)
    let grown = TableMemory.allocate(HoppingTotal.self, count: capacity)
    grown.update(from: totals, count: totalCapacity)
    (grown + totalCapacity).initialize(repeating: HoppingTotal(), count: capacity - totalCapacity)
    totals.deallocate()
    totals = grown
    totalCapacity = capacity
  }

  /// Counts one event. Kinds that no metric counts are passed over.
  ///
  /// - Parameters:
  ///   - tuple: an index of the begun frame.
  ///   - time: microseconds since the epoch, within ``TimeRange``.
  @inline(__always)
  public mutating func count(
    tuple: Int, time: Int64, kind: UInt8, revenueMicros: Int64, at moment: FrameMoment
  ) {
    if let pane = openPane, time >= openStart, time < openStart &+ slide {
      let row = pane.pointee.rows.find(UInt64(frameSlots[tuple]))
      if row >= 0 {
        pane.pointee.rows.entries[row].value.add(kind: kind, revenueMicros: revenueMicros)
        pane.pointee.changedRows.mark(row)
        return
      }
    }
    var counts = Counts()
    counts.add(kind: kind, revenueMicros: revenueMicros)
    add(counts, tuple: tuple, start: floor(time), at: moment)
  }

  /// Adds what happened to a tuple within one pane.
  ///
  /// - Parameters:
  ///   - counts: to be added to what the pane has.
  ///   - tuple: an index of the begun frame.
  ///   - start: of the pane, a multiple of ``slide``, microseconds since the epoch.
  @inline(never)
  public mutating func add(_ counts: Counts, tuple: Int, start: Int64, at moment: FrameMoment) {
    if counts == Counts() { return }
    guard watermark == .min || start + slide > watermark - lateness else {
      tooLate += 1
      return
    }
    let slot = admit(Int(frameSlots[tuple]))
    let pane = makePane(startingAt: start)
    var row = pane.pointee.rows.find(UInt64(slot))
    let isNew = row < 0
    if isNew {
      row = pane.pointee.rows.insert(UInt64(slot), Counts())
      tuples.retainLive(slot)
    }
    pane.pointee.changedRows.mark(row)
    if start >= closedEnd {
      pane.pointee.rows.entries[row].value += counts
      openPane = pane
      openStart = start
    } else {
      correct(pane, row, isNew, counts, at: moment)
    }
  }

  /// The slot that counts for `slot`: its own, unless that would be one tuple too many.
  private mutating func admit(_ slot: Int) -> Int {
    if tuples.slots[slot].liveRefs > 0 || tuples.liveCount < tupleCountMax { return slot }
    overflowed += 1
    return EncodedTuple.other(of: tuples.bytes(slot)).withUnsafeBytes { intern($0) }
  }

  /// Adds to a pane of windows that are final.
  private mutating func correct(
    _ pane: UnsafeMutablePointer<HoppingPane>, _ row: Int, _ isNew: Bool, _ counts: Counts,
    at moment: FrameMoment
  ) {
    let slot = Int(pane.pointee.rows.entries[row].key)
    let start = pane.pointee.start
    let before = pane.pointee.rows.entries[row].value
    pane.pointee.rows.entries[row].value += counts
    if start >= closedEnd - size {
      let total = totals + slot
      if total.pointee.paneCount == 0 { entered.append(UInt32(slot)) }
      // Taken out and put in again, because a pane's sum may have come to the end of Int64.
      if !isNew { total.pointee.remove(before) }
      total.pointee.add(pane.pointee.rows.entries[row].value)
    }
    var end = start + slide
    while end <= min(start + size, closedEnd) {
      revise(slot, end, at: moment)
      end += slide
    }
  }

  private mutating func revise(_ slot: Int, _ end: Int64, at moment: FrameMoment) {
    let pane = makePane(startingAt: end - slide)
    var index = pane.pointee.revisions.find(UInt64(slot))
    if index < 0 {
      index = pane.pointee.revisions.insert(
        UInt64(slot), HoppingPane.Revision(count: 0, sequence: 0, isPending: false))
      tuples.retainLive(slot)
    }
    pane.pointee.changedRevisions.mark(index)
    let revision = pane.pointee.revisions.entries + index
    if revision.pointee.value.sequence != moment.sequence {
      revision.pointee.value.sequence = moment.sequence
      revision.pointee.value.count &+= 1
    }
    if !revision.pointee.value.isPending && !moment.isSilent {
      revision.pointee.value.isPending = true
      revised.append((UInt32(slot), end))
    }
  }

  // MARK: Panes

  /// The index of the first pane that starts at `start` or later.
  func place(of start: Int64) -> Int {
    var place = 0
    var end = panes.count
    while place < end {
      let middle = (place + end) / 2
      if panes[middle].pointee.start < start { place = middle + 1 } else { end = middle }
    }
    return place
  }

  func pane(startingAt start: Int64) -> UnsafeMutablePointer<HoppingPane>? {
    let place = place(of: start)
    guard place < panes.count, panes[place].pointee.start == start else { return nil }
    return panes[place]
  }

  mutating func makePane(startingAt start: Int64) -> UnsafeMutablePointer<HoppingPane> {
    let place = place(of: start)
    if place < panes.count, panes[place].pointee.start == start { return panes[place] }
    let pane: UnsafeMutablePointer<HoppingPane>
    if let spare = spares.popLast() {
      spare.pointee.reset(start: start)
      pane = spare
    } else {
      pane = .allocate(capacity: 1)
      pane.initialize(to: HoppingPane(start: start))
    }
    panes.insert(pane, at: place)
    return pane
  }

  /// By slot, of the tuples in the window that was closed last.
  func closedTotals() -> [UInt32: HoppingTotal] {
    var sums: [UInt32: HoppingTotal] = [:]
    sums.reserveCapacity(present.count + entered.count)
    for tuple in present { sums[tuple.slot] = totals[Int(tuple.slot)] }
    for slot in entered { sums[slot] = totals[Int(slot)] }
    return sums
  }

  /// Sets time and works the running totals out anew from the panes.
  mutating func setWatermark(_ watermark: Int64) {
    finals.removeAll()
    revised.removeAll()
    self.watermark = watermark
    openPane = nil
    openStart = .max
    for tuple in present { totals[Int(tuple.slot)] = HoppingTotal() }
    for slot in entered { totals[Int(slot)] = HoppingTotal() }
    present.removeAll()
    entered.removeAll()
    closedEnd = watermark == .min ? .min : floor(watermark)
    if watermark == .min { return }
    expire()
    for pane in panes[place(of: closedEnd - size)..<place(of: closedEnd)] {
      for index in 0..<pane.pointee.rows.count {
        let row = pane.pointee.rows.entries[index]
        if totals[Int(row.key)].paneCount == 0 { entered.append(UInt32(row.key)) }
        totals[Int(row.key)].add(row.value)
      }
    }
    arrangePresent()
  }

  /// Takes a pane out of state, of which nothing is in the totals.
  mutating func removePane(startingAt start: Int64) {
    let place = place(of: start)
    guard place < panes.count, panes[place].pointee.start == start else { return }
    retire(panes[place])
    panes.remove(at: place)
  }
}
