/// What a count is expected to be: a level that drifts and a seasonal profile, learned from counts alone.
///
/// A dynamic log-linear model (West, Harrison, Migon 1985, "Dynamic generalized linear models and Bayesian
/// forecasting") of the logarithm of a rate on ``Harmonics``, updated by one step of the extended Kalman filter
/// per count. The variance of a count with mean μ is μ + φμ² (negative binomial), where φ follows the squared residuals
/// with a memory of ten days. What a single count can move is limited (Huber 1964): to three deviations, upwards with two
/// events more, since small counts are skewed to there.
///
/// Cost: a matrix of n² for n regressors, 13 or 5; 0.1 to 0.3 µs and 8·(n² + n) bytes. Fails where a profile has
/// corners (a shop that opens at nine), which few waves round off, until φ has learned of it.
struct CountModel: Sendable, Equatable {
  struct Drift: Sendable, Equatable {
    /// Deviation of the logarithm's level after a day, and of each wave.
    let level: Double
    let wave: Double
    /// Of each wave at the start.
    let waveStart: Double
  }

  private static let clip = 3.0
  private static let clipEvents = 2.0
  private static let dispersionDays = 10.0
  private static let dispersionMin = 1e-4
  /// The variance of the logarithm of the mean above which residuals tell of ignorance, not of dispersion.
  private static let ignoranceMax = 0.3

  private let daily: Int
  private let weekly: Int
  private let drift: Drift
  private let size: Int
  private var weights: [Double]
  /// Row by row.
  private var covariance: [Double]
  private var x: [Double]
  /// Covariance times x.
  private var direction: [Double]
  private(set) var dispersion: Double
  private var dispersionCount: Double
  /// Of the last prediction: the mean for one unit of exposure, and the variance of its logarithm.
  private(set) var rate = 0.0
  private(set) var ignorance = 0.0

  init(daily: Int, weekly: Int, drift: Drift, levelVariance: Double, dispersion: Double) {
    self.daily = daily
    self.weekly = weekly
    self.drift = drift
    self.dispersion = dispersion
    dispersionCount = 20
    size = 1 + 2 * daily + 2 * weekly
    weights = Array(repeating: 0, count: size)
    covariance = Array(repeating: 0, count: size * size)
    x = weights
    direction = weights
    for index in 0..<size {
      covariance[index * size + index] = drift.waveStart * drift.waveStart
    }
    covariance[0] = levelVariance
  }

  /// Sets the logarithm of the rate that is expected before anything was seen.
  mutating func start(logRate: Double) { weights[0] = logRate }

  /// Expects the rate at a time so many days after the last one.
  mutating func predict(at waves: Harmonics, days: Double) {
    covariance[0] += drift.level * drift.level * days
    let wave = drift.wave * drift.wave * days
    for index in 1..<size { covariance[index * size + index] += wave }
    waves.fill(&x, daily: daily, weekly: weekly)
    var logRate = 0.0
    var variance = 0.0
    covariance.withUnsafeBufferPointer { p in
      x.withUnsafeBufferPointer { x in
        direction.withUnsafeMutableBufferPointer { direction in
          for row in 0..<size {
            var sum = 0.0
            for column in 0..<size { sum += p[row * size + column] * x[column] }
            direction[row] = sum
            variance += sum * x[row]
          }
        }
      }
    }
    for index in 0..<size { logRate += weights[index] * x[index] }
    rate = Elementary.exp(min(logRate, 25))
    ignorance = variance
  }

  /// Learns from a count at the predicted time.
  ///
  /// - Parameters:
  ///   - exposure: The mean is this times ``rate``.
  ///   - weight: Less than 1 while the count is suspect.
  ///   - isNormal: Whether the dispersion may learn from it.
  mutating func learn(
    _ count: Double, exposure: Double, weight: Double, isNormal: Bool, binsPerDay: Double
  ) {
    let mean = max(exposure * rate, 1e-9)
    let noise = 1 / mean + dispersion
    let residual = (count - mean) / mean
    let deviation = (noise + ignorance).squareRoot()
    let limit = Self.clip * deviation + (residual > 0 ? Self.clipEvents / mean : 0)
    var gain = weight / (ignorance + noise)
    if residual.magnitude > limit { gain *= limit / residual.magnitude }
    for index in 0..<size { weights[index] += gain * direction[index] * residual }
    covariance.withUnsafeMutableBufferPointer { p in
      direction.withUnsafeBufferPointer { d in
        for row in 0..<size {
          let step = gain * d[row]
          for column in 0..<size { p[row * size + column] -= step * d[column] }
        }
      }
    }
    guard isNormal, ignorance < Self.ignoranceMax else { return }
    dispersionCount = min(dispersionCount + 1, Self.dispersionDays * binsPerDay)
    let bounded = min(max(residual, -4 * deviation), 4 * deviation)
    // Below one event a residual knows nothing but that there was none.
    let share = min(1, mean) / dispersionCount
    dispersion += (bounded * bounded - 1 / mean - ignorance - dispersion) * share
    dispersion = max(dispersion, Self.dispersionMin)
  }

  /// Believes that the level is another one now: a shift that stayed is no anomaly any more.
  mutating func loosen() { covariance[0] += 0.05 }

  func write(to writer: inout SketchWriter) {
    for value in weights { writer.put(value) }
    for row in 0..<size {
      for column in 0..<size { writer.put(covariance[row * size + column]) }
    }
    writer.put(dispersion)
    writer.put(dispersionCount)
  }

  mutating func read(_ reader: inout SketchReader) throws(SketchError) {
    for index in 0..<size { weights[index] = try reader.double("weight") }
    for index in 0..<size * size { covariance[index] = try reader.double("covariance") }
    dispersion = try reader.double("dispersion")
    dispersionCount = try reader.double("dispersion's count")
  }
}
