/// A table as CSV (RFC 4180): a header row, CRLF after each row, quotes around cells that need them.
///
/// Texts come from whoever sends events, and tables are opened in spreadsheets, which run what looks like a
/// formula: a text that begins with `=`, `+`, `-`, `@`, a tab or a line end gets an apostrophe before it
/// (OWASP, CSV injection). Numbers are written by us and stay as they are.
struct CSVTable {
  enum Cell: Hashable {
    case text(String)
    case number(String)
    case empty

    /// Empty where there is none.
    static func known(_ text: String?) -> Self { text.map { .text($0) } ?? .empty }
  }

  private(set) var bytes: [UInt8] = []

  init(header: [String]) { append(header.map { .text($0) }) }

  mutating func append(_ row: [Cell]) {
    for (index, cell) in row.enumerated() {
      if index > 0 { bytes.append(UInt8(ascii: ",")) }
      switch cell {
      case .text(let text): append(text: text)
      case .number(let number): bytes.append(contentsOf: number.utf8)
      case .empty: break
      }
    }
    bytes.append(contentsOf: "\r\n".utf8)
  }

  private static let formulaStarts = Set("=+-@\t\r\n".utf8)
  private static let quoted = Set("\",\r\n".utf8)

  private mutating func append(text: String) {
    let isFormula = text.utf8.first.map { Self.formulaStarts.contains($0) } ?? false
    let isQuoted = text.utf8.contains { Self.quoted.contains($0) }
    if isQuoted { bytes.append(UInt8(ascii: "\"")) }
    if isFormula { bytes.append(UInt8(ascii: "'")) }
    for byte in text.utf8 {
      if byte == UInt8(ascii: "\"") { bytes.append(byte) }
      bytes.append(byte)
    }
    if isQuoted { bytes.append(UInt8(ascii: "\"")) }
  }
}
