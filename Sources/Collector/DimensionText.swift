import Events

/// A text as the value of a dimension, which has at most ``Dimension/bytesMax`` bytes.
enum DimensionText {
  /// The sign and digits that tell texts with the same beginning apart.
  private static let markByteCount = 17

  /// A longer text is its beginning and a hash of the whole: `…~00c0ffee00c0ffee`. What is personal by its form
  /// goes first, whatever the write key says: cut, it would not be recognised any more.
  ///
  /// - Returns: nil where it holds U+0000, which no store keeps.
  static func fitting(_ text: String) -> String? {
    if text.utf8.contains(0) { return nil }
    guard text.utf8.count > Dimension.bytesMax else { return text }
    let text = PersonalText.removed(from: text)
    guard text.utf8.count > Dimension.bytesMax else { return text }
    var hash = SipHash128()
    hash.update(field: text)
    var end = text.utf8.index(
      text.startIndex, offsetBy: Dimension.bytesMax - markByteCount)
    while end.samePosition(in: text.unicodeScalars) == nil { text.utf8.formIndex(before: &end) }
    return text[..<end] + "~" + hash.finalize().description.prefix(markByteCount - 1)
  }
}
