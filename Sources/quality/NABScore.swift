import Foundation

/// The score of the Numenta Anomaly Benchmark 1.1 (Lavin, Ahmad 2015).
///
/// The first 15 % of the rows, at most 750, are not scored. A labelled window counts +1 at its begin down to 0 at
/// its end for the best detection inside, and −A_FN without; a detection outside costs up to A_FP, the more the
/// further it is behind the last window. 0 is a detector that finds nothing, 100 one that finds all at once.
struct NABScore {
  struct Profile {
    let name: String
    let missed: Double
    let falseAlarm: Double
  }

  static let standard = Profile(name: "standard", missed: 1, falseAlarm: 0.11)
  static let profiles = [
    standard, Profile(name: "low_fp", missed: 1, falseAlarm: 0.22),
    Profile(name: "low_fn", missed: 2, falseAlarm: 0.11),
  ]

  struct Result {
    var score = 0.0
    var threshold = 0.0
    var found = 0
    var falseRows = 0
  }

  /// Rows of one series that count: what window they are in, and what a detection there is worth.
  struct Rows {
    /// −1 outside of the windows; nothing in the probation.
    private(set) var window: [Int?]
    private(set) var value: [Double]
    let windowCount: Int

    init(seconds: [Int64], windows: [(first: Int64, last: Int64)]) throws {
      let count = seconds.count
      window = Array(repeating: -1, count: count)
      value = Array(repeating: -1, count: count)
      windowCount = windows.count
      var ranges: [(left: Int, right: Int)] = []
      for edges in windows {
        guard let left = seconds.firstIndex(of: edges.first),
          let right = seconds.firstIndex(of: edges.last)
        else { throw QualityError("a window of windows.json has no rows in its series") }
        ranges.append((left, right))
      }
      for (index, range) in ranges.enumerated() {
        let width = Double(range.right - range.left + 1)
        for row in range.left...range.right {
          window[row] = index
          value[row] = Self.worth(-Double(range.right - row + 1) / width) / Self.worth(-1)
        }
        let end = index + 1 < ranges.count ? ranges[index + 1].left : count
        for row in stride(from: range.right + 1, to: end, by: 1) {
          value[row] = Self.worth(Double(row - range.right) / (width - 1))
        }
      }
      for row in 0..<min(Int(0.15 * Double(count)), 750, count) { window[row] = nil }
    }

    private static func worth(_ position: Double) -> Double {
      position > 3 ? -1 : 2 / (1 + exp(5 * position)) - 1
    }
  }

  private struct Detection {
    let score: Double
    let series: Int
    let window: Int
    let value: Double
  }

  private var detections: [Detection] = []
  private var windowsTotal = 0
  private var scoredWindows: [Set<Int>] = []

  mutating func add(_ rows: Rows, scores: [Double]) {
    windowsTotal += rows.windowCount
    var scored: Set<Int> = []
    for (index, window) in rows.window.enumerated() {
      guard let window else { continue }
      if window >= 0 { scored.insert(window) }
      if scores[index] > 0 {
        detections.append(
          Detection(
            score: scores[index], series: scoredWindows.count, window: window,
            value: rows.value[index]))
      }
    }
    scoredWindows.append(scored)
  }

  /// - Parameter threshold: Nothing: the one with the best score, one for all series.
  func result(_ profile: Profile, threshold: Double? = nil) -> Result {
    let scored = scoredWindows.map(\.count).reduce(0, +)
    let perfect = Double(windowsTotal) + profile.missed * Double(scored)
    var best = Result(threshold: .infinity)
    var now = best
    var sum = 0.0
    var worth = scoredWindows.map { _ in [Int: Double]() }
    let sorted = detections.sorted { $0.score > $1.score }
    for (index, one) in sorted.enumerated() {
      if let threshold, one.score < threshold { break }
      if one.window >= 0 {
        let before = worth[one.series][one.window]
        if before == nil { now.found += 1 }
        if one.value > before ?? -profile.missed {
          sum += one.value - (before ?? -profile.missed)
          worth[one.series][one.window] = one.value
        }
      } else {
        sum += profile.falseAlarm * one.value
        now.falseRows += 1
      }
      now.threshold = one.score
      now.score = perfect > 0 ? 100 * sum / perfect : 0
      let isLast = index + 1 == sorted.count || sorted[index + 1].score < one.score
      if isLast, now.score > best.score { best = now }
    }
    guard let threshold else { return best }
    now.threshold = threshold
    return now
  }
}
