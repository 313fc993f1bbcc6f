public import Events
public import Views

/// Counts events in tumbling windows of 10 s, 1 min, 1 h and 1 day, per dimension tuple.
///
/// Event time is the client's. An event whose 10 s window ends after the watermark is on time; a
/// later one corrects its windows, as long as the allowed lateness has not passed since that end.
/// Windows in state have absolute values. A window whose end plus the grace has passed is expired:
/// its row is handed out for the last time, and corrections of it are deltas, to be added to what is
/// stored. See ``WindowPolicy`` for the limits between the three.
///
/// On-time events, nearly all, are counted once, in a small table of (tuple, 10 s window), which is
/// folded into the four levels before anything can see them: before the watermark passes an end,
/// before a drain and before a snapshot, and when it has grown large. Kinds without a metric
/// (identify, custom) get a verdict but make no row. Cost: about 25 ns per on-time event, 200 ns per
/// late one, some 100 bytes per row.
public struct WindowAggregator: ~Copyable, Operator {
  public static var name: String { "windows" }

  let policy: WindowPolicy
  var tuples = TupleTable()
  /// On-time counts not yet folded, by ``WindowKey`` of level 10 s.
  var open = FlatTable<Counts>(capacity: 1024)
  /// Folding is bounded, because a drain or a snapshot waits for it.
  private static var openCountMax: Int { 1 << 13 }
  /// Tuples in `open` that had no rows before.
  private(set) var openTupleCount = 0
  /// The earliest end of a window in `open`; `.max` if there is none.
  private var openEnd = Int64.max
  /// Windows in state by level, in order of start. Owned.
  var windows: [[UnsafeMutablePointer<LiveWindow>]]
  /// The next watermark at which a window of `windows` becomes final or expires.
  private var nextChange = Int64.max

  /// What has changed since the last snapshot.
  var changes = WindowChanges()

  /// Undrained corrections of expired windows, by ``WindowKey``.
  var corrections = FlatTable<Correction>()
  /// Undrained last values of expired windows, by level.
  var expired: [[WindowRow]]
  /// Rows of windows that expired since the last commit drain, for readers of the hot copy whose
  /// durable rows are of before.
  var retired: [RetiredRow] = []
  /// How many of `retired` have been committed, and only wait for the hot copy.
  var retiredCommitted = 0
  var lateEvents: [LateEvent] = []
  /// Tuples whose entry is handed out with the next commit, in any order, maybe repeated.
  var dimensions: [DimensionEntry] = []

  /// Of the rows that a drain of the hot copy hands out.
  var order = TupleOrder()

  /// Rows and corrections that the present frame has revised.
  private var revisedRows: [(window: UnsafeMutablePointer<LiveWindow>, row: Int)] = []
  private var revisedCorrections: [Int] = []

  public internal(set) var logTime = Int64.min
  public internal(set) var watermark = Int64.min
  /// Per level, the smallest start whose window is in state; see ``WindowPolicy/seam(_:watermark:)``.
  var seams: [Int64]
  /// Events that counted for `(other)` because there were too many tuples.
  public internal(set) var overflowed: Int64 = 0
  /// The last frame that corrected an expired window; 0 for none.
  public internal(set) var lastCorrectionSequence: UInt64 = 0

  /// The slot of each tuple of the present frame.
  private var frameSlots: UnsafeMutablePointer<UInt32>
  private var frameSlotCapacity = 1024

  public init(policy: WindowPolicy) {
    self.policy = policy
    windows = Array(repeating: [], count: WindowLevel.allCases.count)
    expired = Array(repeating: [], count: WindowLevel.allCases.count)
    seams = Array(repeating: .min, count: WindowLevel.allCases.count)
    frameSlots = .allocate(capacity: frameSlotCapacity)
  }

  deinit {
    for level in windows {
      for window in level {
        window.deinitialize(count: 1)
        window.deallocate()
      }
    }
    frameSlots.deallocate()
  }

  // MARK: Time

