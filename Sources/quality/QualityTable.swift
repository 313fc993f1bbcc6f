/// Rows of figures, each beside its baselines and its goal.
///
/// A baseline is a constant of the code with its source in the column's head; it is not measured here.
struct QualityTable {
  struct Goal {
    let text: String
    let isMet: Bool

    /// At least, or at most, a number.
    static func atLeast(_ goal: Double, _ value: Double) -> Goal {
      Goal(text: "≥ " + QualityTable.text(goal), isMet: value >= goal)
    }

    static func atMost(_ goal: Double, _ value: Double) -> Goal {
      Goal(text: "≤ " + QualityTable.text(goal), isMet: value <= goal)
    }
  }

  private let title: String
  private let columns: [String]
  private var rows: [(key: String, name: String, cells: [Double?], goal: Goal?)] = []

  /// The first column is ours; the others are the baselines.
  init(_ title: String, columns: [String]) {
    self.title = title
    self.columns = columns
  }

  /// - Parameter key: The name of the figure of the first column in the JSON object.
  mutating func add(_ key: String, _ name: String, _ cells: [Double?], goal: Goal? = nil) {
    rows.append((key, name, cells, goal))
  }

  var isMet: Bool { rows.allSatisfy { $0.goal?.isMet ?? true } }

  /// Members of a JSON object.
  var members: [String] {
    rows.compactMap { row in
      row.cells.first.flatMap(\.self).map { "\"\(row.key)\":\(Self.number($0))" }
    }
  }

  func show() {
    let names = max(title.count, rows.map(\.name.count).max() ?? 0)
    var head = title.padded(names)
    for column in columns { head += "  " + column.padded(Self.width(column), toRight: true) }
    print("\n" + head)
    for row in rows {
      var line = row.name.padded(names)
      for (index, column) in columns.enumerated() {
        let cell = index < row.cells.count ? row.cells[index] : nil
        line += "  " + (cell.map(Self.text) ?? "–").padded(Self.width(column), toRight: true)
      }
      if let goal = row.goal { line += "  goal \(goal.text) \(goal.isMet ? "met" : "MISSED")" }
      print(line)
    }
  }

  /// Shows tables, and with `json` one object of all their figures in the last line.
  static func show(_ tables: [QualityTable], json: Bool) {
    for table in tables { table.show() }
    if json { print("{" + tables.flatMap(\.members).joined(separator: ",") + "}") }
  }

  private static func width(_ column: String) -> Int { max(9, column.count) }

  /// Four digits, which is more than a simulation of this size knows.
  static func text(_ value: Double) -> String {
    guard value.isFinite else { return "∞" }
    let size = value.magnitude
    let scale: Double = size >= 1000 ? 1 : size >= 10 ? 10 : size >= 0.1 ? 1000 : 100_000
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() && size < 1e15 ? String(Int(rounded)) : String(rounded)
  }

  private static func number(_ value: Double) -> String {
    value.isFinite ? String(value) : "null"
  }
}

extension String {
  fileprivate func padded(_ width: Int, toRight: Bool = false) -> String {
    let space = String(repeating: " ", count: max(0, width - count))
    return toRight ? space + self : self + space
  }
}
