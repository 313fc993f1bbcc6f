import Events

extension EventNotes {
  /// As sentences, for people.
  var texts: [String] {
    var texts: [String] = []
    if contains(.unnamed) {
      texts.append(
        "no line of the mapping names this event: it counts as custom, for no metric")
    }
    for part in MappedPart.allCases {
      if contains(.unusable(part)) {
        texts.append(
          "a property that the mapping has for the \(part) is an object or array, holds U+0000, or is"
            + " too long for money: it is ignored")
      }
      if contains(.cut(part)) {
        texts.append(
          "the \(part) has more than \(Dimension.bytesMax) bytes: it is its beginning and a hash of"
            + " the whole")
      }
    }
    return texts
  }
}