  /// The smallest start whose window is in state: windows before it have expired.
  public func seam(_ level: WindowLevel) -> Int64 { seams[level.rawValue] }

  public mutating func advance(to moment: FrameMoment) {
    logTime = max(logTime, moment.logTime)
    guard moment.watermark > watermark else { return }
    if moment.watermark >= openEnd { fold() }
    setWatermark(moment.watermark)
    if watermark >= nextChange { closeWindows(isSilent: moment.isSilent) }
  }

  mutating func setWatermark(_ new: Int64) {
    watermark = new
    for level in WindowLevel.allCases {
      seams[level.rawValue] = policy.seam(level, watermark: watermark)
    }
  }

  public var earliestTimer: Int64? {
    let earliest = min(nextChange, openEnd)
    return earliest == .max ? nil : earliest
  }

  /// Makes windows final that the watermark has passed, and drops those that have expired.
  mutating func closeWindows(isSilent: Bool) {
    nextChange = .max
    for level in WindowLevel.allCases {
      let seam = seams[level.rawValue]
      let expiredCount = windows[level.rawValue].prefix { $0.pointee.start < seam }.count
      for window in windows[level.rawValue].prefix(expiredCount) {
        expire(window, isSilent: isSilent)
      }
      windows[level.rawValue].removeFirst(expiredCount)
      for window in windows[level.rawValue] {
        if !window.pointee.isFinal && window.pointee.end <= watermark { window.pointee.finalize() }
        noteChange(of: window)
      }
    }
  }

  private mutating func noteChange(of window: UnsafeMutablePointer<LiveWindow>) {
    let end = window.pointee.end
    nextChange = min(nextChange, window.pointee.isFinal ? end + policy.windowGrace : end)
  }

  /// Hands a window's rows over to the next commit. While silent they are in the read model already,
  /// maybe with corrections that must not be overwritten.
  private mutating func expire(_ window: UnsafeMutablePointer<LiveWindow>, isSilent: Bool) {
    let level = window.pointee.level
    for index in 0..<window.pointee.rows.count {
      let entry = window.pointee.rows.entry(index).pointee
      let slot = Int(entry.key)
      if !isSilent {
        let row = WindowRow(
          level: level, start: window.pointee.start, dimensionID: tuples.slots[slot].id,
          counts: entry.value.counts, revision: entry.value.revision, isFinal: true)
        // A window may pass both limits in one step; its rows have not been final yet then.
        if entry.value.isCommitChanged || !window.pointee.isFinal {
          announce(slot)
          expired[level.rawValue].append(row)
        }
        retired.append(
          RetiredRow(
            row: HotRow(row: row, tuple: Array(tuples.bytes(slot))),
            isChanged: entry.value.isHotChanged))
      }
      tuples.releaseLive(slot)
    }
    window.deinitialize(count: 1)
    window.deallocate()
  }

  /// Empties all windows.
  mutating func removeRows() {
    for level in windows {
      for window in level { expire(window, isSilent: true) }
    }
    windows = Array(repeating: [], count: WindowLevel.allCases.count)
    nextChange = .max
  }

  /// Sees to it that the tuple's entry is written with or before what refers to it.
  mutating func announce(_ slot: Int) {
    if tuples.slots[slot].isAnnounced { return }
    tuples.markAnnounced(slot)
    dimensions.append(
      DimensionEntry(id: tuples.slots[slot].id, encoded: Array(tuples.bytes(slot))))
  }

  // MARK: Events

