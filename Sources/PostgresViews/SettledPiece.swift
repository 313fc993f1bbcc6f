import Ports
import Views

/// A part of a selection that others have, too: its sums are kept by themselves (``SettledSums``).
///
///     range     ├── days ──┼─ hours ─┼─ minutes ─┤
///     pieces    ├──────────┼─────┼───┼───┼───┼┼┼┼┤
///                            of a day  of an hour, and shorter ones at the ends
struct SettledPiece {
  var selection: ViewSelection
  /// The selection's bucket of each of the piece's own.
  var buckets: [Int]

  func placed(_ groups: [ViewGroup]) -> [ViewGroup] {
    groups.map { group in
      var group = group
      group.bucket = buckets[group.bucket]
      return group
    }
  }

  /// What is no full hour is cut at its multiples.
  private static let partLength = 10 * WindowLevel.minute.length

  /// Segments cut at full hours, those of hours at full days. What is no full hour moves on every minute, and is cut
  /// into shorter parts, so that little of it is read anew.
  static func all(of selection: ViewSelection) -> [Self] {
    var pieces: [Self] = []
    for segment in selection.segments {
      var from = segment.from
      while from < segment.to {
        let to = end(ofPieceFrom: from, segment)
        pieces.append(piece(of: selection, Segment(level: segment.level, from: from, to: to)))
        from = to
      }
    }
    return pieces
  }

  private static func end(ofPieceFrom from: Int64, _ segment: Segment) -> Int64 {
    guard let unit = unit(segment.level) else { return segment.to }
    let begin = unit.start(of: from)
    let end = begin + unit.length
    if unit == .day || (from == begin && end <= segment.to) { return min(end, segment.to) }
    return min(segment.to, from - (from - begin) % partLength + partLength)
  }

  private static func unit(_ level: WindowLevel) -> WindowLevel? {
    switch level {
    case .tenSeconds, .minute: .hour
    case .hour: .day
    case .day: nil
    }
  }

  /// Its buckets begin where it does, so that they are the same in every selection that has them.
  private static func piece(of selection: ViewSelection, _ segment: Segment) -> Self {
    var own = selection
    own.segments = [segment]
    if selection.buckets.isEmpty { return Self(selection: own, buckets: [0]) }
    let starts = selection.buckets
    let first = max(0, (starts.firstIndex { $0 > segment.from } ?? starts.count) - 1)
    let end = starts[first...].firstIndex { $0 >= segment.to } ?? starts.count
    let last = max(first + 1, end)
    own.buckets = [segment.from] + starts[first + 1..<last]
    return Self(selection: own, buckets: Array(first..<last))
  }
}
