import Statistics

/// Bytes of sketches, from a store or another process.
enum SketchTargets {
  static let all: [FuzzTarget] = [
    FuzzTarget("sketch-distinct", seeds: distinctSeeds) { (input) throws(BrokenLaw) in
      let sketch: HyperLogLog
      do throws(SketchError) { sketch = try HyperLogLog(encoded: input) } catch { return }
      let isNumber = sketch.estimate >= 0 && sketch.estimate < .infinity
      try BrokenLaw.unless(isNumber || !sketch.isSparse, "an estimate is a number")
      try same(sketch, sketch.encoded()) { (bytes) throws(SketchError) in
        try HyperLogLog(encoded: bytes)
      }
      try idempotent(sketch)
    },
    FuzzTarget("sketch-quantiles", seeds: quantileSeeds) { (input) throws(BrokenLaw) in
      let sketch: DDSketch
      do throws(SketchError) { sketch = try DDSketch(encoded: input) } catch { return }
      for share in [0, 0.5, 1] {
        let isThere = sketch.quantile(share).map { $0 >= 0 } ?? (sketch.count == 0)
        try BrokenLaw.unless(isThere, "a sketch with values has quantiles")
      }
      try same(sketch, sketch.encoded()) { (bytes) throws(SketchError) in
        try DDSketch(encoded: bytes)
      }
    },
    FuzzTarget("sketch-top", seeds: topSeeds) { (input) throws(BrokenLaw) in
      let sketch: SpaceSaving
      do throws(SketchError) { sketch = try SpaceSaving(encoded: input) } catch { return }
      for entry in sketch.top(10) {
        try BrokenLaw.unless(entry.error < entry.count, "an error is below its count")
      }
      try same(sketch, sketch.encoded()) { (bytes) throws(SketchError) in
        try SpaceSaving(encoded: bytes)
      }
    },
    FuzzTarget("experiment-state", seeds: experimentSeeds, run: experiment),
    FuzzTarget("detector-state", seeds: DetectorTarget.seeds, run: DetectorTarget.run),
  ]

  /// What was read takes more counts, and comes back from its bytes.
  @Sendable private static func experiment(
    _ input: UnsafeRawBufferPointer
  ) throws(BrokenLaw) {
    let more = ArmCounts(visitors: 20, conversions: 3)
    var test: SequentialRateTest?
    var evidence: RateEvidence?
    var monitor: SampleRatioMonitor?
    do throws(SketchError) { test = try SequentialRateTest(encoded: input) } catch {}
    do throws(SketchError) { evidence = try RateEvidence(encoded: input) } catch {}
    do throws(SketchError) { monitor = try SampleRatioMonitor(encoded: input) } catch {}
    do throws(ExperimentError) {
      try test?.add(control: more, treatment: more)
      try evidence?.add(control: more, treatment: more)
      let arms = monitor?.armCount ?? 0
      try monitor?.add(
        visitors: [Int](repeating: 1, count: arms),
        probabilities: [Double](repeating: 1, count: arms))
    } catch {
      throw BrokenLaw("a state takes counts: \(error)")
    }
    let spent = test?.errorSpent ?? 0
    try BrokenLaw.unless(spent <= 1.000_001, "no more error is spent than there is")
  }

  private static func same<Sketch: Equatable>(
    _ sketch: Sketch, _ bytes: [UInt8],
    _ read: (UnsafeRawBufferPointer) throws(SketchError) -> Sketch
  ) throws(BrokenLaw) {
    let again: Sketch? = bytes.withUnsafeBytes { bytes in
      do throws(SketchError) { return try read(bytes) } catch { return nil }
    }
    try BrokenLaw.unless(again == sketch, "a sketch comes back from its bytes")
  }

  private static func idempotent(_ sketch: HyperLogLog) throws(BrokenLaw) {
    var twice = sketch
    do throws(SketchError) { try twice.merge(sketch) } catch {
      throw BrokenLaw("a sketch merges with itself")
    }
    try BrokenLaw.unless(twice == sketch, "a sketch merged with itself is itself")
  }

  // MARK: Seeds

  private static let distinctSeeds: [[UInt8]] = [(4, 3), (4, 60), (5, 9), (14, 40)].map {
    (precision, count) in
    made { () throws(SketchError) in
      var sketch = try HyperLogLog(precision: precision)
      for value in 0..<UInt64(count) { sketch.insert(hash: HyperLogLog.mix(value)) }
      return sketch.encoded()
    }
  }

  private static let quantileSeeds: [[UInt8]] = [0, 1, 30].map { count in
    made { () throws(SketchError) in
      var sketch = try DDSketch(binsMax: 64)
      for value in 0..<count { try sketch.insert(Double(value * value)) }
      return sketch.encoded()
    }
  }

  private static let topSeeds: [[UInt8]] = [0, 1, 30].map { count in
    made { () throws(SketchError) in
      var sketch = try SpaceSaving(capacity: 8)
      for value in 0..<UInt64(count) { sketch.insert(value, count: 1 + value % 7) }
      return sketch.encoded()
    }
  }

  private static let experimentSeeds: [[UInt8]] = [
    experimentBytes { (control, treatment) throws(ExperimentError) in
      var test = SequentialRateTest(spending: try ErrorSpending())
      for _ in 0..<9 { try test.add(control: control, treatment: treatment) }
      return test.encoded()
    },
    experimentBytes { (control, treatment) throws(ExperimentError) in
      var evidence = RateEvidence()
      try evidence.add(control: control, treatment: treatment)
      return evidence.encoded()
    },
    experimentBytes { (_, _) throws(ExperimentError) in
      var monitor = try SampleRatioMonitor(arms: 3)
      try monitor.add(visitors: [5, 6, 4], probabilities: [1, 1, 1])
      return monitor.encoded()
    },
  ]

  private static func experimentBytes(
    _ bytes: (ArmCounts, ArmCounts) throws(ExperimentError) -> [UInt8]
  ) -> [UInt8] {
    do throws(ExperimentError) {
      return try bytes(
        ArmCounts(visitors: 40, conversions: 5), ArmCounts(visitors: 30, conversions: 9))
    } catch {
      preconditionFailure("a seed is not a state: \(error)")
    }
  }

  private static func made(_ bytes: () throws(SketchError) -> [UInt8]) -> [UInt8] {
    do throws(SketchError) { return try bytes() } catch {
      preconditionFailure("a seed is not a sketch: \(error)")
    }
  }
}
