public import States

/// What arms earned, by the time of the decision: whole numbers that add up in any order, and from which anything is
/// taken back exactly.
///
///     ──────┬──────────┬──────────┬─┬─┬─┬─┬─┬─┬ ─ ─ ┬─┐
///       10 minutes each                10 seconds each now
///                                 │◀── 20 minutes ──▶│
///
/// Bins are aligned to the epoch. Which there are is a function of what was added and of the latest time that it was
/// told, not of the order. Times are microseconds.
public struct RewardBins: Sendable, Equatable {
  /// A reward of 1.
  public static let one: Int64 = 65_536

  /// Sums of an arm.
  public struct Cell: Sendable, Equatable {
    public var trials: Int64 = 0
    /// In 65,536ths.
    public var rewards: Int64 = 0
    /// Of each reward its square, in 65,536ths.
    public var squares: Int64 = 0

    public init() {}

    var isEmpty: Bool { trials == 0 && rewards == 0 && squares == 0 }

    public mutating func add(trials: Int64, reward: Int64, sign: Int64) {
      self.trials += sign * trials
      rewards += sign * reward
      squares += sign * ((reward * reward) >> 16)
    }
  }

  public struct Bin: Sendable, Equatable {
    public fileprivate(set) var start: Int64
    public fileprivate(set) var length: Int64
    /// Of each arm.
    public fileprivate(set) var cells: [Cell]
    /// How many rewards came after how long, by the buckets of ``DelayCurve``; of all arms.
    public fileprivate(set) var delays: [Int32]

    public var end: Int64 { start + length }

    var isEmpty: Bool { cells.allSatisfy(\.isEmpty) && delays.allSatisfy { $0 == 0 } }
  }

  public static let fine: Int64 = 10_000_000
  public static let coarse: Int64 = 600_000_000
  /// How long bins are fine.
  static let fineSpan: Int64 = 1_200_000_000

  public let arms: Int
  /// How far back it remembers.
  public let memory: Int64
  /// Rising.
  public private(set) var bins: [Bin] = []
  /// The latest time that it was told.
  public private(set) var now = Int64.min

  public init(arms: Int, memory: Int64) {
    precondition(arms >= 1 && memory > 0, "sums have arms and a past")
    self.arms = arms
    self.memory = memory
  }

  /// Adds a decision, what it earned, or both; takes it back with the sign −1.
  ///
  /// - Parameters:
  ///   - time: of the decision; what is older than the memory is not added.
  ///   - reward: in 65,536ths, at most ``one``.
  ///   - delay: of the reward after the decision; nil where there is none.
  public mutating func add(
    arm: Int, time: Int64, trials: Int64 = 1, reward: Int64, delay: Int64?, sign: Int64 = 1
  ) {
    let coarse = Self.floor(time, Self.coarse)
    guard coarse + Self.coarse > oldest else { return }
    let place =
      isCoarse(coarse)
      ? place(coarse, Self.coarse) : place(Self.floor(time, Self.fine), Self.fine)
    bins[place].cells[arm].add(trials: trials, reward: reward, sign: sign)
    if let delay {
      bins[place].delays[DelayCurve.bucket(delay)] += Int32(truncatingIfNeeded: sign)
    }
    if sign < 0, bins[place].isEmpty { bins.remove(at: place) }
  }

  /// Tells it the time; an earlier one than before changes nothing.
  public mutating func advance(to time: Int64) {
    guard time > now else { return }
    now = time
    let forgotten = bins.prefix { Self.floor($0.start, Self.coarse) + Self.coarse <= oldest }.count
    if forgotten > 0 { bins.removeFirst(forgotten) }
    mergeFine()
  }

  private var oldest: Int64 { now == .min ? .min : now - memory }

  private func isCoarse(_ start: Int64) -> Bool {
    now != .min && start + Self.coarse <= now - Self.fineSpan
  }

  private mutating func mergeFine() {
    guard let first = bins.firstIndex(where: { $0.length == Self.fine }),
      isCoarse(Self.floor(bins[first].start, Self.coarse))
    else { return }
    let fine = bins[first...]
    bins.removeSubrange(first...)
    for bin in fine {
      let start = Self.floor(bin.start, Self.coarse)
      guard isCoarse(start) else {
        bins.append(bin)
        continue
      }
      let place = place(start, Self.coarse)
      for arm in 0..<arms {
        bins[place].cells[arm].trials += bin.cells[arm].trials
        bins[place].cells[arm].rewards += bin.cells[arm].rewards
        bins[place].cells[arm].squares += bin.cells[arm].squares
      }
      for bucket in bin.delays.indices { bins[place].delays[bucket] += bin.delays[bucket] }
    }
  }

  /// Where the bin with this start is; it is made where there is none.
  private mutating func place(_ start: Int64, _ length: Int64) -> Int {
    var (low, high) = (0, bins.count)
    // Most of what comes is of the latest bin.
    if let last = bins.last, last.start <= start { low = last.start == start ? high - 1 : high }
    while low < high {
      let middle = (low + high) / 2
      if bins[middle].start < start { low = middle + 1 } else { high = middle }
    }
    if low < bins.count, bins[low].start == start { return low }
    bins.insert(
      Bin(
        start: start, length: length, cells: [Cell](repeating: Cell(), count: arms),
        delays: [Int32](repeating: 0, count: DelayCurve.bucketCount)), at: low)
    return low
  }

  private static func floor(_ time: Int64, _ length: Int64) -> Int64 {
    let rest = time % length
    return time - (rest < 0 ? rest + length : rest)
  }

  /// Of all times.
  public var totals: [Cell] {
    var totals = [Cell](repeating: Cell(), count: arms)
    for bin in bins {
      for arm in 0..<arms {
        totals[arm].trials += bin.cells[arm].trials
        totals[arm].rewards += bin.cells[arm].rewards
        totals[arm].squares += bin.cells[arm].squares
      }
    }
    return totals
  }
}

extension RewardBins: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(arms)
    try codec.check(memory)
    try codec.code(&bins)
    try codec.code(&now)
    let areWhole = bins.allSatisfy {
      $0.cells.count == arms && $0.delays.count == DelayCurve.bucketCount
    }
    guard areWhole else { throw .malformed("a bin has other arms or delays") }
  }
}

extension RewardBins.Cell: CodedElement {
  public static var blank: Self { Self() }

  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&trials)
    try codec.code(&rewards)
    try codec.code(&squares)
  }
}

extension RewardBins.Bin: CodedElement {
  public static var blank: Self { Self(start: 0, length: 0, cells: [], delays: []) }

  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&start)
    try codec.code(&length)
    try codec.code(&cells)
    try codec.code(&delays)
  }
}
