/// Swift text without what only people read.
///
/// Good enough for checks of words; not a parser: an interpolation inside a string literal is
/// dropped with the literal.
enum SwiftSource {
  /// The text with comments and the contents of string literals blanked out; lines are kept.
  static func code(_ text: String) -> String {
    var output: [UInt8] = []
    var state = State.code
    let bytes = Array(text.utf8)
    var index = 0
    func starts(_ literal: StaticString) -> Bool {
      let count = literal.utf8CodeUnitCount
      guard index + count <= bytes.count else { return false }
      return (0..<count).allSatisfy { bytes[index + $0] == literal.utf8Start[$0] }
    }
    while index < bytes.count {
      let byte = bytes[index]
      switch state {
      case .code:
        if starts("//") {
          state = .lineComment
        } else if starts("/*") {
          state = .blockComment
        } else if starts("\"\"\"") {
          state = .longString
          index += 3
          continue
        } else if byte == UInt8(ascii: "\"") {
          state = .string
        } else {
          output.append(byte)
        }
        index += 1
      case .lineComment:
        if byte == UInt8(ascii: "\n") {
          output.append(byte)
          state = .code
        }
        index += 1
      case .blockComment:
        if byte == UInt8(ascii: "\n") { output.append(byte) }
        index += starts("*/") ? 2 : 1
        if index >= 2, bytes[index - 2] == UInt8(ascii: "*"), bytes[index - 1] == UInt8(ascii: "/")
        {
          state = .code
        }
      case .string:
        if byte == UInt8(ascii: "\\") {
          index += 2
          continue
        }
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\n") { state = .code }
        index += 1
      case .longString:
        if byte == UInt8(ascii: "\n") { output.append(byte) }
        if starts("\"\"\"") {
          state = .code
          index += 3
        } else {
          index += 1
        }
      }
    }
    return String(decoding: output, as: UTF8.self)
  }

  private enum State { case code, lineComment, blockComment, string, longString }

  /// The modules that the text imports, in order.
  static func imports(_ text: String) -> [String] {
    code(text).split(separator: "\n").compactMap { line in
      var words = line.split(separator: " ")
      while let first = words.first, first.hasPrefix("@") || accessLevels.contains(first) {
        words.removeFirst()
      }
      guard words.count >= 2, words[0] == "import" else { return nil }
      let isOfOneDeclaration = ["struct", "class", "enum", "func", "protocol", "var", "let"]
        .contains(words[1])
      return words[isOfOneDeclaration ? 2 : 1].split(separator: ".").first.map(String.init)
    }
  }

  private static let accessLevels: Set<Substring> = [
    "public", "package", "internal", "private", "fileprivate",
  ]

  /// The words of the code: maximal runs of letters, digits and underscores.
  static func words(_ text: String) -> Set<Substring> {
    Set(code(text).split { !($0.isLetter || $0.isNumber || $0 == "_") })
  }
}
