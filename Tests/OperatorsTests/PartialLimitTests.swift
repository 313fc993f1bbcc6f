import Events
import Testing
import Views

@testable import Operators

/// Bounds of what stands between the stages.
@Suite struct PartialLimitTests {
  private static func emitter() -> PartialEmitter {
    PartialEmitter(
      pipelineHash: 1, generation: 1, partition: 0, partitionCount: 1, paneLength: 0)
  }

  private static func close(_ emitter: inout PartialEmitter, _ sequence: UInt64) -> [PartialFrame] {
    var frames: [PartialFrame] = []
    emitter.close(sequence: sequence, logTime: noon, contributions: Contributions(), into: &frames)
    return frames
  }

  @Test("A tick that is full is closed by the next frame, whenever it comes")
  func fullTick() {
    var emitter = Self.emitter()
    emitter.countMax = 3
    emitter.open(at: noon)
    let end = emitter.end
    for index in 0..<3 as Range<UInt64> {
      #expect((emitter.isPast(noon)) == false)
      emitter.add(PersonUnion(Key128(low: index, high: 1), Key128(low: index, high: 2)))
    }
    #expect((emitter.isPast(noon)) == true)
    #expect(emitter.stateSize.keyCount == 3)
    #expect(Self.close(&emitter, 5).map(\.number) == [1])
    emitter.open(at: noon)
    #expect((emitter.isPast(noon)) == false)
    #expect(emitter.end == end && emitter.stateSize.keyCount == 0)
    emitter.add(PersonUnion(Key128(low: 9, high: 1), Key128(low: 9, high: 2)))
    #expect(Self.close(&emitter, 6).map(\.number) == [2])
  }

  @Test("What waits for a lost partial is named, bounded, and saved once")
  func waiting() throws {
    var emitter = Self.emitter()
    var frames: [PartialFrame] = []
    for index in 0..<6 as Range<UInt64> {
      emitter.open(at: noon)
      emitter.add(PersonUnion(Key128(low: index, high: 1), Key128(low: index, high: 2)))
      frames += Self.close(&emitter, index + 1)
    }
    var intake = PartialIntake(pipelineHash: 1)
    func give(_ frame: PartialFrame) throws {
      try frame.bytes.withUnsafeBytes { bytes in
        let view = try PartialFrameView(bytes)
        switch intake.admit(view.head, checksum: view.checksum) {
        case .take: intake.take(view.head, checksum: view.checksum)
        case .early: try intake.keep(view.head, checksum: view.checksum, bytes)
        case .ignore, .contradiction: break
        }
      }
    }
    for index in [0, 1, 4, 5] { try give(frames[index]) }
    #expect(
      intake.missing
        == PartialIntake.Missing(
          generation: 1, partition: 0, numbers: 3..<5, sequence: 2, waitingCount: 2))
    #expect(intake.stateSize.keyCount == 2)
    func saved(_ isComplete: Bool) -> [UInt8] {
      var writer = SnapshotWriter(kind: isComplete ? .base : .increment, pipelineHash: 1)
      intake.snapshot(isComplete: isComplete, into: &writer)
      return writer.finish()
    }
    let first = saved(false)
    let second = saved(false)
    #expect(second.count < first.count - frames[4].bytes.count)
    try give(frames[2])
    try give(frames[3])
    while let early = intake.nextEarly() {
      try early.withUnsafeBytes {
        let view = try PartialFrameView($0)
        intake.take(view.head, checksum: view.checksum)
      }
    }
    #expect(intake.missing == nil && intake.sources[0].number == 6)
    let third = saved(false)
    let whole = saved(true)
    // Whoever reads all increments has what one that ran through has.
    var restored = PartialIntake(pipelineHash: 1)
    for bytes in [first, second, third] {
      var reader = try SnapshotReader(bytes, pipelineHash: 1)
      try restored.restore(from: &reader)
    }
    intake = restored
    #expect((saved(true) == whole) == true)
  }
}
