import Oracles
import Statistics
import Testing

@Suite("States of experiments")
struct ExperimentBytesTests {
  /// Any of the three, fed the same way.
  private protocol Fed: Equatable {
    mutating func take(_ control: ArmCounts, _ treatment: ArmCounts) throws
    func encoded() -> [UInt8]
    init(encoded bytes: UnsafeRawBufferPointer) throws(SketchError)
  }

  private struct Sequential: Fed {
    var test: SequentialRateTest
    init() throws { test = SequentialRateTest(spending: try ErrorSpending()) }
    init(encoded bytes: UnsafeRawBufferPointer) throws(SketchError) {
      test = try SequentialRateTest(encoded: bytes)
    }
    mutating func take(_ control: ArmCounts, _ treatment: ArmCounts) throws {
      try test.add(control: control, treatment: treatment)
    }
    func encoded() -> [UInt8] { test.encoded() }
  }

  private struct Evidence: Fed {
    var evidence = RateEvidence()
    init() {}
    init(encoded bytes: UnsafeRawBufferPointer) throws(SketchError) {
      evidence = try RateEvidence(encoded: bytes)
    }
    mutating func take(_ control: ArmCounts, _ treatment: ArmCounts) throws {
      try evidence.add(control: control, treatment: treatment)
    }
    func encoded() -> [UInt8] { evidence.encoded() }
  }

  private struct Ratio: Fed {
    var monitor: SampleRatioMonitor
    init() throws { monitor = try SampleRatioMonitor(arms: 2) }
    init(encoded bytes: UnsafeRawBufferPointer) throws(SketchError) {
      monitor = try SampleRatioMonitor(encoded: bytes)
    }
    mutating func take(_ control: ArmCounts, _ treatment: ArmCounts) throws {
      try monitor.add(
        visitors: [control.visitors, treatment.visitors], probabilities: [0.5, 0.5])
    }
    func encoded() -> [UInt8] { monitor.encoded() }
  }

  /// One is written and read between every two steps, the other never is.
  private static func check<State: Fed>(_ start: State) throws {
    var random = SeededGenerator(seed: 21)
    var plain = start
    var restored = start
    for step in 0..<120 {
      let sizes = (random.count(of: 30, 0.5), random.count(of: 30, 0.5))
      let control = ArmCounts(visitors: sizes.0, conversions: random.count(of: sizes.0, 0.1))
      let treatment = ArmCounts(visitors: sizes.1, conversions: random.count(of: sizes.1, 0.35))
      try plain.take(control, treatment)
      try restored.take(control, treatment)
      let bytes = restored.encoded()
      restored = try bytes.withUnsafeBytes { try State(encoded: $0) }
      #expect(restored == plain, "\(step)")
      #expect(bytes == plain.encoded())
      for length in [0, 1, 2, bytes.count / 3, bytes.count - 1] where step % 40 == 0 {
        #expect(throws: SketchError.self) {
          try Array(bytes.prefix(length)).withUnsafeBytes { try State(encoded: $0) }
        }
      }
    }
  }

  @Test("written and read between every two steps a state is what it would have been")
  func restore() throws {
    try Self.check(Sequential())
    try Self.check(Evidence())
    try Self.check(Ratio())
  }

  @Test("the impossible stays found")
  func impossible() throws {
    var monitor = try SampleRatioMonitor(arms: 2)
    try monitor.add(visitors: [0, 1], probabilities: [1, 0])
    let again = try monitor.encoded().withUnsafeBytes { try SampleRatioMonitor(encoded: $0) }
    #expect(again.isMismatch)
  }
}
