@testable import Events
import Operators

/// Frames of the log, and what they carry.
enum FrameTargets {
  static let all: [FuzzTarget] = [
    FuzzTarget(
      "frame", seeds: [frame([event()]), frame([]), frame([event(), alias()])],
      regressions: [frame([withoutDimensions()])]
    ) { (input) throws(BrokenLaw) in
      try read(input)
      // With head and checksum put right, the columns are looked at.
      try mended(input).withBytes(read)
    },
    FuzzTarget("partials", seeds: [partials()]) { (input) throws(BrokenLaw) in
      try readPartials(input)
      try mended(input).withBytes(readPartials)
    },
    FuzzTarget(
      "dead-letter", seeds: letters.map(\.payload),
      words: words(["code", "body_base64", "body_json", "event", "gate"]), run: letter),
    FuzzTarget("snapshot", seeds: [idsOfDedupe(), linksOfPersons()], run: readSnapshot),
  ]

  // MARK: Seeds

  static func event() -> IncomingEvent {
    IncomingEvent(
      kind: .conversion, key: Key128(low: 1, high: 2), person: Key128(low: 3, high: 4),
      user: Key128(low: 5, high: 6), eventTime: 1_795_424_400_000_000,
      receivedAt: 1_795_424_400_000_001, sentAt: 1_795_424_399_000_000,
      dimensions: DimensionTuple(site: "default", campaign: "spring", content: "post-1").encoded,
      revenueMicros: 9_990_000, id: "e1", name: "Order Completed", source: "segment/web",
      payload: Array(#"{"a":1}"#.utf8))
  }

  private static func alias() -> IncomingEvent {
    var event = event()
    event.kind = .alias
    event.revenueMicros = 0
    return event
  }

  /// No collector makes it, but a frame may hold it.
  private static func withoutDimensions() -> IncomingEvent {
    var event = event()
    event.dimensions = []
    return event
  }

  private static func frame(_ events: [IncomingEvent]) -> [UInt8] {
    var encoder = FrameEncoder()
    for event in events { encoder.append(event) }
    return encoder.seal(
      FrameHeader(
        kind: .events, generation: 1, partition: 0, producer: Key128(low: 7, high: 8), epoch: 1,
        producerSequence: 1))
  }

  private static func partials() -> [UInt8] {
    var encoder = PartialFrameEncoder()
    let tuple = DimensionTuple(site: "default", content: "post-1").encoded.withUnsafeBytes {
      encoder.tuple($0)
    }
    let record = PartialRecord(tuple: tuple, start: 0, sums: PartialSums(1, 2, 3, 4, 5, 6))
    encoder.append(contribution: record)
    var exposures = record
    exposures.measure = 2
    encoder.append(contribution: exposures)
    encoder.append(pane: record)
    encoder.append(
      anchor: PartialAnchor(user: Key128(low: 8, high: 9), campaign: 10, time: 11, from: 12))
    encoder.append(union: PersonUnion(Key128(low: 1, high: 2), Key128(low: 3, high: 4)))
    encoder.append(
      Touch(time: 1, key: Key128(low: 5, high: 6), revenueMicros: 7, tuple: tuple, kind: 3),
      of: Key128(low: 8, high: 9))
    return encoder.seal(
      PartialFrameHead(
        pipelineHash: 1, generation: 1, partition: 0, partitionCount: 1, number: 1,
        sourceSequence: 1, sourceLogTime: 1, closesTick: true))
  }

  private static let letters = [
    DeadLetter(code: "no_type", detail: "d", place: "segment /v1/batch batch[3]", body: [0x61]),
    DeadLetter(code: "x", detail: "d", place: "p", body: [0xff, 0xfe]),
    DeadLetter(
      code: "schema_violation", detail: "d", place: "segment /v1/batch event", body: [0x7b],
      gate: GateRefusal(gate: "schema", event: event())),
  ]

  private static func idsOfDedupe() -> [UInt8] {
    var bytes: [UInt8] = [0, 1]
    bytes.append(contentsOf: [UInt8](repeating: 0, count: 20))
    return bytes
  }

  /// One link of the hour 0.
  private static func linksOfPersons() -> [UInt8] {
    var bytes: [UInt8] = [1, 1]
    bytes.append(contentsOf: [UInt8](repeating: 0, count: 12))
    bytes.append(1)
    bytes.append(contentsOf: [UInt8](repeating: 0, count: 7))
    bytes.append(contentsOf: [UInt8](repeating: 1, count: 32))
    bytes.append(contentsOf: [UInt8](repeating: 0, count: 4))
    return bytes
  }

  // MARK: Runs

  /// The same bytes with the beginning that a frame of this length has.
  private static func mended(_ input: UnsafeRawBufferPointer) -> [UInt8] {
    var bytes = Array(input)
    guard bytes.count >= FrameHeader.byteCount else { return bytes }
    func put<T: FixedWidthInteger>(_ value: T, at place: Int) {
      withUnsafeBytes(of: value.littleEndian) {
        bytes.replaceSubrange(place..<place + $0.count, with: $0)
      }
    }
    put(FrameHeader.magic, at: 0)
    put(FrameHeader.version, at: 8)
    put(UInt32(bytes.count), at: 72)
    put(
      bytes.withUnsafeBytes { CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[8...])) }, at: 4)
    return bytes
  }

