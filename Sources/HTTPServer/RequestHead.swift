import NIOCore

/// Request line and header fields of one request, checked and left where they came in: a field becomes a text when
/// somebody asks for it.
struct RequestHead: Sendable {
  /// Where a field stands, from the head's first byte.
  private struct Field: BitwiseCopyable {
    let name: UInt32
    let nameEnd: UInt32
    let value: UInt32
    let valueEnd: UInt32
  }

  /// How the body that follows is told from the next request.
  enum Framing: Hashable, Sendable {
    case none
    case length(Int)
    case chunked
  }

  /// Words that are longer begin no request.
  static let methodBytesMax = 32

  /// Nil where it is a word that no route is declared for.
  let method: HTTPMethod?
  let isHTTP10: Bool
  let framing: Framing
  /// Whether another request may follow by what this one says.
  let keepsAlive: Bool
  let expectsContinue: Bool
  private var bytes: ByteBuffer
  /// Path and query.
  private let target: Range<Int>
  /// Where the path ends, from the head's first byte.
  private let pathEnd: Int
  private let fields: [Field]
  private let originField: Int

  /// - Parameter bytes: all of it, with the empty line at its end.
  init(_ bytes: ByteBuffer, maxFields: Int) throws(RequestSyntaxError) {
    var reading = Reading(maxFields: maxFields)
    try bytes.readableBytesSpan.withUnsafeBytes { view throws(RequestSyntaxError) in
      try reading.read(view)
    }
    self.bytes = bytes
    method = reading.method
    isHTTP10 = reading.isHTTP10
    framing = reading.framing
    keepsAlive = !reading.asksForUpgrade && (reading.keepsAlive ?? !reading.isHTTP10)
    expectsContinue = reading.expectsContinue
    target = reading.target
    pathEnd = reading.pathEnd
    fields = reading.fields
    originField = reading.origin
  }

  // MARK: Request line

  /// What the path is, without the query.
  func withPath<R, E: Error>(_ read: (RawSpan) throws(E) -> R) throws(E) -> R {
    try read(bytes.readableBytesSpan.extracting(target.lowerBound..<pathEnd))
  }

  /// The query without `?`; empty where there is none.
  func withQuery<R, E: Error>(_ read: (RawSpan) throws(E) -> R) throws(E) -> R {
    let start = min(pathEnd + 1, target.upperBound)
    return try read(bytes.readableBytesSpan.extracting(start..<target.upperBound))
  }

  var path: String { text(target.lowerBound..<pathEnd) }

  var query: String { text(min(pathEnd + 1, target.upperBound)..<target.upperBound) }

  // MARK: Fields

  /// The first field of this name, in any case of letters.
  func header(_ name: String) -> String? {
    guard let index = index(of: name) else { return nil }
    return value(index)
  }

  /// All fields of this name, in order.
  func headers(_ name: String) -> [String] {
    var name = name
    let found = name.withUTF8 { name in
      bytes.readableBytesSpan.withUnsafeBytes { view in
        fields.indices.filter { index in
          let field = fields[index]
          return Int(field.nameEnd &- field.name) == name.count
            && RequestText.isSame(
              UnsafeRawBufferPointer(rebasing: view[Int(field.name)..<Int(field.nameEnd)]),
              UnsafeRawBufferPointer(name))
        }
      }
    }
    return found.map(value)
  }

  /// The page that sent the request.
  var origin: String? { originField < 0 ? nil : value(originField) }

  /// All fields in the order in which they came.
  var headerFields: [(name: String, value: String)] {
    fields.indices.map { index in
      let field = fields[index]
      return (name: text(Int(field.name)..<Int(field.nameEnd)), value: value(index))
    }
  }

  /// The same in memory of its own: what a connection reads into is not held by what waits.
  mutating func detach() { bytes = ByteBuffer(bytes: bytes.readableBytesView) }

  private func index(of name: String) -> Int? {
    var name = name
    return name.withUTF8 { name in
      bytes.readableBytesSpan.withUnsafeBytes { view in
        fields.firstIndex { field in
          Int(field.nameEnd &- field.name) == name.count
            && RequestText.isSame(
              UnsafeRawBufferPointer(rebasing: view[Int(field.name)..<Int(field.nameEnd)]),
              UnsafeRawBufferPointer(name))
        }
      }
    }
  }

  private func value(_ index: Int) -> String {
    text(Int(fields[index].value)..<Int(fields[index].valueEnd))
  }

  private func text(_ range: Range<Int>) -> String {
    bytes.readableBytesSpan.withUnsafeBytes { String(decoding: $0[range], as: UTF8.self) }
  }

  // MARK: Reading

  private struct Reading {
    let maxFields: Int
    var method: HTTPMethod?
    var isHTTP10 = false
    var target = 0..<0
    var pathEnd = 0
    var fields: [Field] = []
    var framing = Framing.none
    var keepsAlive: Bool?
    var expectsContinue = false
    /// Whoever asks for another protocol says nothing more in this one.
    var asksForUpgrade = false
    var origin = -1

    init(maxFields: Int) {
      self.maxFields = maxFields
      fields.reserveCapacity(12)
    }

    mutating func read(_ view: UnsafeRawBufferPointer) throws(RequestSyntaxError) {
      var line = try requestLine(view)
      while true {
        let end = RequestText.lineEnd(view, from: line)
        if end == line { break }
        try field(view, line..<end)
        line = end + 2
      }
      if isHTTP10, framing == .chunked { throw .malformed }
    }

