/// Rows as text in columns: the first ones of texts to the left, numbers to the right.
struct TextTable {
  var header: [String]
  var rows: [[String]]

  var text: String {
    let widths = header.indices.map { column in
      ([header] + rows).map { $0[column].count }.max() ?? 0
    }
    let rule = widths.map { String(repeating: "-", count: $0) }.joined(separator: "  ")
    let lines = rows.map { line($0, widths: widths, header: false) }
    return ([line(header, widths: widths, header: true), rule] + lines).joined(separator: "\n")
  }

  private func line(_ cells: [String], widths: [Int], header: Bool) -> String {
    var text = ""
    for (column, cell) in cells.enumerated() {
      let padding = String(repeating: " ", count: widths[column] - cell.count)
      let isNumber = rows.first.map { $0[column].first?.isNumber ?? false } ?? false
      if column > 0 { text += "  " }
      text += isNumber ? padding + cell : cell + padding
    }
    while text.last == " " { text.removeLast() }
    return text
  }
}
