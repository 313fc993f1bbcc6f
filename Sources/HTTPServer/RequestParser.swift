import Glibc
import NIOCore

/// Cuts what a connection sends into requests (RFC 9112), in place: heads and bodies are slices of what was read.
///
///     head ──► body ─────────────────────────┐
///      ▲ │                                   ▼
///      │ └──► chunk size ◄──► chunk data    end
///      │          └──► trailer ─────────────►│
///      └─────────────────────────────────────┘
///
/// Strict, because what two programs read in different ways is how requests are smuggled: lines end in CR LF, names
/// have no spaces, a length comes once and not beside chunks. After an error it gives nothing more.
struct RequestParser {
  enum Part {
    case head(RequestHead)
    case body(ByteBuffer)
    case end
  }

  private enum State {
    case head
    case body(left: Int)
    case chunkSize
    case chunk(left: Int)
    case chunkEnd
    case trailer
    case end
    case failed
  }

  private let maxHeadBytes: Int
  private let maxFields: Int
  private var state = State.head
  /// Not read yet.
  private var bytes = ByteBuffer()
  /// Whether `bytes` is in memory of its own.
  private var isOwn = false
  /// How far a head was looked through, and where its last line begins.
  private var scanned = 0
  private var lineStart = 0
  /// Of chunks and trailers.
  private var trailerBytes = 0

  /// Of the line that says how long a chunk is.
  private static let chunkLineBytesMax = 256

  init(maxHeadBytes: Int, maxFields: Int) {
    self.maxHeadBytes = maxHeadBytes
    self.maxFields = maxFields
  }

  var hasFailed: Bool {
    if case .failed = state { return true }
    return false
  }

  /// Whether there is a part of a head.
  var isInHead: Bool {
    if case .head = state { return bytes.readableBytes > 0 }
    return false
  }

  mutating func take(_ more: ByteBuffer) {
    if bytes.readableBytes == 0 {
      bytes = more
      isOwn = false
    } else {
      bytes.writeImmutableBuffer(more)
    }
  }

  /// Called when all of what was taken has been read as far as possible: what is left is copied, so that the memory
  /// that the connection reads into is free again.
  mutating func settle() {
    if bytes.readableBytes == 0 {
      bytes = ByteBuffer()
      isOwn = false
    } else if !isOwn || bytes.readerIndex > 0 {
      bytes = ByteBuffer(bytes: bytes.readableBytesView)
      isOwn = true
    }
  }

  /// The next part; nil where more has to come first.
  mutating func next() throws(RequestSyntaxError) -> Part? {
    do {
      return try part()
    } catch {
      state = .failed
      bytes = ByteBuffer()
      throw error
    }
  }

  private mutating func part() throws(RequestSyntaxError) -> Part? {
    while true {
      switch state {
      case .failed: return nil
      case .head: return try head().map { .head($0) }
      case .body(let left):
        guard let slice = readSlice(left) else { return nil }
        let rest = left - slice.readableBytes
        state = rest == 0 ? .end : .body(left: rest)
        return .body(slice)
      case .end:
        state = .head
        return .end
      case .chunkSize:
        guard let line = try line(maxBytes: Self.chunkLineBytesMax) else { return nil }
        let size = try line.readableBytesSpan.withUnsafeBytes { text throws(RequestSyntaxError) in
          try Self.chunkSize(text)
        }
        trailerBytes = 0
        state = size == 0 ? .trailer : .chunk(left: size)
      case .chunk(let left):
        guard let slice = readSlice(left) else { return nil }
        let rest = left - slice.readableBytes
        state = rest == 0 ? .chunkEnd : .chunk(left: rest)
        return .body(slice)
      case .chunkEnd:
        guard let line = try line(maxBytes: 0) else { return nil }
        guard line.readableBytes == 0 else { throw .malformed }
        state = .chunkSize
      case .trailer:
        guard let line = try line(maxBytes: maxHeadBytes - trailerBytes) else { return nil }
        trailerBytes += line.readableBytes + 2
        if line.readableBytes == 0 { state = .end }
      }
    }
  }

  private mutating func readSlice(_ left: Int) -> ByteBuffer? {
    let count = min(left, bytes.readableBytes)
    return count == 0 ? nil : bytes.readSlice(length: count)
  }

  // MARK: Heads

