import Events
public import Views

/// Watches sites, campaigns and contents for what is not as usual: counts panes into bins, and has the
/// ``IncidentBoard`` look at each bin once, when the watermark has reached its end.
///
///     panes ──▶ │ open bins, by tuple │ ── end ≤ watermark ──▶ board ──▶ rows of incidents
///     time  ──▶ │ parts with frames   │    in order of time
///
/// Whether a pane comes in time for its bin follows from the log time of its own partition alone
/// (``IncidentPolicy/closedEnd(logTime:disorder:)``), so it does not matter in which order partitions are read.
/// What comes later is counted (``late``) and changes no verdict: a detector has learned from the bin by then.
/// Of a bin in which the log has a hole nothing is observed: that collectors were away is no outage of what
/// they collect.
///
/// Bots are passed over. Cost: one look-up per pane; a bin costs what the board does. Memory: 44 bytes per tuple
/// and open bin, up to twice that after growth, and the board's. Limits: tuples in open bins, of further ones
/// `(other)` counts; ``IncidentPolicy/keyCountMax``; remarks of a bin.
public struct IncidentWatch: ~Copyable {
  public static var name: String { "incidents" }
  /// Feedback that one bin takes.
  static let remarkCountMax = 4_096

  public let policy: IncidentPolicy
  let tupleCountMax: Int
  let disorder: Int64

  var board: IncidentBoard
  /// In order of their starts. Owned.
  var bins: [UnsafeMutablePointer<IncidentBin>] = []
  var tuples = TupleTable()
  /// A bin was closed since the last snapshot or restore.
  var hasClosed = false
  var watermark = Int64.min
  /// By tuple of the begun frame; -1 for what is passed over.
  private var frameSlots: [Int32] = []
  /// Bins that end at or before it take nothing more from the begun frame.
  private var closedEnd = Int64.min
  private var lastBin = 0

  /// Panes that came after their bin was closed.
  public internal(set) var late: Int64 = 0
  /// Panes that counted for `(other)` because there were too many tuples.
  public internal(set) var overflowed: Int64 = 0
  /// Feedback that was one too many in its bin.
  public internal(set) var refused: Int64 = 0

  /// - Parameters:
  ///   - disorder: how far the watermark trails log time, microseconds.
  ///   - tupleCountMax: the most tuples in open bins.
  public init(policy: IncidentPolicy, disorder: Int64, tupleCountMax: Int) {
    self.policy = policy
    self.disorder = disorder
    self.tupleCountMax = tupleCountMax
    board = IncidentBoard(policy: policy)
  }

  deinit {
    for bin in bins {
      bin.deinitialize(count: 1)
      bin.deallocate()
    }
  }

  /// Keys of bins that were not looked at, because there were too many.
  public var unwatched: Int64 { board.unwatched }
  /// Feedback about incidents that are not known, or no longer.
  public var unknownFeedback: Int64 { board.unknownFeedback }
  /// Rows that wait to be drained.
  public var pendingCount: Int { board.changedCount }
  /// The watermark at which the next bin is closed; nil where none is open.
  public var earliestTimer: Int64? { bins.first.map { $0.pointee.start + policy.bin } }

  // MARK: Input

  /// Starts a frame of partials.
  ///
  /// - Parameters:
  ///   - logTime: of its source, when it was handed on.
  ///   - latest: log time at the end of the generations before the source's; `.min` where there is none.
  ///   - tupleCount: those that panes refer to.
  ///   - bytes: the encoded tuple of an index.
  public mutating func begin(
    logTime: Int64, after latest: Int64, tupleCount: Int, bytes: (Int) -> UnsafeRawBufferPointer
  ) {
    closedEnd = policy.closedEnd(logTime: max(logTime, latest), disorder: disorder)
    tuples.releaseUnused()
    frameSlots.removeAll(keepingCapacity: true)
    for index in 0..<tupleCount {
      let tuple = bytes(index)
      frameSlots.append(EncodedTuple.isOfPeople(tuple) ? Int32(tuples.intern(tuple)) : -1)
    }
    mark(logTime)
  }

  /// Notes that the log has a frame of that time.
  private mutating func mark(_ logTime: Int64) {
    guard logTime > .min else { return }
    let start = policy.floor(logTime)
    guard start + policy.bin > max(closedEnd, watermark) else { return }
    let bin = bin(startingAt: start)
    bin.pointee.parts |= 1 << UInt16((logTime - start) / policy.part)
  }

