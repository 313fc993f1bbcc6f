import Events
import Ports
import Views

/// Rows of windows in columns: a row is a window, a tuple by its place, and sums. Rows of the same window and tuple, as
/// each partition has one, are one.
///
/// Questions filter and group by the codes of a tuple's values (``TupleColumns``), and look at a text once for each value
/// that there is, not for each row. Some 60 bytes a row.
struct RowColumns: Sendable {
  struct Window: Sendable {
    var level: WindowLevel
    /// Microseconds since the epoch.
    var start: Int64
    /// The places of its rows.
    var rows: Range<Int>
  }

  /// By level, then start.
  private(set) var windows: [Window] = []
  /// Of each row its tuple's place in ``tuples``.
  private(set) var places: [Int32] = []
  private(set) var counts: [Counts] = []
  private(set) var revisions: [Int32] = []
  private(set) var tuples = TupleColumns()

  init() {}

  /// - Parameter index: of tuples that were seen before; what is new is added.
  init(_ rows: [HotRow], index: inout TupleIndex) {
    struct Key: Hashable {
      var level: WindowLevel
      var start: Int64
    }
    var byWindow: [Key: [Int]] = [:]
    var last: (key: Key, rows: [Int])?
    // Rows come window by window.
    for (place, row) in rows.enumerated() {
      let key = Key(level: row.row.level, start: row.row.start)
      if last?.key != key {
        if let last { byWindow[last.key, default: []] += last.rows }
        last = (key, [])
      }
      last?.rows.append(place)
    }
    if let last { byWindow[last.key, default: []] += last.rows }
    let keys = byWindow.keys.sorted { a, b in
      a.level == b.level ? a.start < b.start : a.level.rawValue < b.level.rawValue
    }
    /// Of each tuple its row in the window at hand, where it is one of that window.
    var rowByTuple: [Int] = []
    for key in keys {
      let begin = places.count
      for row in byWindow[key] ?? [] {
        let place = index.place(of: rows[row].tuple)
        while rowByTuple.count <= place { rowByTuple.append(-1) }
        let known = rowByTuple[place]
        if known >= begin {
          counts[known] += rows[row].row.counts
          revisions[known] = max(revisions[known], rows[row].row.revision)
        } else {
          rowByTuple[place] = places.count
          places.append(Int32(place))
          counts.append(rows[row].row.counts)
          revisions.append(rows[row].row.revision)
        }
      }
      windows.append(Window(level: key.level, start: key.start, rows: begin..<places.count))
    }
    tuples = index.columns
  }

  init(_ rows: [HotRow]) {
    var index = TupleIndex()
    self.init(rows, index: &index)
  }

  var rowCount: Int { places.count }

  /// What they take in memory, the tuples included; texts as if each were of 32 bytes.
  var byteCount: Int {
    places.count * (MemoryLayout<Counts>.stride + 8)
      + tuples.codes.count * MemoryLayout<TupleColumns.Codes>.stride
      + tuples.values.reduce(0) { $0 + $1.count } * (MemoryLayout<String>.stride + 32)
  }
}

/// Tuples by their place: the values of each dimension, and which ones a tuple has.
struct TupleColumns: Sendable {
  /// In the place of each dimension, of a value in ``values``; -1 of what is no tuple.
  typealias Codes = SIMD8<Int32>

  fileprivate(set) var codes: [Codes] = []
  /// Of each dimension, each once.
  fileprivate(set) var values: [[String]] = Array(
    repeating: [], count: Dimension.allCases.count)

  static let unreadable = Codes(repeating: -1)

  func text(_ dimension: Dimension, _ codes: Codes) -> String {
    values[dimension.rawValue][Int(codes[dimension.rawValue])]
  }
}

/// Finds the place of a tuple by its encoding. Kept from one set of rows to the next one, so that a tuple is read once.
///
/// Limits: begins anew past ``tupleCountMax``.
struct TupleIndex: Sendable {
  static let tupleCountMax = 200_000

  private(set) var columns = TupleColumns()
  private var places: [[UInt8]: Int] = [:]
  /// By the bytes of the values: texts are equal strings where Unicode takes them for the same.
  private var codes: [[[UInt8]: Int32]] = Array(
    repeating: [:], count: Dimension.allCases.count)

  init() {
    precondition(
      Dimension.allCases.count <= TupleColumns.Codes.scalarCount,
      "a tuple's codes are a vector with a place for each dimension")
  }

  /// Forgets all where there are too many. Places that were given are of no use then.
  mutating func makeRoom() {
    if places.count > Self.tupleCountMax { self = TupleIndex() }
  }

  mutating func place(of encoded: [UInt8]) -> Int {
    if let place = places[encoded] { return place }
    let place = columns.codes.count
    places[encoded] = place
    guard let tuple = encoded.withUnsafeBytes({ DimensionTuple(encoded: $0) }) else {
      columns.codes.append(TupleColumns.unreadable)
      return place
    }
    var codes = TupleColumns.Codes(repeating: 0)
    for dimension in Dimension.allCases {
      codes[dimension.rawValue] = code(of: tuple[dimension], dimension.rawValue)
    }
    columns.codes.append(codes)
    return place
  }

  private mutating func code(of text: String, _ dimension: Int) -> Int32 {
    let bytes = Array(text.utf8)
    if let code = codes[dimension][bytes] { return code }
    let code = Int32(columns.values[dimension].count)
    columns.values[dimension].append(text)
    codes[dimension][bytes] = code
    return code
  }
}
