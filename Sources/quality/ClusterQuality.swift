import ArgumentParser
import Statistics

/// Streams made from labelled sets: the clusters that are kept up while points come, beside batch k-means++ with all
/// of them at hand.
struct ClusterQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clusters",
    abstract: "Clusters of labelled streams and whether names stay, beside batch k-means++.")

  @OptionGroup var options: QualityOptions

  func run() async throws {
    QualityTable.show(try Self.measure(options.data), json: options.json)
  }

  /// Of the batch solution, as scikit-learn's default was for long.
  private static let restarts = 10
  /// A row is one draw of seeds; the figures are means, as single solutions differ by some hundredths.
  private static let seeds: [UInt64] = Array(1...10)
  static let sampleMax = 8_192
  static let refreshEvery = 2_000

  static func measure(_ path: String) throws -> [QualityTable] {
    let sets = try LabelledSet.find(in: DataFolder(path))
    guard !sets.isEmpty else {
      throw QualityError(
        "no CSV file with the columns y, … below \(path): give one with --data DIR")
    }
    var agreement = QualityTable(
      "Adjusted Rand index, whole stream, mean of \(seeds.count) seeds",
      columns: ["ours", "k-means++", "as they came"])
    var names = QualityTable(
      "People that keep their segment's name, %",
      columns: ["same people", "others of the same", "while growing"])
    for set in sets {
      let runs = seeds.map { run(set, seed: $0) }
      func mean(_ figure: (Run) -> Double) -> Double {
        runs.reduce(0) { $0 + figure($1) } / Double(runs.count)
      }
      let batch = mean(\.batch)
      agreement.add(
        "clusters_ari_\(set.name)",
        "\(set.name), \(set.points.count) × \(set.points.width), "
          + "\(set.classCount) classes", [mean(\.ours), batch, mean(\.online)],
        goal: .atLeast(batch - 0.02, mean(\.ours)))
      let kept = 100 * mean(\.kept)
      let others = 100 * mean(\.keptByOthers)
      names.add(
        "clusters_kept_\(set.name)", set.name, [kept, others, 100 * mean(\.growing)],
        goal: .atLeast(95, min(kept, others)))
    }
    return [agreement, names]
  }

  struct Run {
    var ours = 0.0
    var batch = 0.0
    var online = 0.0
    var kept = 0.0
    var keptByOthers = 0.0
    var growing = 0.0
  }

  static func run(_ set: LabelledSet, seed: UInt64) -> Run {
    var run = Run()
    var clusters = StableClusters(clusterCount: set.classCount, seed: seed)
    var sample = HashSample(countMax: sampleMax)
    var growing: [Double] = []
    var online: [(cluster: Int, label: Int)] = []
    for index in 0..<set.points.count {
      sample.offer(hash: hash(index, seed), place: index)
      if (index + 1).isMultiple(of: refreshEvery) {
        let isFirst = clusters.clusters.isEmpty
        clusters.refresh(set.points(sample), of: index + 1)
        if !isFirst { growing.append(clusters.kept) }
      }
      if let place = clusters.place(of: Array(set.points[index])) {
        online.append((clusters.clusters[place].name, set.labels[index]))
      }
    }
    clusters.refresh(set.points(sample), of: set.points.count)
    run.growing = growing.isEmpty ? 1 : growing.reduce(0, +) / Double(growing.count)
    run.online = AdjustedRand.index(online.map(\.cluster), online.map(\.label))
    let places = clusters.places(of: set.points) ?? []
    run.ours = AdjustedRand.index(places, set.labels)

    // Refreshed without change: of the same sample, and of another one of the same people.
    let before = places.map { clusters.clusters[$0].name }
    func kept(_ sample: HashSample) -> Double {
      var next = clusters
      next.refresh(set.points(sample), of: set.points.count)
      let after = (next.places(of: set.points) ?? []).map { next.clusters[$0].name }
      return Double(zip(before, after).count { $0 == $1 }) / Double(max(1, before.count))
    }
    run.kept = kept(sample)
    var other = HashSample(countMax: sampleMax)
    for index in 0..<set.points.count { other.offer(hash: hash(index, ~seed), place: index) }
    run.keptByOthers = kept(other)

    var draws = Draws(seed: seed)
    let batch = KMeans.best(
      of: restarts, PointScale(of: set.points).standardized(set.points),
      clusters: set.classCount, &draws)
    run.batch = AdjustedRand.index(batch.assignments, set.labels)
    return run
  }

  private static func hash(_ index: Int, _ seed: UInt64) -> UInt64 {
    var random = SplitMix64(seed: seed &* 0x9e37_79b9 ^ UInt64(index))
    return random.next()
  }
}

/// Points with the class that each is of, in the order of their file.
struct LabelledSet {
  let name: String
  let points: PointTable
  let labels: [Int]
  let classCount: Int

  /// Files whose first column is `y`.
  static func find(in folder: DataFolder) throws -> [LabelledSet] {
    let files = folder.files.filter { $0.hasSuffix(".csv") || $0.hasSuffix(".csv.gz") }
    return try files.compactMap { file in
      var text = try DataText(file)
      guard text.columns.first == "y", text.columns.count > 1 else { return nil }
      var values: [Double] = []
      var labels: [Int] = []
      var numbers: [String: Int] = [:]
      while let row = text.row() {
        let cells = row.dropFirst().map(DataText.number)
        guard cells.count == text.columns.count - 1, cells.allSatisfy(\.isFinite) else {
          throw QualityError("\(file) has a row that is damaged, after \(labels.count) others")
        }
        values += cells
        let label = String(decoding: row[row.startIndex], as: UTF8.self)
        labels.append(numbers[label, default: numbers.count])
        numbers[label] = labels.last
      }
      let base = file.split(separator: "/").last ?? ""
      return LabelledSet(
        name: base.split(separator: ".").first.map(String.init) ?? file,
        points: PointTable(width: text.columns.count - 1, values: values), labels: labels,
        classCount: numbers.count)
    }
  }

  func points(_ sample: HashSample) -> PointTable {
    var table = PointTable(width: points.width)
    for member in sample.members { table.append(points[member.place]) }
    return table
  }
}