  public mutating func process(
    _ frame: FrameView, at moment: FrameMoment, verdicts: inout Verdicts
  ) throws(OperatorError) {
    internTuples(of: frame)
    let values = verdicts.values
    let onTimeFrom = policy.onTimeFrom(watermark: watermark)
    let tooLateBefore = policy.tooLateBefore(watermark: watermark)
    var clampedFuture = 0
    for index in 0..<frame.count {
      if values[index] != Verdict.accepted.rawValue { continue }
      let stated = frame.eventTime(index)
      let time = WindowPolicy.eventTime(
        stated: stated, receivedAt: frame.receivedAt(index), logTime: logTime)
      if time >= onTimeFrom {
        values[index] = Verdict.onTime.rawValue
        let kind = frame.kind(index)
        if kind <= EventKind.conversion.rawValue {
          count(
            Int(frameSlots[frame.tuple(index)]), time, kind,
            revenueMicros: frame.revenueMicros(index))
        }
      } else if time >= tooLateBefore {
        values[index] = Verdict.late.rawValue
        let kind = frame.kind(index)
        if kind <= EventKind.conversion.rawValue {
          var counts = Counts()
          counts.add(kind: kind, revenueMicros: frame.revenueMicros(index))
          correct(counts, Int(frameSlots[frame.tuple(index)]), time, at: moment)
        }
      } else {
        values[index] = Verdict.tooLate.rawValue
        if !moment.isSilent { keepLate(frame, index, time, at: moment) }
        continue
      }
      clampedFuture &+= time < stated ? 1 : 0
    }
    verdicts.clampedFuture = clampedFuture
    finishFrame()
  }

  private mutating func internTuples(of frame: FrameView) {
    let tupleCount = frame.tupleCount
    if tupleCount > frameSlotCapacity {
      frameSlots.deallocate()
      frameSlotCapacity = tupleCount * 2
      frameSlots = .allocate(capacity: frameSlotCapacity)
    }
    for index in 0..<tupleCount {
      frameSlots[index] = UInt32(
        truncatingIfNeeded: tuples.intern(index, of: tupleCount) { frame.tupleBytes($0) })
    }
  }

  /// Counts an on-time event in its 10 s window; ``fold()`` adds it to the longer ones.
  @inline(__always)
  private mutating func count(_ slot: Int, _ time: Int64, _ kind: UInt8, revenueMicros: Int64) {
    let window = WindowKey.window(.tenSeconds, WindowLevel.tenSeconds.start(of: time))
    var entry = open.find(WindowKey.key(slot, window: window))
    if entry < 0 { entry = addOpen(slot, window) }
    open.entries[entry].value.add(kind: kind, revenueMicros: revenueMicros)
  }

  @inline(never)
  mutating func addOpen(_ wanted: Int, _ window: UInt64) -> Int {
    let slot = admit(wanted)
    let key = WindowKey.key(slot, window: window)
    let known = open.find(key)
    if known >= 0 { return known }
    if tuples.slots[slot].liveRefs == 0 { openTupleCount += 1 }
    tuples.retainLive(slot)
    openEnd = min(openEnd, WindowKey.start(window) + WindowLevel.tenSeconds.length)
    return open.insert(key, Counts())
  }

  /// The slot that an event of `slot` counts for: its own, unless that would be one tuple too many.
  private mutating func admit(_ slot: Int) -> Int {
    if tuples.slots[slot].liveRefs > 0 || tuples.liveCount < policy.tupleCountMax { return slot }
    overflowed += 1
    return EncodedTuple.other(of: tuples.bytes(slot)).withUnsafeBytes { tuples.intern($0) }
  }

  /// Moves what was counted on time into the windows of all levels.
  mutating func fold() {
    if open.count == 0 { return }
    // The window of each level that the entry before went to: mostly it is the same.
    var last: [UnsafeMutablePointer<LiveWindow>?] = Array(repeating: nil, count: windows.count)
    for index in 0..<open.count {
      let entry = open.entries[index]
      let slot = WindowKey.slot(entry.key)
      let start = WindowKey.start(entry.key)
      for level in WindowLevel.allCases {
        let levelStart = level.start(of: start)
        let window: UnsafeMutablePointer<LiveWindow>
        if let known = last[level.rawValue], known.pointee.start == levelStart {
          window = known
        } else {
          window = self.window(level, start: levelStart)
          last[level.rawValue] = window
        }
        add(entry.value, slot, to: window)
      }
      changes.note(entry.key, entry.value, &tuples)
      tuples.releaseLive(slot)
    }
    open.removeAll()
    openTupleCount = 0
    openEnd = .max
    changes.limit(rowCount: rowCount, &tuples)
  }

