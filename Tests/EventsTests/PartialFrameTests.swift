import Testing

@testable import Events

/// What a frame of partials says, as values that can be compared: records with their tuples' bytes.
struct PartialContent: Equatable {
  var head: PartialFrameHead
  var contributions: [Record] = []
  var touches: [UserTouch] = []
  var unions: [PersonUnion] = []
  var panes: [Record] = []
  var feedbacks: [Remark] = []
  var anchors: [PartialAnchor] = []

  struct Record: Equatable {
    var tuple: [UInt8]
    var start: Int64
    var sums: PartialSums
    var measure = PartialRecord.commonMeasure
  }

  struct Remark: Equatable {
    /// The feedback with 0 as its tuple.
    var feedback: PartialFeedback
    var tuple: [UInt8]
  }

  struct UserTouch: Equatable {
    var user: Key128
    /// The touch with 0 as its tuple.
    var touch: Touch
    var tuple: [UInt8]
  }

  /// - Throws: what ``PartialFrameView`` throws.
  init(bytes: [UInt8]) throws {
    self = try bytes.withUnsafeBytes { PartialContent(try PartialFrameView($0)) }
  }

  init(head: PartialFrameHead) { self.head = head }

  /// Reads everything that the view offers.
  init(_ view: PartialFrameView) {
    head = view.head
    func record(_ record: PartialRecord) -> Record {
      Record(
        tuple: Array(view.tupleBytes(Int(record.tuple))), start: record.start, sums: record.sums,
        measure: record.measure)
    }
    anchors = (0..<view.anchorCount).map { view.anchor($0) }
    contributions = (0..<view.contributionCount).map { record(view.contribution($0)) }
    panes = (0..<view.paneCount).map { record(view.pane($0)) }
    unions = (0..<view.unionCount).map { view.union($0) }
    feedbacks = (0..<view.feedbackCount).map {
      var feedback = view.feedback($0)
      let tuple = Array(view.tupleBytes(Int(feedback.tuple)))
      feedback.tuple = 0
      return Remark(feedback: feedback, tuple: tuple)
    }
    touches = (0..<view.touchCount).map {
      var touch = view.touch($0)
      let tuple = Array(view.tupleBytes(Int(touch.tuple)))
      touch.tuple = 0
      return UserTouch(user: view.touchUser($0), touch: touch, tuple: tuple)
    }
  }

  /// In the order of frames.
  var sorted: PartialContent {
    var content = self
    func precedes(_ a: Record, _ b: Record) -> Bool {
      if a.measure != b.measure { return a.measure < b.measure }
      if a.tuple != b.tuple { return a.tuple.lexicographicallyPrecedes(b.tuple) }
      if a.start != b.start { return a.start < b.start }
      return [a.sums.first, a.sums.second].lexicographicallyPrecedes([b.sums.first, b.sums.second])
    }
    content.contributions.sort(by: precedes)
    content.panes.sort(by: precedes)
    content.unions.sort { $0.first != $1.first ? $0.first < $1.first : $0.second < $1.second }
    content.feedbacks.sort { $0.feedback.incident < $1.feedback.incident }
    content.anchors.sort { a, b in
      if a.user != b.user { return a.user < b.user }
      return (a.time, a.campaign, a.from) < (b.time, b.campaign, b.from)
    }
    content.touches.sort { a, b in
      if a.user != b.user { return a.user < b.user }
      return a.touch.time != b.touch.time ? a.touch.time < b.touch.time : a.touch.key < b.touch.key
    }
    return content
  }

  var encoded: [UInt8] {
    var encoder = PartialFrameEncoder()
    fill(&encoder)
    return encoder.seal(head)
  }

  func fill(_ encoder: inout PartialFrameEncoder) {
    for record in contributions {
      let tuple = record.tuple.withUnsafeBytes { encoder.tuple($0) }
      encoder.append(
        contribution: PartialRecord(
          tuple: tuple, start: record.start, sums: record.sums, measure: record.measure))
    }
    for entry in touches {
      var touch = entry.touch
      touch.tuple = entry.tuple.withUnsafeBytes { encoder.tuple($0) }
      encoder.append(touch, of: entry.user)
    }
    for union in unions { encoder.append(union: union) }
    for remark in feedbacks {
      var feedback = remark.feedback
      feedback.tuple = remark.tuple.withUnsafeBytes { encoder.tuple($0) }
      encoder.append(feedback: feedback)
    }
    for anchor in anchors { encoder.append(anchor: anchor) }
    for record in panes {
      let tuple = record.tuple.withUnsafeBytes { encoder.tuple($0) }
      encoder.append(pane: PartialRecord(tuple: tuple, start: record.start, sums: record.sums))
    }
  }

