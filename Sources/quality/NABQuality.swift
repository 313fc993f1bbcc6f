import ArgumentParser
import Foundation
import Statistics

/// Anomalies in series of any unit: the Numenta Anomaly Benchmark.
struct NABQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nab", abstract: "Anomalies in series of any unit: Numenta Anomaly Benchmark.")

  @OptionGroup var options: QualityOptions

  @Option(help: "Novelty from which a value is an anomaly.")
  var threshold = NoveltyDetector.defaultThreshold

  @OptionGroup var output: ScoreOutput

  func run() async throws {
    let measured = try Self.measure(options.data, threshold: threshold)
    try output.write(measured.scores)
    QualityTable.show(measured.tables, json: options.json)
  }

  static func measure(
    _ path: String, threshold: Double = NoveltyDetector.defaultThreshold
  ) throws -> (tables: [QualityTable], scores: [String: [Double]]) {
    let corpus = try NABCorpus(path)
    var all = NABScore()
    var market = NABScore()
    var categories: [String: NABScore] = [:]
    var scores: [String: [Double]] = [:]
    var points = 0
    var seconds = 0.0
    for series in corpus.series {
      let started = CPUTime.thread()
      let found = try Self.scores(series, threshold: threshold)
      seconds += CPUTime.thread() - started
      points += found.count
      scores[series.name] = found
      all.add(series.rows, scores: found)
      categories[series.category, default: NABScore()].add(series.rows, scores: found)
      if NABCorpus.market.contains(series.category) { market.add(series.rows, scores: found) }
    }
    var table = QualityTable(
      "NAB, \(corpus.series.count) series, no look-ahead",
      columns: ["ours", "found", "false rows", "ARTime", "HTM", "contextOSE", "KNN-CAD", "river"])
    // What the detector marks, at the threshold that it has.
    let shipped = all.result(NABScore.standard, threshold: threshold)
    table.add(
      "nab_standard", "standard, threshold \(threshold)",
      [
        shipped.score, Double(shipped.found), Double(shipped.falseRows), 75.3, 73.9, 72.2, 55.7,
        40.0,
      ], goal: .atLeast(76, shipped.score))
    let ads = market.result(NABScore.standard, threshold: threshold)
    table.add(
      "nab_ads_and_tweets", "ads and tweets, the same",
      [ads.score, Double(ads.found), Double(ads.falseRows), 79.3], goal: .atLeast(80, ads.score))
    for profile in NABScore.profiles where profile.name != NABScore.standard.name {
      let other = all.result(profile, threshold: threshold)
      table.add(
        "nab_\(profile.name)", "\(profile.name), the same",
        [other.score, Double(other.found), Double(other.falseRows)])
    }
    for (category, score) in categories.sorted(by: { $0.key < $1.key }) {
      let result = score.result(NABScore.standard, threshold: threshold)
      table.add(
        "nab_\(category)", category, [result.score, Double(result.found), Double(result.falseRows)])
    }
    var speed = QualityTable("Speed", columns: ["values/s"])
    let rate = Double(points) / seconds
    speed.add("nab_values_per_second", "one core", [rate], goal: .atLeast(200_000, rate))
    return ([table, speed], scores)
  }

  static func scores(_ series: NABCorpus.Series, threshold: Double) throws -> [Double] {
    var detector = try NoveltyDetector(threshold: threshold)
    var scores: [Double] = []
    scores.reserveCapacity(series.values.count)
    for (value, second) in zip(series.values, series.seconds) {
      scores.append(detector.observe(value, at: second).score)
    }
    return scores
  }
}

/// Series with labelled windows, in the layout of NAB: `windows.json` and the files that it names.
struct NABCorpus {
  struct Series {
    let name: String
    let category: String
    let seconds: [Int64]
    let values: [Double]
    let rows: NABScore.Rows
  }

  static let market: Set<String> = ["realAdExchange", "realTweets"]

  let series: [Series]

  init(_ path: String) throws {
    let folder = try DataFolder(path)
    var series: [Series] = []
    for labels in folder.files(ending: "/windows.json") {
      let root = String(labels.dropLast("/windows.json".count))
      let json = try JSONSerialization.jsonObject(with: Data(DataFolder.bytes(labels)))
      guard let windows = json as? [String: [[String]]] else {
        throw QualityError("\(labels): expected windows as pairs of times by series")
      }
      for (name, edges) in windows.sorted(by: { $0.key < $1.key }) {
        series.append(try Self.read("\(root)/\(name)", name: name, edges: edges))
      }
    }
    guard !series.isEmpty else {
      throw QualityError("no windows.json below \(path): give NAB's folder with --data DIR")
    }
    self.series = series
  }

  private static func read(_ path: String, name: String, edges: [[String]]) throws -> Series {
    var text = try DataText(path)
    let (time, number) = (try text.column("timestamp"), try text.column("value"))
    var seconds: [Int64] = []
    var values: [Double] = []
    while let row = text.row() {
      guard row.count > max(time, number), let second = DataText.second(row[time]) else {
        throw QualityError("\(path), row \(seconds.count + 2): expected a time and a value")
      }
      seconds.append(second)
      values.append(DataText.number(row[number]))
    }
    let windows = try edges.map { pair in
      let ends = pair.map { DataText.second(Array($0.utf8)[...]) }
      guard ends.count == 2, let first = ends[0], let last = ends[1] else {
        throw QualityError("\(name): a window must be two times like 2014-04-10 07:15:00")
      }
      return (first: first, last: last)
    }
    return Series(
      name: name, category: String(name.prefix { $0 != "/" }), seconds: seconds, values: values,
      rows: try NABScore.Rows(seconds: seconds, windows: windows))
  }
}