    /// - Returns: where the next line begins.
    private mutating func requestLine(
      _ view: UnsafeRawBufferPointer
    ) throws(RequestSyntaxError) -> Int {
      let end = RequestText.lineEnd(view, from: 0)
      var index = 0
      while index < end, RequestText.isToken(view[index]) { index += 1 }
      guard (1...methodBytesMax).contains(index), index < end, view[index] == UInt8(ascii: " ")
      else { throw .malformed }
      method = Self.method(UnsafeRawBufferPointer(rebasing: view[..<index]))
      let start = index + 1
      index = start
      pathEnd = -1
      while index < end, view[index] > 0x20, view[index] != 0x7f {
        if view[index] == UInt8(ascii: "?"), pathEnd < 0 { pathEnd = index }
        index += 1
      }
      guard index > start, index < end, view[index] == UInt8(ascii: " ") else { throw .malformed }
      if pathEnd < 0 { pathEnd = index }
      target = start..<index
      try version(UnsafeRawBufferPointer(rebasing: view[index + 1..<end]))
      if view[start] != UInt8(ascii: "/") { takeOriginForm(view) }
      return end + 2
    }

    private mutating func version(_ text: UnsafeRawBufferPointer) throws(RequestSyntaxError) {
      guard text.count == 8, text.starts(with: Array("HTTP/".utf8)),
        text[5] &- UInt8(ascii: "0") <= 9, text[6] == UInt8(ascii: "."),
        text[7] &- UInt8(ascii: "0") <= 9
      else { throw .malformed }
      guard text[5] == UInt8(ascii: "1"), text[7] <= UInt8(ascii: "1") else {
        throw .otherVersion
      }
      isHTTP10 = text[7] == UInt8(ascii: "0")
    }

    /// Servers must take `GET http://host/path` too (RFC 9112 section 3.2.2).
    private mutating func takeOriginForm(_ view: UnsafeRawBufferPointer) {
      let whole = UnsafeRawBufferPointer(rebasing: view[target])
      guard whole.starts(with: Array("http://".utf8)) || whole.starts(with: Array("https://".utf8)),
        let first = whole.firstIndex(of: UInt8(ascii: "/"))
      else { return }
      let slash = UInt8(ascii: "/")
      let start = target.lowerBound
      if let path = whole[(first + 2)...].firstIndex(of: slash) {
        let newStart = start + path
        if pathEnd < newStart {
          // What looked like a query stands in front of the path.
          pathEnd =
            view[newStart..<target.upperBound].firstIndex(of: UInt8(ascii: "?"))
            ?? target.upperBound
        }
        target = newStart..<target.upperBound
      } else {
        // The root, for which one of the two slashes stands.
        target = start + first..<start + first + 1
        pathEnd = target.upperBound
      }
    }

    /// - Parameter line: without its end.
    private mutating func field(
      _ view: UnsafeRawBufferPointer, _ line: Range<Int>
    ) throws(RequestSyntaxError) {
      guard fields.count < maxFields else { throw .tooLarge }
      var index = line.lowerBound
      while index < line.upperBound, RequestText.isToken(view[index]) { index += 1 }
      let nameEnd = index
      // White space in front of the colon, and lines that go on, are how requests are smuggled.
      guard nameEnd > line.lowerBound, nameEnd < line.upperBound,
        view[nameEnd] == UInt8(ascii: ":")
      else { throw .malformed }
      var start = nameEnd + 1
      var end = line.upperBound
      while start < end, RequestText.isSpace(view[start]) { start += 1 }
      while end > start, RequestText.isSpace(view[end - 1]) { end -= 1 }
      let value = UnsafeRawBufferPointer(rebasing: view[start..<end])
      guard RequestText.isFieldValue(value) else { throw .malformed }
      let name = UnsafeRawBufferPointer(rebasing: view[line.lowerBound..<nameEnd])
      fields.append(
        Field(
          name: UInt32(line.lowerBound), nameEnd: UInt32(nameEnd), value: UInt32(start),
          valueEnd: UInt32(end)))
      try take(name, value)
    }

    /// What the server itself needs to know of a field.
    private mutating func take(
      _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(RequestSyntaxError) {
      switch name.count {
      case 6:
        if RequestText.isSame(name, "origin") {
          if origin < 0 { origin = fields.count - 1 }
        } else if RequestText.isSame(name, "expect") {
          expectsContinue = RequestText.isSame(value, "100-continue")
        }
      case 7 where RequestText.isSame(name, "upgrade"): asksForUpgrade = true
      case 10 where RequestText.isSame(name, "connection"): takeConnection(value)
      case 14 where RequestText.isSame(name, "content-length"):
        // A length beside chunks, and two lengths, are how requests are smuggled.
        guard framing == .none, let length = RequestText.decimal(value) else { throw .malformed }
        framing = .length(length)
      case 17 where RequestText.isSame(name, "transfer-encoding"):
        guard framing == .none, RequestText.endsInChunked(value) else { throw .malformed }
        framing = .chunked
      default: break
      }
    }

    private mutating func takeConnection(_ value: UnsafeRawBufferPointer) {
      for part in value.split(separator: UInt8(ascii: ",")) {
        let word = RequestText.trimmed(UnsafeRawBufferPointer(rebasing: part))
        if RequestText.isSame(word, "close") {
          keepsAlive = false
        } else if keepsAlive == nil, RequestText.isSame(word, "keep-alive") {
          keepsAlive = true
        }
      }
    }

    private static func method(_ word: UnsafeRawBufferPointer) -> HTTPMethod? {
      HTTPMethod.allCases.first { method in
        word.count == method.name.utf8.count && word.elementsEqual(method.name.utf8)
      }
    }
  }
}
