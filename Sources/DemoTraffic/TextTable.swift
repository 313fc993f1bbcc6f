/// Rows as text in columns: texts to the left, numbers to the right.
struct TextTable {
  var header: [String]
  var rows: [[String]]
  /// The first columns, whose texts stand to the left.
  var textColumnCount: Int

  var text: String {
    let widths = header.indices.map { column in
      ([header] + rows).map { $0[column].count }.max() ?? 0
    }
    let rule = widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ")
    return ([line(header, widths), rule] + rows.map { line($0, widths) }).joined(separator: "\n")
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var text = ""
    for (column, cell) in cells.enumerated() {
      let padding = String(repeating: " ", count: widths[column] - cell.count)
      if column > 0 { text += "  " }
      text += column < textColumnCount ? cell + padding : padding + cell
    }
    while text.last == " " { text.removeLast() }
    return text
  }
}