  init(_ maker: inout FrameMaker, records: ClosedRange<Int> = 0...30) {
    func number() -> Int64 { Int64.random(in: .min ... .max, using: &maker.random) }
    func count() -> Int { Int.random(in: records, using: &maker.random) }
    head = PartialFrameHead(
      pipelineHash: maker.random.next(), generation: 3, partition: 7, partitionCount: 8,
      number: maker.random.next(),
      sourceSequence: maker.random.next(), sourceLogTime: number(),
      closesTick: Bool.random(using: &maker.random), isLast: Bool.random(using: &maker.random))
    let tuples = (0..<5).map {
      DimensionTuple(site: "default", campaign: maker.text(0...4), content: "\($0)").encoded
    }
    func record() -> Record {
      Record(
        tuple: tuples.randomElement(using: &maker.random) ?? tuples[0], start: number(),
        sums: PartialSums(number(), number(), number(), number(), number(), number()))
    }
    let hasMeasures = Bool.random(using: &maker.random)
    contributions = (0..<count()).map { _ in
      var record = record()
      if hasMeasures { record.measure = .random(in: 1...3, using: &maker.random) }
      return record
    }
    panes = (0..<count()).map { _ in record() }
    unions = (0..<count()).map { _ in PersonUnion(maker.key(), maker.key()) }
    let users = (0..<4).map { _ in maker.key() }
    anchors = (0..<count()).map { _ in
      PartialAnchor(
        user: users.randomElement(using: &maker.random) ?? users[0], campaign: maker.random.next(),
        time: number(), from: number())
    }
    let hasMoney = Bool.random(using: &maker.random)
    touches = (0..<count()).map { _ in
      UserTouch(
        user: users.randomElement(using: &maker.random) ?? users[0],
        touch: Touch(
          time: Int64.random(in: 0...3, using: &maker.random), key: maker.key(),
          revenueMicros: hasMoney ? number() : 0, tuple: 0,
          kind: UInt8.random(in: 1...8, using: &maker.random)),
        tuple: tuples.randomElement(using: &maker.random) ?? tuples[0])
    }
    feedbacks = (0..<count()).map { _ in
      Remark(
        feedback: PartialFeedback(
          incident: number(), tuple: 0, verdict: UInt32.random(in: 0...3, using: &maker.random)),
        tuple: tuples.randomElement(using: &maker.random) ?? tuples[0])
    }
  }
}