  /// - Parameters:
  ///   - tuple: an index of the begun frame.
  ///   - start: of the pane, microseconds since the epoch.
  public mutating func add(_ counts: Counts, tuple: Int, start: Int64) {
    let counts = IncidentCounts(counts)
    guard frameSlots[tuple] >= 0, !counts.isZero else { return }
    let start = policy.floor(TimeRange.clamp(start))
    guard start + policy.bin > max(closedEnd, watermark) else {
      late += 1
      return
    }
    let bin = bin(startingAt: start)
    let slot = admit(Int(frameSlots[tuple]))
    var row = bin.pointee.rows.find(UInt64(slot))
    if row < 0 {
      row = bin.pointee.rows.insert(UInt64(slot), IncidentCounts())
      tuples.retainLive(slot)
    }
    bin.pointee.rows.entries[row].value += counts
    bin.pointee.changedRows.mark(row)
  }

  /// Feedback of the begun frame; it takes effect when the bin of its log time is closed.
  ///
  /// - Parameters:
  ///   - tuple: an index of the begun frame; its site is that of the incident.
  ///   - logTime: of the frame's source.
  public mutating func add(
    _ feedback: IncidentFeedback, tuple: UnsafeRawBufferPointer, logTime: Int64
  ) {
    guard logTime > .min, EncodedTuple.isValid(tuple) else { return }
    let start = policy.floor(logTime)
    guard start + policy.bin > max(closedEnd, watermark) else {
      late += 1
      return
    }
    let bin = bin(startingAt: start)
    let site = Array(tuple[..<EncodedTuple.end(of: 1, in: tuple)])
    let remark = IncidentBoard.Remark(feedback: feedback, site: site)
    guard bin.pointee.remarks.count < Self.remarkCountMax || bin.pointee.remarks.contains(remark)
    else {
      refused += 1
      return
    }
    bin.pointee.remarks.insert(remark)
  }

  /// The slot that counts for `slot`: its own, unless that would be one tuple too many.
  private mutating func admit(_ slot: Int) -> Int {
    if tuples.slots[slot].liveRefs > 0 || tuples.liveCount < tupleCountMax { return slot }
    overflowed += 1
    return EncodedTuple.other(of: tuples.bytes(slot)).withUnsafeBytes { tuples.intern($0) }
  }

  mutating func bin(startingAt start: Int64) -> UnsafeMutablePointer<IncidentBin> {
    if lastBin < bins.count, bins[lastBin].pointee.start == start { return bins[lastBin] }
    lastBin = bins.firstIndex { $0.pointee.start >= start } ?? bins.count
    if lastBin < bins.count, bins[lastBin].pointee.start == start { return bins[lastBin] }
    let bin = UnsafeMutablePointer<IncidentBin>.allocate(capacity: 1)
    bin.initialize(to: IncidentBin(start: start))
    bins.insert(bin, at: lastBin)
    return bin
  }

  // MARK: Time

  /// Closes the bins that the watermark has reached.
  public mutating func advance(to moment: FrameMoment) {
    guard moment.watermark > watermark else { return }
    watermark = moment.watermark
    while let bin = bins.first, bin.pointee.start + policy.bin <= watermark {
      let sums = (0..<bin.pointee.rows.count).map { index in
        let row = bin.pointee.rows.entries[index]
        return (tuple: Array(tuples.bytes(Int(row.key))), counts: row.value)
      }
      board.close(
        bin.pointee.start, sums, isWhole: Self.isWhole(bin.pointee.parts.nonzeroBitCount),
        remarks: bin.pointee.remarks, isSilent: moment.isSilent)
      hasClosed = true
      removeFirstBin()
    }
  }

  /// Whether a bin with so many of its parts in the log is known.
  public static func isWhole(_ partCount: Int) -> Bool { partCount >= IncidentPolicy.partCount - 1 }

  mutating func removeFirstBin() {
    let bin = bins.removeFirst()
    for index in 0..<bin.pointee.rows.count {
      tuples.releaseLive(Int(bin.pointee.rows.entries[index].key))
    }
    bin.deinitialize(count: 1)
    bin.deallocate()
    lastBin = 0
  }

  /// Adds the rows that have changed since the last time.
  public mutating func drain(into rows: inout [IncidentRow]) { rows += board.takeChanged() }
}
