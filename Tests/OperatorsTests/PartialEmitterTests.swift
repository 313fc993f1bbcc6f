import Events
import Oracles
import Testing
import Views

@testable import Operators

@Suite("Partial emitter")
struct PartialEmitterTests {
  private static func tuple(_ number: Int) -> DimensionTuple {
    DimensionTuple(site: "s", campaign: "c\(number)")
  }

  private static func input(
    _ sequence: UInt64, at logTime: Int64, _ items: [EmitterSubject.Item] = [],
    after: Int64 = .min
  ) -> EmitterSubject.Input {
    EmitterSubject.Input(
      sequence: sequence, logTime: logTime, items: items.map { (0, $0) },
      before: (sequence - 1, after, []))
  }

  private static let click = EmitterSubject.Item.count(
    kind: .click, time: noon, tuple(1), revenue: 0)

  private static func heads(_ frames: [PartialFrame]) throws -> [PartialFrameHead] {
    try frames.map { frame in try frame.bytes.withUnsafeBytes { try PartialFrameView($0).head } }
  }

  @Test("A tick is closed by the first frame past its end, and says what came before that")
  func tick() throws {
    let emitter = EmitterSubject(partition: 1, of: 3)
    let tick = PartialEmitter.tick
    #expect(try emitter.take(Self.input(1, at: noon, [Self.click])).isEmpty)
    #expect(try emitter.take(Self.input(2, at: noon + tick - 1, after: noon)).isEmpty)
    let frames = try emitter.take(Self.input(3, at: noon + tick, after: noon + tick - 1))
    #expect(
      try Self.heads(frames) == [
        PartialFrameHead(
          pipelineHash: 7, generation: 1, partition: 1, partitionCount: 3, number: 1,
          sourceSequence: 2, sourceLogTime: noon + tick - 1, closesTick: true)
      ])
    #expect(frames[0].messageID.contains("-1-1-1-"))
  }

  @Test("Of a tick without anything time alone is told, once in a second")
  func silence() throws {
    let emitter = EmitterSubject(partition: 0, of: 1)
    var told: [Int64] = []
    var last = Int64.min
    for index in 0..<100 as Range<UInt64> {
      let time = noon + Int64(index) * 100_000
      let frames = try emitter.take(Self.input(index + 1, at: time, after: last))
      told += try Self.heads(frames).map(\.sourceLogTime)
      last = time
    }
    #expect(told.count == 10)
    #expect(zip(told, told.dropFirst()).allSatisfy { $1 - $0 == PartialEmitter.silence })
  }

  @Test("A tick's frames are the same bytes in whatever order its events came")
  func order() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let story = EmitterStory(seed: seed, law: .permutation)
      var said: [[[Int64]]] = []
      for _ in 0..<2 {
        let emitter = story.make()
        var result = Said()
        for input in story.permuted(&random) {
          try emitter.take(input, isSilent: false, into: &result)
        }
        said.append(result.decisions)
      }
      #expect((said[0] == said[1]) == true && !said[0].isEmpty, "seed \(seed)")
    }
  }

  @Test("A large tick is several frames, of which the last one closes it and nothing is lost")
  func large() throws {
    let emitter = EmitterSubject(partition: 0, of: 1)
    let count = 12_000
    let items: [EmitterSubject.Item] = (0..<count).map {
      .count(kind: .view, time: noon, Self.tuple($0), revenue: 0)
    }
    #expect(try emitter.take(Self.input(1, at: noon, items)).isEmpty)
    let frames = try emitter.take(Self.input(2, at: noon + second, after: noon))
    let heads = try Self.heads(frames)
    #expect(heads.count > 2 && heads.map(\.number) == Array(1...UInt64(heads.count)))
    #expect(heads.map(\.closesTick) == heads.indices.map { $0 == heads.count - 1 })
    #expect(frames.allSatisfy { $0.bytes.count < 2 * PartialFrameEncoder.byteCountMax })
    var paneCount = 0
    for frame in frames {
      paneCount += try frame.bytes.withUnsafeBytes { try PartialFrameView($0).paneCount }
    }
    #expect(paneCount == count)
  }

  @Test("The end of a source closes its tick, though it holds nothing")
  func last() throws {
    var emitter = PartialEmitter(
      pipelineHash: 7, generation: 1, partition: 0, partitionCount: 1, paneLength: second)
    emitter.open(at: noon)
    #expect(!emitter.isHolding && emitter.end == noon + PartialEmitter.tick)
    var frames: [PartialFrame] = []
    emitter.close(
      sequence: 1, logTime: noon, contributions: Contributions(), isLast: true, into: &frames)
    let heads = try Self.heads(frames)
    #expect(heads.count == 1 && heads.allSatisfy { $0.isLast && $0.closesTick })
  }
}
