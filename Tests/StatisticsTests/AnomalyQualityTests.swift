import Foundation
import Testing

@testable import quality

/// Figures on the data beside the project, a little below what was measured: what falls below has become worse.
@Suite(
  "Quality of anomalies and forecasts", .enabled(if: SharedData.folder != nil, SharedData.absent))
struct AnomalyQualityTests {
  private static func figures(_ tables: [QualityTable]) throws -> [String: Double] {
    let text = "{" + tables.flatMap(\.members).joined(separator: ",") + "}"
    let json = try JSONSerialization.jsonObject(with: Data(text.utf8))
    return try #require(json as? [String: Double])
  }

  @Test("the Numenta Anomaly Benchmark has at least 76 without a look ahead")
  func nab() throws {
    let folder = try #require(SharedData.folder)
    let figures = try Self.figures(NABQuality.measure(folder).tables)
    #expect(try #require(figures["nab_standard"]) >= 76)
    #expect(try #require(figures["nab_ads_and_tweets"]) >= 78)
  }

  @Test("85 % of the incidents in streams are found at one false alarm a week")
  func streams() throws {
    let folder = try #require(SharedData.folder)
    let figures = try Self.figures(RateStreamQuality.measure(folder).tables)
    #expect(try #require(figures["ctrstream_recall"]) >= 0.85)
    #expect(try #require(figures["ctrstream_false_per_week"]) <= 1)
    #expect(try #require(figures["ctrstream_median_delay"]) <= 0.25)
  }

  @Test("forecasts by the hour are a tenth better than the best baseline")
  func hourly() throws {
    let folder = try #require(SharedData.folder)
    let tables = try HourlyQuality.measure(folder)
    for table in tables { #expect(table.isMet) }
  }
}

@Suite("Scores of anomaly benchmarks")
struct AnomalyScoreTests {
  /// 200 rows of which the first 30 are the probation, with a window over rows 100 to 119.
  private static func rows() throws -> NABScore.Rows {
    try NABScore.Rows(
      seconds: (0..<200).map { Int64($0) * 60 }, windows: [(first: 6_000, last: 7_140)])
  }

  private static func score(_ detections: [Int: Double]) throws -> Double {
    var score = NABScore()
    score.add(try rows(), scores: (0..<200).map { detections[$0] ?? 0 })
    return score.result(NABScore.standard, threshold: 0.5).score
  }

  /// By the reference program of the data folder.
  @Test(
    "a detection is worth what the definition says",
    arguments: [
      ([:], 0), ([100: 1], 100), ([110: 1], 92.990), ([119: 1], 56.302),
      ([110: 1, 100: 1], 100), ([10: 1], 0), ([50: 1], -5.5), ([100: 0.4], 0),
      ([100: 1, 121: 1], 98.585),
    ] as [([Int: Double], Double)])
  func worth(detections: [Int: Double], expected: Double) throws {
    #expect(abs(try Self.score(detections) - expected) < 0.001)
  }
}