  @inline(__always)
  @discardableResult
  mutating func add(
    _ counts: Counts, _ slot: Int, to window: UnsafeMutablePointer<LiveWindow>
  ) -> Int {
    let (row, isNew) = window.pointee.change(slot)
    if isNew { tuples.retainLive(slot) }
    window.pointee.rows.entry(row).pointee.value.counts += counts
    return row
  }

  /// The window in state that starts at `start`, made if need be.
  ///
  /// - Precondition: `start` is not before the level's seam.
  mutating func window(
    _ level: WindowLevel, start: Int64
  ) -> UnsafeMutablePointer<LiveWindow> {
    var place = 0
    var end = windows[level.rawValue].count
    while place < end {
      let middle = (place + end) / 2
      if windows[level.rawValue][middle].pointee.start < start {
        place = middle + 1
      } else {
        end = middle
      }
    }
    if place < windows[level.rawValue].count {
      let known = windows[level.rawValue][place]
      if known.pointee.start == start { return known }
    }
    let window = UnsafeMutablePointer<LiveWindow>.allocate(capacity: 1)
    window.initialize(
      to: LiveWindow(level: level, start: start, isFinal: start + level.length <= watermark))
    windows[level.rawValue].insert(window, at: place)
    noteChange(of: window)
    return window
  }

  // MARK: Late events

  /// Counts what is late: in windows in state, and as corrections of expired ones. Windows that are
  /// older than their level's rows are kept are passed over.
  @inline(never)
  mutating func correct(_ counts: Counts, _ wanted: Int, _ time: Int64, at moment: FrameMoment) {
    let slot = admit(wanted)
    for level in WindowLevel.allCases {
      let start = level.start(of: time)
      if start >= seams[level.rawValue] {
        let window = window(level, start: start)
        let row = add(counts, slot, to: window)
        changes.note(late: WindowKey.key(slot, window: WindowKey.window(level, start)), &tuples)
        if window.pointee.isFinal && !window.pointee.rows.entry(row).pointee.value.isRevised {
          window.pointee.rows.entry(row).pointee.value.isRevised = true
          window.pointee.rows.entry(row).pointee.value.revision &+= 1
          revisedRows.append((window, row))
        }
      } else if level.retention.map({ start + level.length + $0 > logTime }) ?? true {
        lastCorrectionSequence = moment.sequence
        if !moment.isSilent { addCorrection(counts, slot, level, start) }
      }
    }
  }

  private mutating func addCorrection(
    _ counts: Counts, _ slot: Int, _ level: WindowLevel, _ start: Int64
  ) {
    let key = WindowKey.key(slot, window: WindowKey.window(level, start))
    var index = corrections.find(key)
    if index < 0 {
      index = corrections.insert(key, Correction())
      tuples.retainPending(slot)
    }
    corrections.entries[index].value.counts += counts
    if !corrections.entries[index].value.isRevised {
      corrections.entries[index].value.isRevised = true
      corrections.entries[index].value.revision &+= 1
      revisedCorrections.append(index)
    }
  }

  @inline(never)
  private mutating func keepLate(
    _ frame: FrameView, _ index: Int, _ time: Int64, at moment: FrameMoment
  ) {
    let slot = Int(frameSlots[frame.tuple(index)])
    announce(slot)
    lateEvents.append(
      LateEvent(
        sequence: moment.sequence, index: Int32(truncatingIfNeeded: index), eventTime: time,
        kind: frame.kind(index), dimensionID: tuples.slots[slot].id,
        revenueMicros: frame.revenueMicros(index)))
  }

  mutating func finishFrame() {
    if open.count >= Self.openCountMax { fold() }
    for (window, row) in revisedRows {
      window.pointee.rows.entry(row).pointee.value.isRevised = false
    }
    revisedRows.removeAll(keepingCapacity: true)
    for index in revisedCorrections { corrections.entries[index].value.isRevised = false }
    revisedCorrections.removeAll(keepingCapacity: true)
    tuples.releaseUnused()
  }
}
