/// Takes out of a script what says nothing to a browser: lines of comment, indentation, and space around
/// punctuation. Names stay, so what browsers run can be read.
///
/// It knows no more of JavaScript than texts in quotes, so the script keeps to this: a comment is a line of
/// its own, no expression begins a line with a bracket or a slash, and a regular expression holds no quotes
/// and no space beside punctuation.
enum SqueezedScript {
  /// No space is needed on either side of these.
  private static let punctuation = Set("{}()[];,=<>&|?:!+-*/".utf8)
  /// A statement goes on behind these at the end of a line.
  private static let openings = Set("{([,;=>&|?:".utf8)
  /// And before these at the beginning of one.
  private static let closings = Set("})].?:".utf8)

  static func bytes(of source: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(source.count)
    for line in source.split(separator: UInt8(ascii: "\n")) {
      let text = line.drop { $0 == space }
      guard let first = text.first, !text.starts(with: "//".utf8) else { continue }
      if let last = output.last, !openings.contains(last), !closings.contains(first) {
        output.append(UInt8(ascii: "\n"))
      }
      append(text, to: &output)
    }
    return output
  }

  private static let space = UInt8(ascii: " ")

  private static func append(_ line: ArraySlice<UInt8>, to output: inout [UInt8]) {
    var quote: UInt8?
    var hasSpace = false
    for byte in line {
      if quote == nil, byte == space {
        hasSpace = true
        continue
      }
      if hasSpace, let last = output.last, isNeeded(between: last, byte) { output.append(space) }
      hasSpace = false
      output.append(byte)
      if byte == quote {
        quote = nil
      } else if quote == nil, "'\"`".utf8.contains(byte) {
        quote = byte
      }
    }
  }

  private static func isNeeded(between left: UInt8, _ right: UInt8) -> Bool {
    let isTight = punctuation.contains(left) || punctuation.contains(right)
    // `a + +b` is no increment.
    let joins = left == right && (left == UInt8(ascii: "+") || left == UInt8(ascii: "-"))
    return !isTight || joins
  }
}
