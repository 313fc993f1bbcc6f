import ArgumentParser
import Statistics

/// Recommendations, tested before each visit and taught by it, beside simple and published recommenders.
struct RecommendationQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recommendations",
    abstract: "Whether what people look at next is among ten recommended contents.")

  @OptionGroup var options: QualityOptions

  func run() async throws {
    QualityTable.show(try Self.measure(options.data), json: options.json)
  }

  /// Published for `contentstream`, hit@10 in percent: not measured here.
  static let published: [(name: String, value: Double)] = [
    ("published: SGD factors, recent negatives", 6.1), ("published: ALS, retrained", 6.0),
    ("published: BPR, retrained", 2.9), ("published: EASE, retrained", 7.6),
    ("published: decayed sequence kNN, corrected for popularity", 11.2),
  ]
  /// Simple recommenders are asked before every fourth visit: cosines of whole histories take longest.
  private static let baselineEvery = 4

  /// - Parameter visitsMax: of each stream; fewer for a quick look.
  static func measure(_ path: String, visitsMax: Int = .max) throws -> [QualityTable] {
    let streams = try ContentStream.all(in: DataFolder(path))
    guard !streams.isEmpty else {
      throw QualityError(
        "no table with the columns \(ContentStream.columns.joined(separator: ", ")) below \(path):"
          + " give such a folder with --data DIR")
    }
    return streams.map { stream in
      var run = Run(stream)
      run.run(visitsMax)
      return run.table
    }
  }

  private struct Run {
    let stream: ContentStream
    var recommender = ContentRecommender()
    var baselines: RecommendationBaselines
    var people: [ContentRecommender.Memory]
    var histories: [[ContentRecommender.Visit]]
    var candidates: [Int] = []
    /// A content's number with the recommender; −1 before it is there.
    var numbers: [Int]
    var tests = 0
    var hits = 0
    var baselineTests = 0
    var baselineHits = [Int](repeating: 0, count: RecommendationBaselines.names.count)
    /// Contents that were in somebody's list before anybody had looked at them.
    var early = Set<Int>()
    var lists: [Double] = []
    var updates: [Double] = []
    var context = RankingContext()

    init(_ stream: ContentStream) {
      self.stream = stream
      baselines = RecommendationBaselines(contents: stream.contentCount)
      people = Array(repeating: .init(), count: stream.personCount)
      histories = Array(repeating: [], count: stream.personCount)
      numbers = Array(repeating: -1, count: stream.contentCount)
    }

    mutating func run(_ visitsMax: Int) {
      var next = 0
      for (index, visit) in stream.visits.prefix(visitsMax).enumerated() {
        while next < stream.descriptions.count, stream.descriptions[next].since <= visit.time {
          let description = stream.descriptions[next]
          add(
            description.content,
            .init(
              topics: description.topics, format: description.format, since: description.since))
          next += 1
        }
        let isThere = numbers[visit.content] >= 0
        if !isThere { add(visit.content, .init(since: visit.time)) }
        step(visit, isThere: isThere, withBaselines: index % baselineEvery == 0)
      }
    }

    private mutating func add(_ content: Int, _ facts: ContentRecommender.Content) {
      guard numbers[content] < 0 else { return }
      numbers[content] = recommender.add(facts)
      candidates.append(content)
    }

    private mutating func step(
      _ visit: ContentStream.Visit, isThere: Bool, withBaselines: Bool
    ) {
      var seen = [Bool](repeating: false, count: stream.contentCount)
      for known in histories[visit.person] { seen[Int(known.content)] = true }
      // What was seen before is no test; what nobody could know of is a miss.
      if !seen[visit.content] {
        tests += 1
        let began = CPUTime.thread()
        let list = recommender.list(
          for: people[visit.person], count: 10, at: visit.time, using: &context)
        lists.append(CPUTime.thread() - began)
        if isThere, list.contains(where: { $0.number == numbers[visit.content] }) { hits += 1 }
        for entry in list where recommender.contents[entry.number].visits == 0 {
          early.insert(entry.number)
        }
        if withBaselines {
          baselineTests += 1
          let found = baselines.hits(
            visit.content, history: histories[visit.person], candidates: candidates, seen: seen,
            at: visit.time)
          for (place, isHit) in found.enumerated() where isHit && isThere {
            baselineHits[place] += 1
          }
        }
      }
      let began = CPUTime.thread()
      recommender.visit(
        numbers[visit.content], by: &people[visit.person], weight: 1, at: visit.time)
      updates.append(CPUTime.thread() - began)
      baselines.add(visit.content, history: histories[visit.person], at: visit.time)
      if !seen[visit.content] {
        histories[visit.person].append(
          .init(content: Int32(visit.content), time: visit.time))
      }
    }

    var table: QualityTable {
      let name = stream.name
      var table = QualityTable(
        "Next visits in a list of ten, \(name), \(tests) tests", columns: ["ours", "baseline"])
      let own = 100 * Double(hits) / Double(max(1, tests))
      let measured = baselineHits.map { 100 * Double($0) / Double(max(1, baselineTests)) }
      let isPublished = name == "contentstream"
      let best = max(measured.max() ?? 0, isPublished ? published.map(\.value).max() ?? 0 : 0)
      table.add("rec_\(name)_hit", "hit@10, %", [own], goal: .atLeast(1.15 * best, own))
      for (method, value) in zip(RecommendationBaselines.names, measured) {
        table.add("rec_\(name)_" + method, method, [nil, value])
      }
      if isPublished {
        for (method, value) in published {
          table.add("rec_\(name)_" + method, method, [nil, value])
        }
      }
      let update = 1e6 * updates.reduce(0, +) / Double(max(1, updates.count))
      table.add(
        "rec_\(name)_update_us", "update, µs of processor time", [update],
        goal: .atMost(50, update))
      let list = 1e3 * Self.quantile(lists, 0.99)
      table.add(
        "rec_\(name)_list_ms", "a list, ms, 99 of 100 within", [list], goal: .atMost(5, list))
      table.add(
        "rec_\(name)_early", "contents in lists before their first visit, %",
        [100 * Double(early.count) / Double(max(1, recommender.contents.count))])
      return table
    }

    private static func quantile(_ values: [Double], _ share: Double) -> Double {
      let sorted = values.sorted()
      return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }
  }
}