@Suite("Frames of partials")
struct PartialFrameTests {
  @Test("a frame gives back every record that went in, sorted", arguments: UInt64(1)...60)
  func roundTrip(seed: UInt64) throws {
    var maker = FrameMaker(seed: seed)
    // The same encoder again and again: nothing may be left over from the frame before.
    var encoder = PartialFrameEncoder()
    for _ in 0..<3 {
      let content = PartialContent(&maker)
      content.fill(&encoder)
      #expect(
        encoder.count == content.contributions.count + content.touches.count
          + content.unions.count + content.panes.count + content.anchors.count
          + content.feedbacks.count)
      let bytes = encoder.seal(content.head)
      #expect(encoder.count == 0)
      #expect(try PartialContent(bytes: bytes) == content.sorted)
    }
  }

  @Test("the same records in another order are the same bytes", arguments: UInt64(1)...20)
  func order(seed: UInt64) throws {
    var maker = FrameMaker(seed: seed)
    var content = PartialContent(&maker)
    let bytes = content.encoded
    content.contributions.shuffle(using: &maker.random)
    content.touches.shuffle(using: &maker.random)
    content.unions.shuffle(using: &maker.random)
    content.panes.shuffle(using: &maker.random)
    content.anchors.shuffle(using: &maker.random)
    #expect(content.encoded == bytes)
  }

  @Test("a tick that gave nothing is a short frame")
  func empty() throws {
    let head = PartialFrameHead(
      pipelineHash: 1, generation: 1, partition: 2, partitionCount: 4, number: 3, sourceSequence: 4,
      sourceLogTime: 5, closesTick: true)
    let bytes = PartialContent(head: head).encoded
    #expect(bytes.count == FrameHeader.byteCount + 16 + PartialFrameHead.byteCount)
    #expect(try PartialContent(bytes: bytes) == PartialContent(head: head))
    #expect(head.messageID == "0000000000000001-1-2-3")
  }

  @Test("a full encoder's frame is about as long as it says")
  func full() {
    var maker = FrameMaker(seed: 5)
    var encoder = PartialFrameEncoder()
    while !encoder.isFull { PartialContent(&maker, records: 1...1).fill(&encoder) }
    let bytes = encoder.seal(PartialContent(&maker).head)
    #expect(bytes.count >= PartialFrameEncoder.byteCountMax - 8192)
    #expect(bytes.count <= PartialFrameEncoder.byteCountMax + 8192)
  }

  @Test("partials are not events, and events are not partials")
  func kinds() throws {
    var maker = FrameMaker(seed: 6)
    let partials = PartialContent(&maker).encoded
    #expect(throws: FrameError.otherKind(4)) { try FrameContent(bytes: partials) }
    let heartbeat = FrameEncoder.heartbeat(maker.header(.heartbeat))
    #expect(throws: FrameError.otherKind(2)) { try PartialContent(bytes: heartbeat) }
  }

  // MARK: Damage

  private func frame() -> [UInt8] {
    var maker = FrameMaker(seed: 3)
    return PartialContent(&maker, records: 2...3).encoded
  }

  @Test("a frame with any one bit flipped, or cut anywhere, is refused")
  func damage() {
    let frame = frame()
    for bit in 0..<frame.count * 8 {
      var bytes = frame
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: FrameError.self, "bit \(bit)") { try PartialContent(bytes: bytes) }
    }
    for count in 0..<frame.count {
      #expect(throws: FrameError.self) { try PartialContent(bytes: Array(frame[..<count])) }
    }
  }

  @Test("damage under a right checksum is refused or harmless")
  func damageWithChecksum() {
    let frame = frame()
    var refused = 0
    func read(_ bytes: [UInt8]) {
      var bytes = bytes
      FrameTests.correct(&bytes)
      do {
        let content = try PartialContent(bytes: bytes)
        for entry in content.touches { #expect(EventKind(rawValue: entry.touch.kind) != nil) }
        // What the view accepts, the encoder takes.
        if content == content.sorted { #expect(!content.encoded.isEmpty) }
      } catch {
        #expect(error is FrameError)
        refused += 1
      }
    }
    for bit in 64..<frame.count * 8 {
      var bytes = frame
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      read(bytes)
    }
    for count in FrameHeader.byteCount..<frame.count { read(Array(frame[..<count])) }
    var random = SeededGenerator(seed: 11)
    for _ in 0..<20_000 {
      var bytes = frame
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        let place = Int.random(in: 8..<bytes.count, using: &random)
        bytes[place] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &random) ?? 0
      }
      read(bytes)
    }
    #expect(refused > 0)
  }

  // MARK: Golden bytes

  /// Never edit the fixture: see `GoldenFrameTests`.
  private static var golden: PartialContent {
    var content = PartialContent(
      head: PartialFrameHead(
        pipelineHash: 0x0123_4567_89ab_cdef, generation: 2, partition: 3, partitionCount: 8,
        number: 0x1_0000_0001, sourceSequence: 77, sourceLogTime: 1_795_424_400_123_456,
        closesTick: true, isLast: true))
    let first = DimensionTuple(site: "default", campaign: "a", content: "ä").encoded
    let second = DimensionTuple(site: "default", campaign: "b", currency: "EUR").encoded
    let (a, b) = (Key128(low: 1, high: 2), Key128(low: 3, high: 4))
    content.contributions = [
      .init(tuple: first, start: 1_795_424_400_000_000, sums: PartialSums(1, -2, 3, -4, 5, -6)),
      .init(tuple: second, start: -10_000_000, sums: PartialSums(0, 0, 0, .max, .min, 0)),
    ]
    content.touches = [
      .init(
        user: a,
        touch: Touch(
          time: 1_795_424_399_000_001, key: b, revenueMicros: 9_990_000, tuple: 0, kind: 5),
        tuple: second),
      .init(
        user: b, touch: Touch(time: -1, key: a, revenueMicros: 0, tuple: 0, kind: 1), tuple: first),
    ]
    content.unions = [PersonUnion(a, b)]
    content.panes = [.init(tuple: first, start: 0, sums: PartialSums(7, 8, 9, 10, 11, 12))]
    return content
  }

  @Test("frames of partials of version 1 are read, and written as the same bytes")
  func goldenBytes() throws {
    let bytes = Hex.bytes(FrameVersion1.partials)
    #expect(Hex.text(Self.golden.encoded) == Hex.text(bytes))
    #expect(try PartialContent(bytes: bytes) == Self.golden)
  }
}
