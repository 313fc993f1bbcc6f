import ArgumentParser
import Foundation
import Statistics

/// Forecasts of engagement by the hour, beside plain baselines in the same hours.
struct HourlyQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hourly", abstract: "Forecasts of engagement by the hour: errors and intervals.")

  @OptionGroup var options: QualityOptions

  func run() async throws {
    QualityTable.show(try Self.measure(options.data), json: options.json)
  }

  /// Hours that are not judged: two weeks.
  static let learning = 336

  static func measure(_ path: String) throws -> [QualityTable] {
    let corpus = try NABCorpus(path)
    let series = corpus.series.filter { $0.category == "realTweets" }.map(hours)
    guard !series.isEmpty else {
      throw QualityError(
        "no series in a folder realTweets below \(path): give NAB's with --data DIR")
    }
    var table = QualityTable(
      "Scaled error, \(series.count) series by the hour",
      columns: ["ours"] + HourlyBaseline.allCases.map(\.name) + ["SNARIMAX"])
    var intervals = QualityTable("Hours within the 80 % interval, %", columns: ["ours"])
    for horizon in [1, 24] {
      var errors = [Double](repeating: 0, count: 1 + HourlyBaseline.allCases.count)
      var covered = 0.0
      for values in series {
        let ours = try forecasts(values, horizon: horizon)
        errors[0] += scaledError(ours.map { $0?.median }, values)
        for (index, baseline) in HourlyBaseline.allCases.enumerated() {
          errors[index + 1] += scaledError(baseline.forecasts(values, horizon: horizon), values)
        }
        covered += coverage(ours, values)
      }
      errors = errors.map { $0 / Double(series.count) }
      let best = errors.dropFirst().min() ?? .infinity
      let snarimax = horizon == 1 ? snarimaxOneAhead : nil
      table.add(
        "hourly_error_\(horizon)", "\(horizon) ahead", errors + [snarimax],
        goal: .atMost(0.9 * min(best, snarimax ?? best), errors[0]))
      let share = 100 * covered / Double(series.count)
      intervals.add(
        "hourly_coverage_\(horizon)", "\(horizon) ahead", [share], goal: .atLeast(78, share))
      intervals.add(
        "hourly_coverage_most_\(horizon)", "the same", [share], goal: .atMost(84, share))
    }
    return [table, intervals]
  }

  /// river 0.26.1 on the half of NAB in `nab/`: SNARIMAX(1, 0, 0)(1, 0, 0) of 24 hours, the best of seven that were
  /// tried. A day ahead it diverges on three of the five series.
  private static let snarimaxOneAhead = 1.176

  private static func hours(_ series: NABCorpus.Series) -> [Double] {
    guard let first = series.seconds.first, let last = series.seconds.last else { return [] }
    // The last hour is not whole.
    var hours = [Double](repeating: 0, count: Int((last - first) / 3_600))
    for (second, value) in zip(series.seconds, series.values) {
      let hour = Int((second - first) / 3_600)
      if hour < hours.count { hours[hour] += value }
    }
    return hours
  }

  private static func forecasts(
    _ values: [Double], horizon: Int
  ) throws -> [HourlyForecaster.Forecast?] {
    var forecaster = try HourlyForecaster(horizon: horizon)
    var forecasts = [HourlyForecaster.Forecast?](repeating: nil, count: values.count + horizon)
    for (hour, value) in values.enumerated() {
      forecasts[hour + horizon] = forecaster.observe(value)
    }
    return forecasts
  }

  /// Mean absolute error, in units of that of the value a day before in the first two weeks (Hyndman, Koehler 2006).
  private static func scaledError(_ forecasts: [Double?], _ values: [Double]) -> Double {
    var (unit, error) = (0.0, 0.0)
    for hour in 24..<learning { unit += (values[hour] - values[hour - 24]).magnitude }
    for hour in learning..<values.count {
      error += (values[hour] - (forecasts[hour] ?? 0)).magnitude
    }
    return (error / Double(values.count - learning)) / (unit / Double(learning - 24))
  }

  private static func coverage(
    _ forecasts: [HourlyForecaster.Forecast?], _ values: [Double]
  ) -> Double {
    let inside = (learning..<values.count).count { hour in
      forecasts[hour].map { $0.lower <= values[hour] && values[hour] <= $0.upper } ?? false
    }
    return Double(inside) / Double(values.count - learning)
  }
}

/// What a forecast must beat.
enum HourlyBaseline: CaseIterable {
  case weekBefore, dayBefore, weekMean, holtWinters

  var name: String {
    switch self {
    case .weekBefore: "a week ago"
    case .dayBefore: "a day ago"
    case .weekMean: "hour-of-week mean"
    case .holtWinters: "Holt–Winters"
    }
  }

  func forecasts(_ values: [Double], horizon: Int) -> [Double?] {
    switch self {
    case .weekBefore: values.indices.map { $0 >= 168 ? values[$0 - 168] : nil }
    case .dayBefore: values.indices.map { $0 >= 24 ? values[$0 - 24] : nil }
    case .weekMean: Self.weekMeans(values)
    case .holtWinters: Self.holtWinters(values, horizon: horizon)
    }
  }

  /// The last value of the same hour is at least a week, and so the horizon, ago.
  private static func weekMeans(_ values: [Double]) -> [Double?] {
    var sums = [Double](repeating: 0, count: 168)
    return values.indices.map { hour in
      let weeks = hour / 168
      defer { sums[hour % 168] += values[hour] }
      return weeks > 0 ? sums[hour % 168] / Double(weeks) : nil
    }
  }

  /// Additive, of 24 hours; gains 0.3 of the level, 0 of the trend and 0.1 of the season, the best of those tried.
  private static func holtWinters(_ values: [Double], horizon: Int) -> [Double?] {
    guard values.count > 24 else { return [] }
    var level = values[..<24].reduce(0, +) / 24
    var season = values[..<24].map { $0 - level }
    var forecasts = [Double?](repeating: nil, count: values.count + horizon)
    for (hour, value) in values.enumerated() {
      let index = hour % 24
      level += 0.3 * (value - season[index] - level)
      season[index] += 0.1 * (value - level - season[index])
      forecasts[hour + horizon] = max(0, level + season[(hour + horizon) % 24])
    }
    return forecasts
  }
}
