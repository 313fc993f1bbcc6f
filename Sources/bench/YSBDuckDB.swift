import Foundation

/// The same query on the same file by DuckDB, in a process of its own; its time is that of the query
/// alone.
enum YSBDuckDB {
  struct Result {
    var counts = YSBCounts()
    /// Seconds.
    var wall = 0.0
    /// Seconds of processor time.
    var cpu = 0.0
  }

  static func run(
    _ workload: YSBWorkload, lines: String, home: String, threads: Int
  ) throws -> Result {
    let ads = "\(home)/ysb-ads.csv"
    let facts = workload.ads.enumerated().map { ad, name in
      "\(name),\(workload.campaigns[workload.campaign(ofAd: ad)])\n"
    }
    try ("ad_id,campaign\n" + facts.joined()).write(
      toFile: ads, atomically: true, encoding: .utf8)
    let output = try Shell.run([
      ".venv/bin/python3", "Scripts/ysb_duckdb.py", lines, ads, "\(threads)",
    ])
    let numbers = Dictionary(
      uniqueKeysWithValues: workload.campaigns.enumerated().map { ($1, $0) })
    var result = Result()
    for line in output.split(separator: "\n") {
      let fields = line.split(separator: " ")
      if fields.first == "#", fields.count >= 3, let wall = Double(fields[1]),
        let cpu = Double(fields[2])
      {
        (result.wall, result.cpu) = (wall, cpu)
      } else if fields.count == 3, let campaign = numbers[String(fields[0])],
        let start = Int64(fields[1]), let views = Int64(fields[2])
      {
        result.counts.add(startMs: start, campaign: campaign, views)
      } else {
        throw BenchError("DuckDB's answer has a line that is not one: \(line)")
      }
    }
    return result
  }
}
