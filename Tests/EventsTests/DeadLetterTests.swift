import Events
import Testing

@Suite("Dead letters")
struct DeadLetterTests {
  @Test(
    "a dead letter goes through a frame and comes back the same",
    arguments: [
      Array("{\"event\":\"x\"}".utf8), [], [0xff, 0xfe, 0], Array("\u{0}\n\"\\é😀".utf8),
      [UInt8](repeating: 0x61, count: DeadLetter.bodyByteCountMax),
      [UInt8](repeating: 0x22, count: DeadLetter.bodyByteCountMax),
      [UInt8](repeating: 0x01, count: DeadLetter.bodyByteCountMax),
      [UInt8](repeating: 0xff, count: DeadLetter.bodyByteCountMax),
      jsonBody(DeadLetter.jsonBodyByteCountMax), jsonBody(40_000) + [0x20],
      Array((String(repeating: "[", count: 64) + String(repeating: "]", count: 64)).utf8),
    ] as [[UInt8]])
  func roundTrip(body: [UInt8]) throws {
    let letter = DeadLetter(
      code: "event_too_large", detail: "at most \"32 KiB\"", place: "segment /v1/batch batch[3]",
      body: body)
    let event = letter.event(site: "default", source: "segment", receivedAt: 1_000_000)
    #expect(event.name == "event_too_large" && event.kind == .custom && !event.id.isEmpty)
    var encoder = FrameEncoder()
    encoder.append(event)
    var maker = FrameMaker(seed: 1)
    let bytes = encoder.seal(maker.header(.deadLetters))
    #expect(bytes.count < 1_048_576)
    let read = try bytes.withUnsafeBytes { try DeadLetter(payload: FrameView($0).payload(0)) }
    #expect(read == letter)
  }

  /// An object full of quotes, which a text would have to escape, in so many bytes.
  private static func jsonBody(_ count: Int) -> [UInt8] {
    var body = Array(#"{"event":"e""#.utf8)
    while body.count + 7 < count { body += Array(#","":"""#.utf8) }
    return body + [UInt8](repeating: 0x20, count: count - body.count - 1) + Array("}".utf8)
  }

  @Test("an event of the longest that is taken is kept whole, if not too deep")
  func whole() throws {
    let body = Self.jsonBody(900 * 1024)
    let letter = DeadLetter(code: "c", detail: "", place: "", body: body)
    #expect(letter.body == body)
    let tooLong = Self.jsonBody(DeadLetter.jsonBodyByteCountMax + 1)
    #expect(
      DeadLetter(code: "c", detail: "", place: "", body: tooLong).body.count
        == DeadLetter.bodyByteCountMax)
    // As deep as JSON may be here, and long.
    let deep =
      Array(String(repeating: "[", count: 64).utf8) + [UInt8](repeating: 0x20, count: 800_000)
      + Array(String(repeating: "]", count: 64).utf8)
    let cut = DeadLetter(code: "c", detail: "", place: "", body: deep)
    #expect(cut.body.count == DeadLetter.bodyByteCountMax && cut.bodyByteCount == deep.count)
    #expect(try cut.payload.withUnsafeBytes { try DeadLetter(payload: $0) } == cut)
  }

  @Test("a long body is cut, and how long it was stays known")
  func cut() throws {
    let letter = DeadLetter(
      code: "c", detail: "", place: "", body: [UInt8](repeating: 0xe9, count: 750_000))
    #expect(letter.body.count == DeadLetter.bodyByteCountMax && letter.bodyByteCount == 750_000)
    #expect(try letter.payload.withUnsafeBytes { try DeadLetter(payload: $0) } == letter)
  }

  @Test("members that this version does not know are passed over")
  func unknownMembers() throws {
    let payload = Array(#"{"x":[1],"code":"c","body":"b","y":{}}"#.utf8)
    let letter = try payload.withUnsafeBytes { try DeadLetter(payload: $0) }
    #expect(letter == DeadLetter(code: "c", detail: "", place: "", body: Array("b".utf8)))
  }

  @Test(
    "a payload of something else is refused",
    arguments: [
      "", "{}", "[]", #"{"code":"c"}"#, #"{"body":"b"}"#, #"{"code":1,"body":""}"#,
      #"{"code":"c","body_base64":"Z"}"#, #"{"code":"c","body":"b"}x"#,
    ])
  func refused(payload: String) {
    #expect(throws: JSONError.self) {
      try Array(payload.utf8).withUnsafeBytes { try DeadLetter(payload: $0) }
    }
  }

  @Test("two rejections of the same bytes at different times are two dead letters")
  func identity() {
    let letter = DeadLetter(code: "c", detail: "", place: "", body: [1])
    let first = letter.event(site: "s", source: "p", receivedAt: 1)
    let second = letter.event(site: "s", source: "p", receivedAt: 2)
    #expect(first.id != second.id && first.key != second.key)
  }
}
