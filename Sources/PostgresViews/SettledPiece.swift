import Ports
import Views

/// A part of a selection that others have, too: its sums are kept by themselves (``SettledSums``).
///
/// Pieces are the longest ones that lie at multiples of their length, down to single windows:
///
///     range     ├──────── 24 h by minute ────────┤
///     pieces    ├┼┼─┼─┼─┼─────┼─────┼─────┼─┼─┼┼┼┤
///                 │ 10 min   an hour        │ a minute
///
/// So when a range moves on, or another window has left state, only pieces of single windows are new. A longer piece
/// consists of shorter ones (``parts``), and a shorter one is part of longer ones (``wider``): mostly one follows from the
/// others, and nothing is read.
struct SettledPiece {
  /// Of one segment; its first bucket begins where the segment does.
  var selection: ViewSelection
  /// The whole selection's bucket of each of its own.
  var buckets: [Int]

  var segment: Segment { selection.segments[0] }

  /// By level, each a multiple of the one before it.
  private static let lengths: [[Int64]] = WindowLevel.allCases.map { level -> [Int64] in
    let window = level.length
    return switch level {
    case .tenSeconds: [window, 6 * window, 60 * window, 360 * window]
    case .minute: [window, 10 * window, 60 * window]
    case .hour: [window, 6 * window, 24 * window]
    case .day: [window, 8 * window, 64 * window, 512 * window]
    }
  }

  /// What is read in one go, at most: one statement for more is no faster. Of days there are few.
  private static func runLengthMax(_ level: WindowLevel) -> Int64 {
    level == .day ? .max : lengths[level.rawValue].last ?? level.length
  }

  /// By rising time, as the segments.
  static func all(of selection: ViewSelection) -> [Self] {
    var pieces: [Self] = []
    for segment in selection.segments {
      let lengths = Self.lengths[segment.level.rawValue]
      var from = segment.from
      while from < segment.to {
        let length = lengths.last { from % $0 == 0 && $0 <= segment.to - from }
        let to = min(segment.to, from + (length ?? segment.level.length))
        pieces.append(piece(of: selection, Segment(level: segment.level, from: from, to: to)))
        from = to
      }
    }
    return pieces
  }

  /// Its buckets begin where it does, so that they are the same in every selection that has them.
  private static func piece(of selection: ViewSelection, _ segment: Segment) -> Self {
    var own = selection
    own.segments = [segment]
    own.buckets = [segment.from]
    let starts = selection.buckets
    let first = SettledRow.bucket(of: segment.from, starts)
    var end = first + 1
    while end < starts.count && starts[end] < segment.to {
      own.buckets.append(starts[end])
      end += 1
    }
    return Self(selection: own, buckets: Array(first..<end))
  }

  /// Groups with the buckets of the whole selection.
  func placed(_ groups: [ViewGroup]) -> [ViewGroup] {
    groups.map { group in
      var group = group
      group.bucket = buckets[group.bucket]
      return group
    }
  }

  // MARK: Pieces of pieces

  /// The next shorter ones that it consists of; nil of a single window.
  var parts: [Self]? {
    let lengths = Self.lengths[segment.level.rawValue]
    guard let place = lengths.firstIndex(of: segment.to - segment.from), place > 0 else {
      return nil
    }
    return stride(from: segment.from, to: segment.to, by: Int(lengths[place - 1])).map { from in
      Self.piece(
        of: selection,
        Segment(level: segment.level, from: from, to: from + lengths[place - 1]))
    }
  }

  /// Longer ones by window that it is a part of, with its place among their buckets. None where it is not by window
  /// itself, since they have no sums of a part then.
  var wider: [(selection: ViewSelection, place: Range<Int>)] {
    let window = segment.level.length
    guard segment.isCut(into: selection.buckets) else { return [] }
    return Self.lengths[segment.level.rawValue].compactMap { length in
      guard length > segment.to - segment.from else { return nil }
      let behind = (segment.from % length + length) % length
      let from = segment.from - behind
      var wide = selection
      wide.segments = [Segment(level: segment.level, from: from, to: from + length)]
      wide.buckets = Array(stride(from: from, to: from + length, by: Int(window)))
      let first = Int(behind / window)
      return (wide, first..<first + selection.buckets.count)
    }
  }

  // MARK: Reading

  /// The end of the neighbours from a place on that are read in one go.
  ///
  /// - Parameter missing: of each piece, whether it has to be read.
  static func endOfRun(from first: Int, _ pieces: [Self], _ missing: [Bool]) -> Int {
    let begin = pieces[first].segment
    var end = first + 1
    while end < pieces.count, missing[end] {
      let (last, next) = (pieces[end - 1].segment, pieces[end].segment)
      guard next.level == begin.level, next.from == last.to,
        next.to - begin.from <= runLengthMax(begin.level)
      else { break }
      end += 1
    }
    return end
  }

  /// Neighbours as one selection, with the buckets of all.
  static func joined(_ pieces: ArraySlice<Self>) -> ViewSelection {
    guard let first = pieces.first, let last = pieces.last else {
      preconditionFailure("a run has a piece at least")
    }
    var joined = first.selection
    joined.segments = [
      Segment(level: first.segment.level, from: first.segment.from, to: last.segment.to)
    ]
    // What is one bucket needs no look at each row's time.
    let buckets = pieces.flatMap(\.selection.buckets)
    joined.buckets = buckets.count == 1 ? [] : buckets
    return joined
  }

  /// The groups of each of the neighbours that were read as one.
  static func parted(_ groups: [ViewGroup], _ pieces: ArraySlice<Self>) -> [[ViewGroup]] {
    var parts: [[ViewGroup]] = []
    var rest = groups[...]
    var begin = 0
    for piece in pieces {
      let end = begin + piece.selection.buckets.count
      let own = rest.prefix { $0.bucket < end }
      rest = rest.dropFirst(own.count)
      parts.append(
        own.map { group in
          var group = group
          group.bucket -= begin
          return group
        })
      begin = end
    }
    return parts
  }
}

extension Segment {
  /// Whether each of its windows is one of the buckets, and there are no others.
  func isCut(into buckets: [Int64]) -> Bool {
    buckets.first == from && buckets.last == to - level.length
      && zip(buckets, buckets.dropFirst()).allSatisfy { $1 - $0 == level.length }
  }
}
