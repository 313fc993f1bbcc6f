import Ports
import RedisClient
import Views

/// Rows as arguments of a script: runs of rows of the same window, each with its level, start and
/// length. Rows that come window by window make one run per window; any order is right.
struct HotWindows {
  private let rows: ArraySlice<HotRow>
  /// Where each run ends, exclusive.
  private let ends: [Int]

  init(_ rows: ArraySlice<HotRow>) {
    self.rows = rows
    var ends: [Int] = []
    var last: HotRow?
    for index in rows.indices {
      let row = rows[index]
      if let last, last.row.level != row.row.level || last.row.start != row.row.start {
        ends.append(index)
      }
      last = row
    }
    if !rows.isEmpty { ends.append(rows.endIndex) }
    self.ends = ends
  }

  var argumentCount: Int { 3 * ends.count + 2 * rows.count }

  func append(to commands: inout RedisCommands) {
    var text: [UInt8] = []
    var index = rows.startIndex
    for end in ends {
      commands.argument(rows[index].row.level.name)
      commands.argument(HotKeys.seconds(rows[index].row.start) ?? HotKeys.secondsMin)
      commands.argument(Int64(end - index))
      while index < end {
        commands.argument(rows[index].tuple)
        text.removeAll(keepingCapacity: true)
        HotRowText.append(rows[index].row, to: &text)
        commands.argument(text)
        index += 1
      }
    }
  }
}
