/// A JSON value of which some texts may differ: what programs send is mostly made of the same text again and again,
/// with other ids and times in it. A value that fits needs no reading: it is compared, and its texts are handed out.
///
/// Borrows the value that it was made of, as ``JSONScanner`` does.
public struct JSONTemplate {
  private let pattern: UnsafeRawBufferPointer
  /// Where texts stand that may differ, without their quotes; rising.
  private let gaps: [Range<Int>]

  public var gapCount: Int { gaps.count }

  /// - Parameters:
  ///   - value: one JSON value without space around it.
  ///   - differs: asked in their order for the members of objects, by the names on the way to them (arrays have
  ///     none): whether others may have another text there. What is no text never differs.
  /// - Throws: where it is no JSON.
  public init(
    _ value: UnsafeRawBufferPointer,
    differs: (_ names: [JSONString], _ text: JSONString?) throws -> Bool
  ) throws {
    pattern = value
    var json = JSONScanner(value)
    var names: [JSONString] = []
    var gaps: [Range<Int>] = []
    func read(isMember: Bool) throws {
      let type = try json.peek()
      if isMember, type != .string { _ = try differs(names, nil) }
      switch type {
      case .object:
        try json.beginObject()
        while let name = try json.nextKey() {
          names.append(name)
          try read(isMember: true)
          names.removeLast()
        }
      case .array:
        try json.beginArray()
        while try json.nextElement() { try read(isMember: false) }
      case .string:
        let text = try json.text()
        if isMember, try differs(names, text) {
          let end = json.offset - 1
          gaps.append(end - text.bytes.count..<end)
        }
      case .number, .boolean, .null: try json.skipValue()
      }
    }
    try read(isMember: false)
    try json.end()
    self.gaps = gaps
  }

  /// Whether the next value of `json` is this one but for its gaps, and has in them plain texts alone: not empty, in
  /// ASCII, without escapes. Then it is passed over.
  ///
  /// - Parameter texts: gets those of the gaps; it has as many elements, or more. What they are counts only after a
  ///   match.
  /// - Returns: the value's bytes; nil where it does not fit, and nothing is passed over.
  public func match(
    _ json: inout JSONScanner, _ texts: inout [UnsafeRawBufferPointer]
  ) -> UnsafeRawBufferPointer? {
    json.skipWhitespace()
    let start = json.offset
    guard let pattern = self.pattern.baseAddress, texts.count >= gaps.count else { return nil }
    var place = start
    var literal = 0
    for index in gaps.indices {
      let gap = gaps[index]
      guard json.holds(pattern + literal, gap.lowerBound &- literal, at: place) else { return nil }
      place &+= gap.lowerBound &- literal
      let end = json.firstSpecial(from: place)
      // The quote is the first byte of what follows; where it is something else, that does not fit.
      guard end > place, end < json.count else { return nil }
      texts[index] = UnsafeRawBufferPointer(start: json.base + place, count: end &- place)
      place = end
      literal = gap.upperBound
    }
    let rest = self.pattern.count &- literal
    guard json.holds(pattern + literal, rest, at: place) else { return nil }
    json.offset = place &+ rest
    return UnsafeRawBufferPointer(start: json.base + start, count: json.offset &- start)
  }
}

extension JSONScanner {
  /// Whether so many bytes stand at a place of the text.
  @inline(__always)
  func holds(_ bytes: UnsafeRawPointer, _ byteCount: Int, at place: Int) -> Bool {
    guard place &+ byteCount <= count else { return false }
    var index = 0
    while index &+ 8 <= byteCount {
      let one = base.loadUnaligned(fromByteOffset: place &+ index, as: UInt64.self)
      if one != bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) { return false }
      index &+= 8
    }
    while index < byteCount {
      if byte(place &+ index) != bytes.load(fromByteOffset: index, as: UInt8.self) { return false }
      index &+= 1
    }
    return true
  }
}
