import Events
import Oracles
import Views

@testable import Operators

/// A site with five campaigns, bin after bin, on a board.
struct IncidentTraffic {
  static let bin: Int64 = 900_000_000
  static let binsPerDay = 96
  /// A Monday.
  static let begin: Int64 = 1_763_942_400 * second

  /// What a tuple's traffic is multiplied by.
  struct Factors {
    var impressions = 1.0
    var clicks = 1.0
    var conversions = 1.0
  }

  var random: SeededGenerator
  var board: IncidentBoard
  var impressions = 200.0
  var clickRate = 0.05
  var campaigns = 5
  /// Bins so far.
  var binCount = 0
  /// The last state of each row.
  var rows: [Int64: IncidentRow] = [:]

  init(seed: UInt64, policy: IncidentPolicy = IncidentPolicy(bin: Self.bin)) {
    random = SeededGenerator(seed: seed)
    board = IncidentBoard(policy: policy)
  }

  var now: Int64 { Self.begin + Int64(binCount) * Self.bin }
  var open: [IncidentRow] { rows.values.filter { $0.end == nil } }

  /// About `mean`, as chance has it.
  private mutating func count(_ mean: Double) -> Int64 {
    var sum = -6.0
    for _ in 0..<12 { sum += Double(random.below(1_000_000)) / 1_000_000 }
    return max(0, Int64((mean + sum * mean.squareRoot()).rounded()))
  }

  /// How many of so many, each by itself with that probability.
  private mutating func count(of all: Int64, _ probability: Double) -> Int64 {
    var count: Int64 = 0
    for _ in 0..<all where Double(random.below(1 << 30)) < probability * Double(1 << 30) {
      count += 1
    }
    return count
  }

  mutating func sums(_ factors: (DimensionTuple) -> Factors) -> [IncidentBoard.Sum] {
    // A day as a triangle: low at midnight.
    let place = Double(binCount % Self.binsPerDay) / Double(Self.binsPerDay)
    let wave = 0.6 + 0.8 * (1 - (2 * place - 1).magnitude)
    var sums: [IncidentBoard.Sum] = []
    for campaign in 0..<campaigns {
      for variant in ["a", "b"] {
        let tuple = DimensionTuple(
          site: "s", campaign: "c\(campaign)", content: "p\(campaign)", variant: variant,
          channel: campaign % 2 == 0 ? "mail" : "web")
        let factor = factors(tuple)
        let views = count(impressions / 2 * wave * factor.impressions)
        let clicks = count(of: views, clickRate * factor.clicks)
        let conversions = count(of: clicks, 0.2 * factor.conversions)
        sums.append(
          (
            tuple.encoded,
            IncidentCounts(impressions: views, clicks: clicks, conversions: conversions)
          ))
      }
    }
    return sums
  }

  /// Closes so many bins.
  mutating func run(
    _ bins: Int, isWhole: Bool = true, remarks: [IncidentBoard.Remark] = [],
    _ factors: (DimensionTuple) -> Factors = { _ in Factors() }
  ) {
    for bin in 0..<bins {
      board.close(
        now, isWhole ? sums(factors) : [], isWhole: isWhole, remarks: bin == 0 ? remarks : [])
      for row in board.takeChanged() { rows[row.id] = row }
      binCount += 1
    }
  }

  /// A week in which nothing happens; what chance makes of it is forgotten.
  mutating func runQuietWeek() {
    run(8 * Self.binsPerDay)
    rows = rows.filter { $0.value.end == nil }
  }

  func remark(_ row: IncidentRow, _ verdict: IncidentFeedback.Verdict, site: String = "s")
    -> IncidentBoard.Remark
  {
    var bytes: [UInt8] = []
    DimensionTuple.append(site, to: &bytes)
    return IncidentBoard.Remark(
      feedback: IncidentFeedback(incident: row.id, verdict: verdict), site: bytes)
  }
}
