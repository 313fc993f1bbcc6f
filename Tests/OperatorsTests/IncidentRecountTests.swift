import Events
import Oracles
import Testing
import Views

@testable import Operators
@testable import Verification

/// The board of incidents beside the recount that `verify` trusts, which knows nothing of it.
@Suite("Incidents beside their recount")
struct IncidentRecountTests {
  /// Random bins of an hour in which something goes on most of the time, taken in by both.
  private struct SideBySide {
    static let begin = IncidentPolicy.floor(noon, hour)

    let policy: IncidentPolicy
    var random: SeededGenerator
    var board: IncidentBoard
    var recount: NaiveIncidents
    var rows: [Int64: IncidentRow] = [:]
    var start = begin
    private let tuples: [DimensionTuple]
    /// What goes on, and for how many bins still.
    private var trouble: (kind: Int, campaign: String, variant: String, left: Int) = (0, "", "", 0)

    init(seed: UInt64, keyCountMax: Int) {
      var random = SeededGenerator(seed: seed)
      var policy = IncidentPolicy(bin: hour, keyCountMax: keyCountMax, threshold: 3)
      policy.watchesCampaigns = !random.once(in: 5)
      policy.watchesContents = !random.once(in: 5)
      tuples = (0..<60).map { number in
        DimensionTuple(
          site: random.once(in: 8) ? "t" : "s",
          campaign: random.once(in: 10) ? "" : "c\(random.below(5))",
          content: random.once(in: 10) ? "" : "p\(random.below(4))",
          variant: random.once(in: 3) ? "v\(number)" : random.pick(["a", "b"]),
          channel: random.pick(["", "mail", "web"]))
      }
      self.policy = policy
      board = IncidentBoard(policy: policy)
      recount = NaiveIncidents(policy)
      self.random = random
    }

    mutating func closeBin() {
      if trouble.left == 0 {
        trouble = (
          random.below(8), "c\(random.below(5))", random.pick(["a", "b"]), 1 + random.below(20)
        )
      }
      trouble.left -= 1
      var sums: [[UInt8]: SIMD3<Int64>] = [:]
      for tuple in tuples where !random.once(in: 12) {
        sums[tuple.encoded, default: .zero] &+= counts(tuple)
      }
      let isKnown = !random.once(in: 40)
      let remarks = Set((0..<random.below(4) / 3).compactMap { _ in remark() })
      board.close(
        start,
        sums.map {
          (
            $0.key,
            IncidentCounts(impressions: $0.value.x, clicks: $0.value.y, conversions: $0.value.z)
          )
        }.shuffled(using: &random), isWhole: isKnown,
        remarks: remarks.map { IncidentBoard.Remark(feedback: $0.feedback, site: $0.site) })
      for row in board.takeChanged() { rows[row.id] = row }
      recount.close(start, sums, isKnown: isKnown, remarks: remarks)
      // Now and then nothing comes for more than a week.
      start += random.once(in: 150) ? 8 * day : hour
    }

    private mutating func counts(_ tuple: DimensionTuple) -> SIMD3<Int64> {
      var views = 40 + Double(random.below(30))
      var clickRate = 0.2
      var conversionRate = 0.3
      let isMeant = tuple.campaign == trouble.campaign
      switch trouble.kind {
      case 1 where isMeant: views *= 0.05
      case 2 where isMeant: views *= 8
      case 3 where isMeant && tuple.variant == trouble.variant: clickRate = 0.9
      case 4 where isMeant: clickRate = 0.01
      case 5: views *= 0.1
      case 6: conversionRate = 0.02
      case 7 where tuple.variant == trouble.variant: conversionRate = 0.95
      default: break
      }
      let clicks = views * clickRate
      return SIMD3(Int64(views), Int64(clicks), Int64(clicks * conversionRate))
    }

    private mutating func remark() -> NaiveIncidents.Remark? {
      guard let id = rows.keys.sorted().last(where: { _ in random.once(in: 4) }),
        let row = rows[id]
      else { return nil }
      var site: [UInt8] = []
      DimensionTuple.append(random.once(in: 5) ? "u" : row.site, to: &site)
      return NaiveIncidents.Remark(
        feedback: IncidentFeedback(
          incident: id, verdict: random.once(in: 2) ? .expected : .notAnAnomaly), site: site)
    }

    /// An incident that goes on, and that who looks at the first ones of groups alone does not see as grave as it is.
    var hidden: String? {
      for row in rows.values where row.end == nil {
        guard let head = rows[row.group], head.group == head.id, head.end == nil,
          head.severity >= row.severity, head.site == row.site,
          head.campaign.isEmpty || head.campaign == row.campaign,
          head.content.isEmpty || head.content == row.content
        else { return "\(row) in the group of \(rows[row.group].map { "\($0)" } ?? "none")" }
      }
      return nil
    }

    /// A row of one that is another one, or none, in the other.
    var difference: String? {
      for id in Set(rows.keys).union(recount.rows.keys).sorted()
      where rows[id] != recount.rows[id] {
        let (a, b) = (rows[id], recount.rows[id])
        return "board \(a.map { "\($0)" } ?? "none"), recount \(b.map { "\($0)" } ?? "none")"
      }
      return nil
    }
  }

  @Test(
    "Every row is the same to the last bit, bin by bin, with many keys and with too many, and none is hidden in a group",
    arguments: [2_000, 30, 6], 0..<3 as Range<UInt64>)
  func rows(keyCountMax: Int, seed: UInt64) {
    var both = SideBySide(seed: seed, keyCountMax: keyCountMax)
    for bin in 0..<240 {
      both.closeBin()
      if let difference = both.difference {
        Issue.record("keys \(keyCountMax), seed \(seed), bin \(bin): \(difference)")
        return
      }
      if let hidden = both.hidden {
        Issue.record("keys \(keyCountMax), seed \(seed), bin \(bin): \(hidden)")
        return
      }
    }
    #expect(!both.rows.isEmpty)
  }

  @Test("The histories of the law above have everything that it is about")
  func isAboutSomething() {
    var rows: [IncidentRow] = []
    var displaced: Int64 = 0
    for seed in 0..<6 as Range<UInt64> {
      var both = SideBySide(seed: seed, keyCountMax: seed % 2 == 0 ? 2_000 : 30)
      for _ in 0..<240 { both.closeBin() }
      rows += both.rows.values
      displaced += both.board.unwatched
    }
    for kind in IncidentRow.Kind.allCases {
      #expect(rows.count { $0.kind == kind } > 5, "\(kind)")
    }
    #expect(rows.count { $0.group != $0.id } > 50)
    #expect(rows.count { $0.contributor != nil } > 20)
    #expect(Set(rows.map(\.severity)).count == 3)
    #expect(rows.count { $0.feedback == .expected } > 10)
    #expect(rows.count { $0.feedback == .notAnAnomaly } > 10)
    #expect(displaced > 100)
  }
}
