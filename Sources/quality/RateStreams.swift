import Foundation

/// Streams of impressions and clicks with labelled incidents: `meta.json` and a file `NAME.csv.gz` each.
struct RateStreams {
  struct Stream {
    let name: String
    let minutesPerBin: Int
    let probation: Int
    let incidents: [(kind: String, first: Int, last: Int)]
    let impressions: [Int]
    let clicks: [Int]

    var binsPerDay: Int { 1_440 / minutesPerBin }
  }

  struct Result {
    var recall = 0.0
    var falsePerWeek = 0.0
    var medianDelay = 0.0
    var byKind: [String: (found: Int, of: Int)] = [:]
  }

  let streams: [Stream]

  init(_ path: String) throws {
    let folder = try DataFolder(path)
    var streams: [Stream] = []
    for meta in folder.files(ending: "/meta.json") {
      let root = String(meta.dropLast("/meta.json".count))
      let json = try JSONSerialization.jsonObject(with: Data(DataFolder.bytes(meta)))
      guard let all = json as? [String: [String: Any]],
        all.values.contains(where: { $0["step_min"] != nil })
      else { continue }
      for (name, about) in all.sorted(by: { $0.key < $1.key }) {
        streams.append(try Self.read("\(root)/\(name).csv.gz", name: name, about: about))
      }
    }
    guard !streams.isEmpty else {
      throw QualityError("no meta.json of streams below \(path): give their folder with --data DIR")
    }
    self.streams = streams
  }

  private static func read(_ path: String, name: String, about: [String: Any]) throws -> Stream {
    guard let step = about["step_min"] as? Int, let probation = about["probation"] as? Int,
      let windows = about["windows"] as? [[String: Any]]
    else { throw QualityError("\(name) of meta.json lacks step_min, probation or windows") }
    let incidents = try windows.map { window in
      guard let first = window["start"] as? Int, let last = window["end"] as? Int else {
        throw QualityError("\(name) of meta.json: a window lacks start or end")
      }
      return (kind: window["kind"] as? String ?? "incident", first: first, last: last)
    }
    var text = try DataText(path)
    let (views, clicks) = (try text.column("imp"), try text.column("clk"))
    var stream = (impressions: [Int](), clicks: [Int]())
    while let row = text.row() {
      stream.impressions.append(Int(DataText.number(row[views])))
      stream.clicks.append(Int(DataText.number(row[clicks])))
    }
    return Stream(
      name: name, minutesPerBin: step, probation: probation, incidents: incidents,
      impressions: stream.impressions, clicks: stream.clicks)
  }

  /// An alarm is the onset of a run of bins at the threshold, with at most three bins between; a run that stays up counts
  /// again each day. False is one outside of all incidents and of the quarter of a day behind them.
  func evaluate(_ scores: [[Double]], threshold: Double) -> Result {
    var result = Result()
    var delays: [Double] = []
    var (total, falseAlarms, weeks) = (0, 0, 0.0)
    for (stream, scores) in zip(streams, scores) {
      let day = stream.binsPerDay
      weeks += Double(scores.count - stream.probation) / Double(7 * day)
      let onsets = Self.onsets(scores, stream.probation, threshold, day)
      var near = [Bool](repeating: false, count: scores.count)
      for incident in stream.incidents {
        let last = min(scores.count - 1, incident.last)
        guard last >= stream.probation else { continue }
        for bin in incident.first...min(scores.count - 1, last + max(3, day / 4)) {
          near[bin] = true
        }
        total += 1
        result.byKind[incident.kind, default: (0, 0)].of += 1
        if let first = onsets.first(where: { incident.first <= $0 && $0 <= last }) {
          delays.append(Double(first - incident.first) / Double(last - incident.first + 1))
          result.byKind[incident.kind]?.found += 1
        }
      }
      falseAlarms += onsets.count { !near[$0] }
    }
    delays.sort()
    result.recall = Double(delays.count) / Double(max(1, total))
    result.falsePerWeek = Double(falseAlarms) / weeks
    if !delays.isEmpty {
      result.medianDelay = (delays[(delays.count - 1) / 2] + delays[delays.count / 2]) / 2
    }
    return result
  }

  private static func onsets(
    _ scores: [Double], _ probation: Int, _ threshold: Double, _ day: Int
  ) -> [Int] {
    var onsets: [Int] = []
    var last = -10
    var onset = -1_000_000_000
    for bin in stride(from: probation, to: scores.count, by: 1) where scores[bin] >= threshold {
      if bin - last > 3 || bin - onset >= day {
        onsets.append(bin)
        onset = bin
      }
      last = bin
    }
    return onsets
  }
}
