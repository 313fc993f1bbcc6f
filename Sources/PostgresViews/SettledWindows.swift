import Ports
import Views

/// Rows of windows that have left the state of every stream of late. Whoever reads a moment for all who share it
/// (``MomentStatement``) reads them in the same snapshot, once; sums that are kept are extended by them in memory, so that no
/// question waits when a window leaves.
///
///     windows of a level   ── read before ──┤═══ these rows ═══├── between seams, open ──▶
///                                           ↑ first seam before ↑ first seam now
///
/// Limits: ``rowCountMax`` rows in all, some 250 bytes each, those that left first go first; not more than that are read of
/// one level at once, nor more than ``windowCountMax`` windows, which is for when nobody has asked for a while.
struct SettledWindows {
  struct Block {
    var measure: Measure
    var level: WindowLevel
    /// Of starts of windows.
    var range: Range<Int64>
    /// By source, those of the snapshot that it is of.
    var sequences: [Int32: UInt64]
    /// Before the snapshot was taken.
    var asOf: ContinuousClock.Instant
    var rows: [SettledRow]

    fileprivate func has(_ selection: ViewSelection) -> Bool {
      measure == selection.measure
        && selection.segments.allSatisfy {
          $0.level == level && range.lowerBound <= $0.from && $0.to <= range.upperBound
        }
    }
  }

  private struct Place: Hashable {
    var measure: Measure
    var level: WindowLevel
  }

  static let rowCountMax = 20_000
  private static let windowCountMax: Int64 = 64

  /// The first seam of any stream, as it was seen last.
  private var ends: [Place: Int64] = [:]
  /// Those that left first, first.
  private var blocks: [Block] = []
  private var rowCount = 0

  /// What has left since the last time; nil where nothing has, or where it is too much or not known.
  ///
  /// - Parameter end: the first seam of any stream now.
  func range(_ measure: Measure, _ level: WindowLevel, to end: Int64) -> Range<Int64>? {
    guard let begin = ends[Place(measure: measure, level: level)], .min < begin, begin < end,
      (end - begin) / level.length <= Self.windowCountMax
    else { return nil }
    return begin..<end
  }

  /// Notes that windows of a level have left up to `end`.
  ///
  /// - Parameter block: what ``range(_:_:to:)`` said; nil where it was not read.
  mutating func add(_ block: Block?, _ measure: Measure, _ level: WindowLevel, to end: Int64) {
    let place = Place(measure: measure, level: level)
    let begin = ends[place]
    ends[place] = end
    // Somebody else may have seen them meanwhile.
    guard let block, block.range.lowerBound == begin else { return }
    blocks.append(block)
    rowCount += block.rows.count
    while rowCount > Self.rowCountMax, blocks.count > 1 {
      rowCount -= blocks.removeFirst().rows.count
    }
  }

  /// The one that has all windows of a selection; nil where none has.
  func block(of selection: ViewSelection) -> Block? {
    blocks.last { $0.has(selection) }
  }
}
