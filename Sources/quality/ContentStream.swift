/// A stream of visits and the contents that they are of, found in a folder by their columns.
///
///     t_sec,user,item,kind                    one visit a row, in order of time
///     item,t_pub,topic1,topic2,format         beside it, where contents are described
struct ContentStream {
  struct Visit {
    let time: Double
    let person: Int
    let content: Int
    let kind: Int
  }

  struct Description {
    let content: Int
    let since: Double
    let topics: [Int32]
    let format: Int32
  }

  static let columns = ["t_sec", "user", "item", "kind"]
  static let itemColumns = ["item", "t_pub", "topic1", "topic2", "format"]

  let name: String
  private(set) var visits: [Visit] = []
  /// In order of appearance; empty where nothing describes them.
  private(set) var descriptions: [Description] = []
  private(set) var personCount = 0
  private(set) var contentCount = 0

  /// All streams below a folder.
  static func all(in folder: DataFolder) throws -> [ContentStream] {
    let tables = try folder.files.filter { $0.hasSuffix(".csv") || $0.hasSuffix(".csv.gz") }
      .map { (path: $0, columns: try DataText($0).columns) }
    return try tables.filter { Set(columns).isSubset(of: $0.columns) }.map { table in
      let place = Self.folder(of: table.path)
      let items = tables.first {
        Self.folder(of: $0.path) == place && Set(itemColumns).isSubset(of: $0.columns)
      }
      return try ContentStream(table.path, items: items?.path)
    }
  }

  private static func folder(of path: String) -> String {
    path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
  }

  init(_ path: String, items: String?) throws {
    name = Self.folder(of: path).split(separator: "/").last.map(String.init) ?? path
    for cells in try Self.rows(path, Self.columns) {
      visits.append(
        Visit(
          time: cells[0], person: Int(cells[1]), content: Int(cells[2]), kind: Int(cells[3])))
    }
    guard !visits.isEmpty else { throw QualityError("\(path) has no rows") }
    // Equal times stay in the order of the file.
    visits = visits.enumerated().sorted {
      ($0.element.time, $0.offset) < ($1.element.time, $1.offset)
    }.map(\.element)
    if let items {
      descriptions = try Self.rows(items, Self.itemColumns).map { cells in
        let topics = cells[2] == cells[3] ? [cells[2]] : [cells[2], cells[3]]
        return Description(
          content: Int(cells[0]), since: cells[1], topics: topics.map { Int32($0) },
          format: Int32(cells[4]))
      }.sorted { ($0.since, $0.content) < ($1.since, $1.content) }
    }
    personCount = (visits.map(\.person).max() ?? 0) + 1
    contentCount =
      max(visits.map(\.content).max() ?? 0, descriptions.map(\.content).max() ?? 0) + 1
  }

  private static func rows(_ path: String, _ columns: [String]) throws -> [[Double]] {
    var text = try DataText(path)
    let places = try columns.map(text.column)
    var rows: [[Double]] = []
    while let row = text.row() {
      let cells = places.map { place in
        place < row.count ? DataText.number(row[row.startIndex + place]) : .nan
      }
      guard cells.allSatisfy({ $0.isFinite && $0 >= 0 && $0 < 1e9 }) else {
        throw QualityError("row \(rows.count + 1) of \(path) is damaged")
      }
      rows.append(cells)
    }
    return rows
  }
}
