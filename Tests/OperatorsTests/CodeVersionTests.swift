import Dataflow
import Events
import Operators
import Testing
import Views

/// What both stages come to, down to the bytes of their snapshots, is recorded for the code version: results
/// and snapshots of another program are told from those of this one by that number alone.
@Suite struct CodeVersionTests {
  private static let recorded = (
    codeVersion: 5 as Int64, digest: "845941a86ab09dcbcb28ecd802c9b63c"
  )

  @Test("Operators that compute something else, or save it otherwise, have another code version")
  func same() throws {
    let digest = try Self.digest()
    #expect(
      (PipelineSpec.codeVersion == Self.recorded.codeVersion && digest == Self.recorded.digest)
        == true,
      """
      where what is computed or saved has changed, raise PipelineSpec.codeVersion (now \
      \(PipelineSpec.codeVersion), recorded \(Self.recorded.codeVersion)) and record "\(digest)" with it; \
      where nothing was to change, something has
      """)
  }

  private static func digest() throws -> String {
    var hash = SipHash128()
    func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes { hash.update(field: $0) } }
    for shape in [Shape.mixed, .hotKey] {
      for seed in 1...(shape == .mixed ? 12 : 1) as ClosedRange<UInt64> {
        var log = StageLog(shape, seed: seed)
        log.spec.anomalies = IncidentPolicy(bin: minute)
        var frames: [PartialFrame] = []
        for partition in 0..<log.partitions {
          var stage = log.firstStage(partition)
          for (index, entry) in log.entries[partition].enumerated() {
            try stage.take(entry, sequence: UInt64(index + 1))
            frames += stage.takeEmitted()
            if index % 20 == 7 || index == log.entries[partition].count - 1 { save(&stage, add) }
          }
        }
        for frame in frames { add(frame.bytes) }
        var second = log.secondStage()
        for (index, frame) in frames.enumerated() {
          try second.take(frame, sequence: UInt64(index + 1), storedAt: log.end)
          if index % 20 == 7 || index == frames.count - 1 { save(&second, add) }
        }
      }
    }
    return "\(hash.finalize())"
  }

  /// What the stage hands out, and its state before and after that.
  private static func save(_ stage: inout Pipeline, _ add: ([UInt8]) -> Void) {
    add(stage.snapshot(.everything))
    add(Array("\(stage.drainHot())".utf8))
    add(Array("\(stage.drainCommit(includeCoarse: true))".utf8))
    add(stage.snapshot(.everything))
  }
}