  /// Every value of a frame that was taken can be read, and makes the same frame again.
  @Sendable private static func read(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let view: FrameView
    do throws(FrameError) { view = try FrameView(input) } catch { return }
    guard view.count <= 10_000 else { return }
    var json = JSONWriter()
    CloudEvent.appendLines(
      of: view, at: CloudEvent.Place(stream: "events-00", sequence: 1, storedAt: 1), to: &json)
    let events = (0..<view.count).map { IncomingEvent(view, event: $0) }
    var encoder = FrameEncoder()
    for event in events { encoder.append(event) }
    let again = encoder.seal(view.header)
    let same: Bool = again.withUnsafeBytes { bytes in
      do throws(FrameError) {
        let view = try FrameView(bytes)
        return events == (0..<view.count).map { IncomingEvent(view, event: $0) }
      } catch {
        return false
      }
    }
    // Times of receipt are kept as differences of at most an hour.
    let base = events.map(\.receivedAt).min() ?? 0
    let isNear = events.allSatisfy { $0.receivedAt - base <= Int64(UInt32.max) }
    try BrokenLaw.unless(same || !isNear, "a frame's events make the same frame")
  }

  @Sendable private static func readPartials(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let view: PartialFrameView
    do throws(FrameError) { view = try PartialFrameView(input) } catch { return }
    var encoder = PartialFrameEncoder()
    for index in 0..<view.contributionCount {
      var record = view.contribution(index)
      record.tuple = encoder.tuple(view.tupleBytes(Int(record.tuple)))
      encoder.append(contribution: record)
    }
    for index in 0..<view.paneCount {
      var record = view.pane(index)
      record.tuple = encoder.tuple(view.tupleBytes(Int(record.tuple)))
      encoder.append(pane: record)
    }
    for index in 0..<view.unionCount { encoder.append(union: view.union(index)) }
    for index in 0..<view.anchorCount { encoder.append(anchor: view.anchor(index)) }
    for index in 0..<view.touchCount {
      var touch = view.touch(index)
      touch.tuple = encoder.tuple(view.tupleBytes(Int(touch.tuple)))
      encoder.append(touch, of: view.touchUser(index))
    }
    let count = encoder.count
    try BrokenLaw.unless(count == view.recordCount, "every record is there")
    let again = encoder.seal(view.head)
    let isFrame: Bool = again.withUnsafeBytes { bytes in
      do throws(FrameError) {
        return try PartialFrameView(bytes).recordCount == count
      } catch {
        return false
      }
    }
    try BrokenLaw.unless(isFrame, "the records of partials make partials")
  }

  @Sendable private static func letter(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let letter: DeadLetter
    do throws(JSONError) { letter = try DeadLetter(payload: input) } catch { return }
    let payload = letter.payload
    let again: DeadLetter? = payload.withUnsafeBytes { bytes in
      do throws(JSONError) { return try DeadLetter(payload: bytes) } catch { return nil }
    }
    try BrokenLaw.unless(again == letter, "a dead letter comes back from its payload")
  }

  /// The first byte says whose section the others are.
  @Sendable private static func readSnapshot(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    guard let owner = input.first else { return }
    let isOfLinks = owner & 1 == 1
    var writer = SnapshotWriter(kind: owner & 2 == 0 ? .base : .increment, pipelineHash: 1)
    writer.begin(section: isOfLinks ? 40 : 16, version: 2)
    writer.put(UnsafeRawBufferPointer(rebasing: input[1...]))
    writer.end()
    do throws(SnapshotFormatError) {
      var reader = try SnapshotReader(writer.finish(), pipelineHash: 1)
      if isOfLinks {
        var links = IdentityLinks(keep: 3_600_000_000, countMax: 100)
        try links.restore(from: &reader, keeping: 0..<256)
      } else {
        var deduplicator = Deduplicator(groups: 0..<256, horizon: 60_000_000, countMax: 100)
        try deduplicator.restore(from: &reader, keeping: 0..<256)
      }
    } catch {
      // Whatever is wrong with it, it is not used.
    }
  }
}

extension [UInt8] {
  fileprivate func withBytes(
    _ body: (UnsafeRawBufferPointer) throws(BrokenLaw) -> Void
  ) throws(BrokenLaw) {
    try span.bytes.withUnsafeBytes { bytes throws(BrokenLaw) in try body(bytes) }
  }
}