  private mutating func head() throws(RequestSyntaxError) -> RequestHead? {
    guard skipEmptyLines(), let length = try headLength() else { return nil }
    guard let slice = bytes.readSlice(length: length) else { return nil }
    (scanned, lineStart) = (0, 0)
    var head = try RequestHead(slice, maxFields: maxFields)
    switch head.framing {
    case .none: state = .end
    case .length(let length): state = length == 0 ? .end : .body(left: length)
    case .chunked: state = .chunkSize
    }
    if case .end = state { return head }
    if case .body(let left) = state, left <= bytes.readableBytes { return head }
    head.detach()
    return head
  }

  /// Clients have sent an empty line after a body (RFC 9112 section 2.2).
  ///
  /// - Returns: false where it cannot be told yet whether there is one more.
  private mutating func skipEmptyLines() -> Bool {
    guard scanned == 0 else { return true }
    while let two = bytes.getInteger(at: bytes.readerIndex, as: UInt16.self), two == 0x0d0a {
      bytes.moveReaderIndex(forwardBy: 2)
    }
    let isCut = bytes.readableBytes == 1 && bytes.readableBytesView.first == 0x0d
    return !isCut
  }

  /// - Returns: the bytes of the head, with the empty line at its end; nil where that has not come.
  private mutating func headLength() throws(RequestSyntaxError) -> Int? {
    let (from, start) = (scanned, lineStart)
    let (end, last) = try bytes.readableBytesSpan.withUnsafeBytes {
      view throws(RequestSyntaxError) in try Self.headEnd(view, from: from, lineStart: start)
    }
    if let end {
      guard end <= maxHeadBytes else { throw .tooLarge }
      return end
    }
    guard bytes.readableBytes <= maxHeadBytes else { throw .tooLarge }
    (scanned, lineStart) = (bytes.readableBytes, last)
    return nil
  }

  /// - Returns: where the head ends, or nil and where its last line begins.
  private static func headEnd(
    _ view: UnsafeRawBufferPointer, from: Int, lineStart: Int
  ) throws(RequestSyntaxError) -> (end: Int?, lineStart: Int) {
    guard let base = view.baseAddress else { return (nil, 0) }
    var lineStart = lineStart
    var from = from
    while let found = memchr(base + from, 0x0a, view.count - from) {
      let feed = UnsafeRawPointer(found) - base
      guard feed > lineStart, view[feed - 1] == 0x0d else { throw .malformed }
      if feed - 1 == lineStart, lineStart > 0 { return (feed + 1, lineStart) }
      lineStart = feed + 1
      from = lineStart
    }
    // Whoever speaks another protocol may wait for an answer before ending a head.
    let word = view.prefix { RequestText.isToken($0) }.count
    let isCut = word == view.count
    guard word <= RequestHead.methodBytesMax, isCut || word > 0 && view[word] == 0x20 else {
      throw .malformed
    }
    return (nil, lineStart)
  }

  // MARK: Chunks

  /// A line without its end; nil where that has not come.
  private mutating func line(maxBytes: Int) throws(RequestSyntaxError) -> ByteBuffer? {
    let end = bytes.readableBytesSpan.withUnsafeBytes { view -> Int? in
      guard let base = view.baseAddress, let found = memchr(base, 0x0a, view.count) else {
        return nil
      }
      return UnsafeRawPointer(found) - base
    }
    guard let end else {
      guard bytes.readableBytes <= maxBytes + 1 else { throw .malformed }
      return nil
    }
    guard end > 0, end - 1 <= maxBytes, var line = bytes.readSlice(length: end + 1),
      line.getInteger(at: line.readerIndex + end - 1, as: UInt8.self) == 0x0d
    else { throw .malformed }
    line.moveWriterIndex(to: line.writerIndex - 2)
    return line
  }

  /// The size of a chunk, which extensions may follow.
  private static func chunkSize(
    _ line: UnsafeRawBufferPointer
  ) throws(RequestSyntaxError) -> Int {
    var size = 0
    var digits = 0
    for byte in line {
      let letter = byte | 0x20
      if byte &- UInt8(ascii: "0") <= 9 {
        size = size << 4 | Int(byte &- UInt8(ascii: "0"))
      } else if letter &- UInt8(ascii: "a") <= 5 {
        size = size << 4 | Int(letter &- UInt8(ascii: "a") + 10)
      } else if byte == UInt8(ascii: ";") || RequestText.isSpace(byte), digits > 0 {
        break
      } else {
        throw .malformed
      }
      digits += 1
      guard digits <= 15 else { throw .malformed }
    }
    guard digits > 0, RequestText.isFieldValue(line) else { throw .malformed }
    return size
  }
}
