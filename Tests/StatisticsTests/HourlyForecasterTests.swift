import Foundation
import Oracles
import Statistics
import Testing

@Suite("Forecasts by the hour")
struct HourlyForecasterTests {
  /// A week's profile with noise of a tenth.
  private static func counts(_ hours: Int, seed: UInt64) -> [Double] {
    var random = SeededGenerator(seed: seed)
    return (0..<hours).map { hour in
      let profile = 200 + 150 * sin(Double(hour) * 2 * .pi / 24) + (hour % 168 < 48 ? 100 : 0)
      return (profile * (0.9 + 0.002 * Double(random.below(101)))).rounded()
    }
  }

  @Test("a profile is learned in three weeks, and the interval covers 80 %", arguments: [1, 5, 24])
  func profile(horizon: Int) throws {
    var forecaster = try HourlyForecaster(horizon: horizon)
    let counts = Self.counts(2_000, seed: 4)
    var made = [HourlyForecaster.Forecast?](repeating: nil, count: counts.count + horizon)
    for (hour, count) in counts.enumerated() { made[hour + horizon] = forecaster.observe(count) }
    var (error, total, covered) = (0.0, 0.0, 0)
    for hour in 500..<2_000 {
      let forecast = try #require(made[hour])
      error += abs(forecast.median - counts[hour])
      total += counts[hour]
      covered += forecast.lower <= counts[hour] && counts[hour] <= forecast.upper ? 1 : 0
    }
    // The noise alone is a twentieth.
    #expect(error / total < 0.08)
    #expect((0.77...0.84).contains(Double(covered) / 1_500))
  }

  @Test("fifty times as many in one hour do not double the forecasts of later days")
  func spike() throws {
    var counts = Self.counts(900, seed: 5)
    var plain = try HourlyForecaster(horizon: 24)
    var spiked = plain
    var largest = 0.0
    for hour in counts.indices {
      let right = plain.observe(counts[hour])
      if hour == 700 { counts[hour] *= 50 }
      let other = spiked.observe(counts[hour])
      if hour > 710 { largest = max(largest, other.median / right.median) }
    }
    #expect(largest < 2)
  }

  @Test("missing hours are passed over")
  func missing() throws {
    let counts = Self.counts(1_000, seed: 6)
    var forecaster = try HourlyForecaster(horizon: 1)
    var forecast: HourlyForecaster.Forecast?
    for hour in 0..<1_000 {
      if hour == 999 {
        let made = try #require(forecast)
        #expect(abs(made.median / counts[hour] - 1) < 0.3)
      }
      forecast = forecaster.observe((900..<960).contains(hour) ? nil : counts[hour])
    }
  }

  @Test("written and read between every two hours it is the same")
  func bytes() throws {
    var plain = try HourlyForecaster(horizon: 6)
    var restored = plain
    for count in Self.counts(400, seed: 8) {
      #expect(plain.observe(count) == restored.observe(count))
      restored = try restored.encoded().withUnsafeBytes { (bytes) throws(SketchError) in
        try HourlyForecaster(encoded: bytes)
      }
      #expect(restored == plain)
    }
  }

  @Test("a horizon beyond a day is refused", arguments: [0, 25])
  func horizons(horizon: Int) {
    #expect(throws: SketchError.self) { try HourlyForecaster(horizon: horizon) }
  }
}
