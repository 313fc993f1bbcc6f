import Events
import Oracles
import Testing

@testable import Operators

/// What a second stage takes in, under the laws.
final class IntakeSubject: LawSubject {
  struct Input {
    var source: Int
    var bytes: [UInt8]
  }

  private var intake = PartialIntake(pipelineHash: 7)

  func take(_ input: Input, isSilent: Bool, into said: inout Said) throws {
    try input.bytes.withUnsafeBytes { bytes in
      let frame = try PartialFrameView(bytes)
      switch intake.admit(frame.head, checksum: frame.checksum) {
      case .take: take(frame, &said)
      case .early: try intake.keep(frame.head, checksum: frame.checksum, bytes)
      case .ignore: break
      case .contradiction: Issue.record("a copy contradicts what was taken")
      }
    }
    while let early = intake.nextEarly() {
      try early.withUnsafeBytes { bytes in
        let frame = try PartialFrameView(bytes)
        if intake.admit(frame.head, checksum: frame.checksum) == .take { take(frame, &said) }
      }
    }
    said.decisions.append([intake.logTime, Int64(intake.earlyCount)])
  }

  private func take(_ frame: PartialFrameView, _ said: inout Said) {
    let head = frame.head
    intake.take(head, checksum: frame.checksum)
    said.add([Int64(head.partition), Int64(head.number)], [1])
    said.set(
      [Int64(head.partition), -1], [Int64(head.number), head.sourceLogTime])
  }

  func drain(into said: inout Said) {}

  func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    intake.snapshot(isComplete: scope == .everything, into: &writer)
  }

  func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try intake.restore(from: &reader)
  }
}

struct IntakeStory: LawStory {
  private let sourceCount: Int
  private let frames: [IntakeSubject.Input]
  let inputs: [IntakeSubject.Input]

  init(seed: UInt64, law: OperatorLaw) {
    var random = SeededGenerator(seed: seed)
    sourceCount = 1 + random.below(4)
    var frames: [IntakeSubject.Input] = []
    for source in 0..<sourceCount {
      let emitter = EmitterSubject(partition: UInt32(source), of: UInt32(sourceCount))
      for input in EmitterStory(seed: seed &* 10 &+ UInt64(source), law: law).inputs {
        for frame in Self.frames(emitter, input) {
          frames.append(IntakeSubject.Input(source: source, bytes: frame.bytes))
        }
      }
    }
    self.frames = frames
    inputs = Self.arrival(frames, &random)
  }

  private static func frames(
    _ emitter: EmitterSubject, _ input: EmitterSubject.Input
  ) -> [PartialFrame] {
    do {
      return try emitter.take(input)
    } catch {
      preconditionFailure("a frame that was made here can be read: \(error)")
    }
  }

  /// In any order, some twice.
  private static func arrival(
    _ frames: [IntakeSubject.Input], _ random: inout SeededGenerator
  ) -> [IntakeSubject.Input] {
    let copies = frames.filter { _ in random.once(in: 5) }
    return (frames + copies).shuffled(using: &random)
  }

  func make() -> IntakeSubject { IntakeSubject() }

  /// A source is as a person: it has nothing to do with others.
  func inputs(of isIncluded: (Int) -> Bool) -> [IntakeSubject.Input] {
    inputs.filter { isIncluded($0.source) }
  }

  func permuted(_ random: inout SeededGenerator) -> [IntakeSubject.Input] {
    Self.arrival(frames, &random)
  }

  var ending: [IntakeSubject.Input] { [] }
  /// How far each source has come, and how many there are.
  var lastingByteCount: Int { Self.byteCount(sources: sourceCount) }

  /// Of one generation.
  static func byteCount(sources: Int) -> Int {
    8 + (33 + 4 * PartialIntake.rememberedCount) * sources
  }
}
