import Events
import Testing

@testable import Operators

@Suite("Partial intake")
struct PartialIntakeTests {
  private static func head(
    _ number: UInt64, partition: UInt32 = 0, of count: UInt32 = 1, sequence: UInt64? = nil,
    at logTime: Int64? = nil, hash: UInt64 = 7, closesTick: Bool = true, isLast: Bool = false
  ) -> PartialFrameHead {
    PartialFrameHead(
      pipelineHash: hash, generation: 1, partition: partition, partitionCount: count,
      number: number, sourceSequence: sequence ?? number * 10,
      sourceLogTime: logTime ?? noon + Int64(number) * second, closesTick: closesTick,
      isLast: isLast)
  }

  private static func bytes(_ head: PartialFrameHead) -> [UInt8] {
    var encoder = PartialFrameEncoder()
    return encoder.seal(head)
  }

  /// Of the frame with nothing but that head.
  private static func checksum(_ head: PartialFrameHead) throws -> UInt32 {
    try bytes(head).withUnsafeBytes { try PartialFrameView($0).checksum }
  }

  private static func admit(
    _ head: PartialFrameHead, to intake: inout PartialIntake
  ) throws -> PartialIntake.Admission {
    intake.admit(head, checksum: try checksum(head))
  }

  private static func take(_ head: PartialFrameHead, in intake: inout PartialIntake) throws {
    intake.take(head, checksum: try checksum(head))
  }

  private static func keep(_ head: PartialFrameHead, in intake: inout PartialIntake) throws {
    let checksum = try checksum(head)
    try bytes(head).withUnsafeBytes { try intake.keep(head, checksum: checksum, $0) }
  }

  @Test("A number is taken once and in its turn; those before their turn wait for it")
  func turns() throws {
    var intake = PartialIntake(pipelineHash: 7)
    for (number, expected) in [(2, .early), (1, .take)] as [(UInt64, PartialIntake.Admission)] {
      let admission = try Self.admit(Self.head(number), to: &intake)
      #expect(admission == expected)
    }
    try Self.keep(Self.head(3), in: &intake)
    try Self.keep(Self.head(2), in: &intake)
    let again = try Self.admit(Self.head(2), to: &intake)
    #expect(again == .ignore && intake.earlyCount == 2)
    var waiting = intake.nextEarly()
    #expect(waiting == nil)
    try Self.take(Self.head(1), in: &intake)
    for number in 2...3 as ClosedRange<UInt64> {
      waiting = intake.nextEarly()
      #expect(waiting == Self.bytes(Self.head(number)))
      let admission = try Self.admit(Self.head(number), to: &intake)
      #expect(admission == .take)
      try Self.take(Self.head(number), in: &intake)
    }
    for number in 1...3 as ClosedRange<UInt64> {
      let admission = try Self.admit(Self.head(number), to: &intake)
      #expect(admission == .ignore)
    }
    #expect(intake.earlyCount == 0 && intake.sources.map(\.sequence) == [30])
  }

  @Test("Frames of another declaration of the pipeline are passed over")
  func otherPipeline() throws {
    var intake = PartialIntake(pipelineHash: 7)
    let admission = try Self.admit(Self.head(1, hash: 8), to: &intake)
    #expect(admission == .ignore && intake.sources.isEmpty)
  }

  @Test("Time is that of the slowest source, and stands still until all have been heard of")
  func time() throws {
    var intake = PartialIntake(pipelineHash: 7)
    // What comes, and the time of the whole after it, seconds after noon; nil before there is one.
    let story: [(head: PartialFrameHead, time: Int64?)] = [
      (Self.head(1, partition: 0, of: 2, at: noon + 5 * second), nil),
      (Self.head(1, partition: 1, of: 2, at: noon + 3 * second), 3),
      (Self.head(2, partition: 0, of: 2, at: noon + 9 * second), 3),
      (Self.head(2, partition: 1, of: 2, at: noon + 7 * second), 7),
      // One that has ended holds nothing back.
      (Self.head(3, partition: 1, of: 2, at: noon + 8 * second, isLast: true), 9),
    ]
    for (head, time) in story {
      try Self.take(head, in: &intake)
      #expect(intake.logTime == time.map { noon + $0 * second } ?? .min)
    }
  }

  @Test("A tick of several frames is complete with its last one")
  func parts() throws {
    var intake = PartialIntake(pipelineHash: 7)
    try Self.take(Self.head(1, sequence: 50, at: noon, closesTick: false), in: &intake)
    #expect(intake.sources.map(\.sequence) == [0] && intake.logTime == .min)
    try Self.take(Self.head(2, sequence: 50, at: noon), in: &intake)
    #expect(intake.sources.map(\.sequence) == [50] && intake.logTime == noon)
  }

  @Test("A number that comes in another form than it was taken or kept in is a contradiction")
  func otherPast() throws {
    var intake = PartialIntake(pipelineHash: 7)
    let remembered = UInt64(PartialIntake.rememberedCount)
    for number in 1...remembered + 3 { try Self.take(Self.head(number), in: &intake) }
    try Self.keep(Self.head(remembered + 6), in: &intake)
    // A number in another form, and what comes of it.
    let story: [(number: UInt64, admission: PartialIntake.Admission)] = [
      (remembered + 3, .contradiction), (4, .contradiction), (3, .ignore),
      (remembered + 6, .contradiction), (remembered + 4, .take), (remembered + 5, .early),
    ]
    for (number, expected) in story {
      let admission = try Self.admit(Self.head(number, at: noon - second), to: &intake)
      #expect(admission == expected, "\(number)")
    }
  }

  @Test("A frame that never comes is named, once too many wait for it")
  func gap() throws {
    var intake = PartialIntake(pipelineHash: 7)
    try Self.take(Self.head(1, partition: 2, of: 3), in: &intake)
    for number in 0..<PartialIntake.earlyCountMax {
      try Self.keep(Self.head(3 + UInt64(number), partition: 2, of: 3), in: &intake)
    }
    let error = OperatorError.missing(
      generation: 1, partition: 2, number: 2, waiting: PartialIntake.earlyCountMax)
    #expect(throws: error) { try Self.keep(Self.head(3, partition: 0, of: 3), in: &intake) }
    #expect("\(error)".contains("partial 2 of partition 2 of generation 1 is not in the stream"))
  }

  @Test("A snapshot with a frame that cannot be read, or sources out of order, is refused")
  func malformed() throws {
    var intake = PartialIntake(pipelineHash: 7)
    try Self.take(Self.head(1, partition: 0, of: 2), in: &intake)
    try Self.take(Self.head(1, partition: 1, of: 2), in: &intake)
    try Self.keep(Self.head(5, partition: 1, of: 2), in: &intake)
    var writer = SnapshotWriter(kind: .base, pipelineHash: 1)
    intake.snapshot(isComplete: true, into: &writer)
    let good = writer.finish()
    var refusals = 0
    for place in 48..<good.count {
      var bad = good
      bad[place] ^= 0xff
      makeChecksumHold(&bad)
      var restored = PartialIntake(pipelineHash: 7)
      do throws(SnapshotFormatError) {
        var reader = try SnapshotReader(bad, pipelineHash: 1)
        try restored.restore(from: &reader)
        try reader.finish()
      } catch {
        refusals += 1
        continue
      }
      // Another number may stand there as well; but nothing may trap.
      _ = try Self.admit(Self.head(2, partition: 1, of: 2), to: &restored)
      while restored.nextEarly() != nil {}
    }
    #expect(refusals > 100)
  }
}
