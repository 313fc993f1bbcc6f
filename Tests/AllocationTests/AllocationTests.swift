import CAllocations
import Events
import Foundation
import Operators
import Testing
import Views

/// What the hot path allocates, against the numbers in `thresholds.txt`.
@Suite("Allocations", .serialized)
struct AllocationTests {
  private static let thresholds: [String: UInt64] = {
    let url = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "thresholds.txt")
    var result: [String: UInt64] = [:]
    guard let text = try? String(contentsOf: url, encoding: .utf8) else { return result }
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let fields = line.split(separator: " ")
      if fields.count == 2 { result[String(fields[0])] = UInt64(fields[1]) }
    }
    return result
  }()

  /// Counts what `body` allocates; it handles 10,000 events.
  static func check(_ name: String, _ body: () throws -> Void) throws {
    let threshold = try #require(
      thresholds[name], "thresholds.txt has no line for \(name)")
    allocations_start()
    do {
      try body()
    } catch {
      _ = allocations_stop()
      throw error
    }
    let count = allocations_stop()
    #expect(
      count <= threshold,
      "\(name) made \(count) allocations for 10,000 events; thresholds.txt allows \(threshold)")
  }

  /// 20 frames of 500 events; `round` gives other ids and later times.
  ///
  /// - Parameter hasUsers: a third of the persons are known.
  static func frames(_ round: Int, hasUsers: Bool = false) -> [[UInt8]] {
    var encoder = FrameEncoder()
    let tuples = (0..<50).map {
      DimensionTuple(site: "s", campaign: "c\($0 % 7)", content: "content-\($0)").encoded
    }
    return (0..<20).map { frame in
      for index in 0..<500 {
        let number = frame * 500 + index
        let time = start + Int64(round) * 100_000 + Int64(number) * 10
        encoder.append(
          IncomingEvent(
            kind: .view,
            key: Key128(low: UInt64(number + 1), high: spread(round * 10_000 + number)),
            person: Key128(low: spread(number % 3000), high: 1),
            user: hasUsers && number % 3 == 0 ? Key128(low: spread(number % 3000), high: 1) : .zero,
            eventTime: time, receivedAt: time,
            dimensions: tuples[number % 50], id: "id-\(number)", name: "View", source: "test",
            payload: [0x7b, 0x7d]))
      }
      return encoder.seal(
        FrameHeader(
          kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 1), epoch: 0,
          producerSequence: UInt64(frame + 1)))
    }
  }

  static let start: Int64 = 1_700_000_000_000_000

  private static func spread(_ number: Int) -> UInt64 {
    UInt64(number + 1) &* 0x9e37_79b9_7f4a_7c15
  }

  private static func moment(_ sequence: Int) -> FrameMoment {
    FrameMoment(
      sequence: UInt64(sequence), logTime: start + 1_000_000, watermark: start - 1_000_000)
  }

  /// Runs the frames of `rounds` rounds through `body` before, and counts in the next.
  private static func check(
    _ name: String, rounds: Int, _ body: (FrameView, FrameMoment) throws -> Void
  ) throws {
    for round in 0..<rounds {
      for (index, bytes) in frames(round).enumerated() {
        try bytes.withUnsafeBytes { try body(try FrameView($0), moment(round * 20 + index + 1)) }
      }
    }
    let counted = frames(rounds)
    try check(name) {
      for index in counted.indices {
        try counted[index].withUnsafeBytes {
          try body(try FrameView($0), moment(rounds * 20 + index + 1))
        }
      }
    }
  }

  @Test("the counter counts")
  func counter() {
    allocations_start()
    var arrays: [[Int]] = []
    for index in 0..<100 { arrays.append([index]) }
    #expect(allocations_stop() >= 100)
    #expect(arrays.count == 100)
  }

  @Test("decoding a frame allocates nothing")
  func decode() throws {
    var sum: Int64 = 0
    try Self.check("decode", rounds: 1) { frame, _ in
      for index in 0..<frame.count { sum &+= frame.eventTime(index) }
    }
    #expect(sum != 0)
  }

  @Test("deduplication allocates only when a table grows")
  func dedupe() throws {
    var operators = Deduplicator(groups: 0..<8, horizon: 86_400_000_000, countMax: 1_000_000)
    var verdicts = Verdicts()
    try Self.check("dedupe", rounds: 3) { frame, moment in
      verdicts.reset(count: frame.count)
      operators.advance(to: moment)
      try operators.process(frame, at: moment, verdicts: &verdicts)
    }
  }

  @Test("counting in windows allocates nothing per event")
  func windows() throws {
    var windows = WindowAggregator(
      policy: WindowPolicy(allowedLateness: nil, windowGrace: 60_000_000, tupleCountMax: 1000))
    var verdicts = Verdicts()
    try Self.check("windows", rounds: 2) { frame, moment in
      verdicts.reset(count: frame.count)
      windows.advance(to: moment)
      try windows.process(frame, at: moment, verdicts: &verdicts)
    }
  }

  @Test("counting in hopping windows allocates nothing per event")
  func hopping() throws {
    var windows = HoppingWindows(
      size: 60_000_000, slide: 1_000_000, lateness: 5_000_000, tupleCountMax: 1000)
    try Self.check("hopping", rounds: 2) { frame, moment in
      windows.advance(to: moment)
      windows.begin(tupleCount: frame.tupleCount) { frame.tupleBytes($0) }
      for index in 0..<frame.count {
        windows.count(
          tuple: frame.tuple(index), time: frame.eventTime(index), kind: frame.kind(index),
          revenueMicros: 0, at: moment)
      }
    }
  }

  @Test("sessions and joins within a person allocate only when a table grows")
  func sessions() throws {
    var persons = PersonHistories(policy: PersonPolicy())
    var contributions = Contributions()
    try Self.check("sessions", rounds: 4) { frame, moment in
      persons.advance(watermark: moment.watermark)
      persons.begin(tupleCount: frame.tupleCount) { frame.tupleBytes($0) }
      for index in 0..<frame.count {
        persons.insert(
          Touch(
            time: frame.eventTime(index), key: frame.key(index), revenueMicros: 0,
            tuple: UInt32(frame.tuple(index)), kind: frame.kind(index)),
          of: frame.person(index))
      }
      persons.drain(into: &contributions)
      contributions.removeAll()
    }
  }

  @Test("joined counts allocate nothing per event")
  func joinedCounts() throws {
    let table = JoinTable(
      dimension: .content,
      facts: (0..<40).map {
        ("content-\($0)", DimensionTuple(site: "s", campaign: "group-\($0 % 5)"))
      })
    var counts = JoinedCounts(
      kind: .view, level: .tenSeconds, table: table,
      policy: WindowPolicy(allowedLateness: nil, windowGrace: 60_000_000, tupleCountMax: 1000))
    var verdicts = Verdicts()
    try Self.check("joined-counts", rounds: 1) { frame, moment in
      verdicts.reset(count: frame.count)
      counts.advance(to: moment)
      try counts.process(frame, at: moment, verdicts: &verdicts)
    }
  }
}
