import Statistics

/// States of detectors and forecasters, from a store or another process: what was read takes more values.
enum DetectorTarget {
  @Sendable static func run(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    var novelty: NoveltyDetector?
    var rates: RateDetector?
    var hourly: HourlyForecaster?
    do throws(SketchError) { novelty = try NoveltyDetector(encoded: input) } catch {}
    do throws(SketchError) { rates = try RateDetector(encoded: input) } catch {}
    do throws(SketchError) { hourly = try HourlyForecaster(encoded: input) } catch {}
    let plain = novelty
    for step in 0..<30 {
      _ = novelty?.observe(Double(step), at: Int64(step) * 300)
      _ = rates?.observe(impressions: step, clicks: step / 3, at: Int64(step) * 300)
      _ = hourly?.observe(Double(step))
    }
    if let plain {
      let size = plain.encoded().count
      try BrokenLaw.unless(size == input.count, "a detector has one form of bytes")
    }
  }

  static let seeds: [[UInt8]] = [0, 10, 400].flatMap { (count: Int) -> [[UInt8]] in
    do throws(SketchError) {
      var novelty = try NoveltyDetector()
      var rates = try RateDetector(secondsPerBin: 900)
      var hourly = try HourlyForecaster(horizon: 3)
      for step in 0..<count {
        _ = novelty.observe(Double(step % 37), at: Int64(step) * 900)
        _ = rates.observe(impressions: 50 + step % 9, clicks: step % 5, at: Int64(step) * 900)
        _ = hourly.observe(Double(step % 24))
      }
      return [novelty.encoded(), rates.encoded(), hourly.encoded()]
    } catch {
      preconditionFailure("a seed is not a state: \(error)")
    }
  }
}
