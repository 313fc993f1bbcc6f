/// Swift text without what only people read.
///
/// Good enough for checks of words; not a parser: an interpolation inside a string literal is
/// dropped with the literal.
enum SwiftSource {
  private enum State { case code, lineComment, blockComment, string, longString }

  /// The text without comments and the contents of string literals; lines are kept.
  static func code(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var output: [UInt8] = []
    output.reserveCapacity(bytes.count)
    var state = State.code
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      let next = index + 1 < bytes.count ? bytes[index + 1] : 0
      let isLongQuote =
        byte == quote && next == quote && index + 2 < bytes.count && bytes[index + 2] == quote
      if byte == newline, state != .code { output.append(newline) }
      switch state {
      case .code where byte == slash && next == slash: state = .lineComment
      case .code where byte == slash && next == star: state = .blockComment
      case .code where isLongQuote:
        state = .longString
        index += 2
      case .code where byte == quote: state = .string
      case .code: output.append(byte)
      case .lineComment where byte == newline: state = .code
      case .blockComment where byte == star && next == slash:
        state = .code
        index += 1
      case .string where byte == backslash: index += 1
      case .string where byte == quote || byte == newline: state = .code
      case .longString where isLongQuote:
        state = .code
        index += 2
      case .lineComment, .blockComment, .string, .longString: break
      }
      index += 1
    }
    return String(decoding: output, as: UTF8.self)
  }

  private static let quote = UInt8(ascii: "\"")
  private static let slash = UInt8(ascii: "/")
  private static let star = UInt8(ascii: "*")
  private static let backslash = UInt8(ascii: "\\")
  private static let newline = UInt8(ascii: "\n")

  /// The modules that the code imports, in order.
  static func imports(_ code: String) -> [String] {
    code.split(separator: "\n").compactMap { line in
      guard line.contains("import ") else { return nil }
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
}
