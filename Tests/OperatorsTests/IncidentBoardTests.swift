import Events
import Oracles
import Testing
import Views

@testable import Operators

@Suite("Incidents of sites, campaigns and contents")
struct IncidentBoardTests {
  private typealias Factors = IncidentTraffic.Factors

  private func traffic(seed: UInt64) -> IncidentTraffic {
    var traffic = IncidentTraffic(seed: seed)
    traffic.runQuietWeek()
    return traffic
  }

  @Test(
    "An outage of a campaign is one critical incident of it, from its first bins until it is over")
  func outage() throws {
    for seed in 1...3 as ClosedRange<UInt64> {
      var traffic = traffic(seed: seed)
      traffic.run(44)
      let start = traffic.now
      traffic.run(12) { Factors(impressions: $0.campaign == "c1" ? 0.02 : 1) }
      let found = traffic.rows.values.filter { $0.begin >= start - 2 * IncidentTraffic.bin }
      let campaign = try #require(
        found.first { $0.campaign == "c1" && $0.content.isEmpty && $0.kind == .trafficDown })
      #expect(campaign.severity == .critical && campaign.end == nil, "seed \(seed)")
      #expect(campaign.begin <= start + IncidentTraffic.bin, "seed \(seed)")
      #expect(Double(campaign.observed) < campaign.lower && campaign.lower < campaign.expected)
      #expect(campaign.expected < campaign.upper)
      #expect(campaign.series.count == IncidentRow.seriesCountMax)
      #expect(campaign.series.last?.start == traffic.now - IncidentTraffic.bin)
      // Its content is another name of the same; nothing else is said to be critical.
      let critical = found.filter { $0.severity == .critical && $0.kind == .trafficDown }
      #expect(critical.allSatisfy { $0.campaign == "c1" && $0.group == campaign.group })
      traffic.run(8)
      let after = try #require(traffic.rows[campaign.id])
      let end = try #require(after.end)
      #expect(end >= start + 12 * IncidentTraffic.bin && end <= traffic.now, "seed \(seed)")
      #expect(after.revision > campaign.revision)
    }
  }

  @Test("A burst of clicks is an incident of the rate, and says which variant it comes from")
  func burst() throws {
    for seed in 1...3 as ClosedRange<UInt64> {
      var traffic = traffic(seed: seed)
      let start = traffic.now
      traffic.run(6) { Factors(clicks: $0.campaign == "c2" && $0.variant == "a" ? 6 : 1) }
      let found = try #require(
        traffic.rows.values.first {
          $0.begin >= start && $0.campaign == "c2" && $0.content.isEmpty && $0.kind == .rateUp
        })
      #expect(found.severity >= .warning, "seed \(seed)")
      #expect(found.contributor?.dimension == .variant && found.contributor?.value == "a")
      #expect((found.contributor?.share ?? 0) > 0.6)
    }
  }

  @Test("A drop of the whole site is one incident with members, and the site is its head")
  func siteWide() throws {
    for seed in 1...3 as ClosedRange<UInt64> {
      var traffic = traffic(seed: seed)
      traffic.run(40)
      let start = traffic.now
      traffic.run(6) { _ in Factors(impressions: 0.05) }
      let found = traffic.rows.values.filter {
        $0.begin >= start - IncidentTraffic.bin && $0.kind == .trafficDown
      }
      // The site, five campaigns, five contents.
      #expect(found.count == 11, "seed \(seed)")
      let site = try #require(found.first { $0.campaign.isEmpty })
      #expect(site.group == site.id && found.allSatisfy { $0.group == site.id }, "seed \(seed)")
      // It comes from everywhere.
      #expect(site.contributor == nil)
    }
  }

  @Test(
    "Whatever small thing came first, an outage is told as critical: by the widest that goes on",
    arguments: [0.3, 0.6], [1, 2])
  func smallThingFirst(rest: Double, bins: Int) throws {
    for seed in 1...3 as ClosedRange<UInt64> {
      var traffic = traffic(seed: seed)
      traffic.run(40)
      let start = traffic.now
      traffic.run(bins) { Factors(impressions: $0.campaign == "c1" ? rest : 1) }
      let small = traffic.open.filter {
        $0.begin >= start && $0.campaign == "c1" && $0.kind == .trafficDown
      }
      traffic.run(6) { _ in Factors(impressions: 0.02) }
      let site = try #require(
        traffic.open.first { $0.campaign.isEmpty && $0.kind == .trafficDown })
      #expect(site.group == site.id && site.severity == .critical, "seed \(seed)")
      for row in small {
        let after = try #require(traffic.rows[row.id])
        #expect(after.group == site.id || after.end != nil, "seed \(seed): \(after)")
      }
      traffic.run(24)
      #expect(traffic.rows[site.id]?.end != nil, "seed \(seed)")
    }
  }

  @Test("The first of a group goes on while any of it does, and is as grave as the gravest")
  func groupGoesOn() throws {
    var traffic = traffic(seed: 14)
    traffic.run(40)
    traffic.run(4) { _ in Factors(impressions: 0.02) }
    let site = try #require(traffic.open.first { $0.campaign.isEmpty && $0.kind == .trafficDown })
    // Elsewhere there is so much more that the site as a whole is well.
    for _ in 0..<12 {
      traffic.run(1) { Factors(impressions: $0.campaign == "c1" ? 0.02 : 1.25) }
      let isLonely = traffic.open.allSatisfy { $0.group != site.id || $0.id == site.id }
      #expect((traffic.rows[site.id]?.end == nil) || isLonely)
    }
    let own = try #require(traffic.board.keys.first { $0.level == .site })
    #expect(own.episodes[Int(IncidentRow.Kind.trafficDown.rawValue)].incident != site.id)
    #expect(traffic.open.contains { $0.group == site.id && $0.campaign == "c1" })
    traffic.run(24)
    let after = try #require(traffic.rows[site.id])
    let members = traffic.rows.values.filter { $0.group == site.id && $0.id != site.id }
    #expect(after.end == members.compactMap(\.end).max())
  }

  @Test("Conversions that fail while clicks go on are an incident of conversions")
  func conversions() throws {
    var traffic = traffic(seed: 5)
    let start = traffic.now
    traffic.run(24) { _ in Factors(conversions: 0.05) }
    let found = traffic.rows.values.filter { $0.begin >= start && $0.campaign.isEmpty }
    #expect(found.contains { $0.kind == .conversionDown && $0.severity >= .warning })
    #expect(!found.contains { $0.kind == .rateDown || $0.kind == .trafficDown })
  }

  @Test("A promotion, three clicks of a small site, and a hole in the log are no incidents")
  func benign() {
    var promotion = traffic(seed: 6)
    promotion.run(48) { _ in Factors(impressions: 1.4) }
    #expect(promotion.rows.values.allSatisfy { $0.kind != .trafficUp || $0.severity == .info })
    var small = IncidentTraffic(seed: 7)
    small.impressions = 6
    small.clickRate = 0.03
    small.campaigns = 1
    small.runQuietWeek()
    let start = small.now
    let tuple = DimensionTuple(site: "s", campaign: "c0", content: "p0", variant: "a")
    small.board.close(
      start, [(tuple.encoded, IncidentCounts(impressions: 6, clicks: 3))], isWhole: true,
      remarks: [])
    #expect(small.board.takeChanged().allSatisfy { $0.begin < start })
    var hole = traffic(seed: 8)
    let before = hole.now
    hole.run(12, isWhole: false)
    hole.run(4)
    #expect(hole.rows.values.allSatisfy { $0.begin < before || $0.severity < .critical })
    #expect(hole.rows.values.allSatisfy { $0.kind != .trafficDown || $0.begin < before })
  }

  @Test("A key is silent in its first day")
  func firstDay() {
    var traffic = IncidentTraffic(seed: 9)
    traffic.run(IncidentTraffic.binsPerDay - 2) { tuple in
      Factors(impressions: tuple.campaign == "c0" ? 1 : 5)
    }
    traffic.run(1) { _ in Factors(impressions: 0) }
    #expect(traffic.rows.isEmpty)
  }

  @Test("In three weeks without anything chance makes few alarms, and none that wakes anybody")
  func quiet() {
    var traffic = traffic(seed: 10)
    let start = traffic.now
    traffic.run(14 * IncidentTraffic.binsPerDay)
    let found = traffic.rows.values.filter { $0.begin >= start }
    // Six series, each content being its campaign once more, for two weeks.
    #expect(found.count { $0.group == $0.id } <= 24, "\(found.count) with members")
    #expect(found.allSatisfy { $0.severity < .critical })
  }

  // MARK: Feedback

  @Test(
    "What is expected is closed with its group, and silent until it is over; the next one is not")
  func expected() throws {
    var traffic = traffic(seed: 11)
    traffic.run(40)
    let down: (DimensionTuple) -> Factors = { _ in Factors(impressions: 0.05) }
    traffic.run(6, down)
    let head = try #require(traffic.open.first { $0.campaign.isEmpty && $0.kind == .trafficDown })
    // Who may speak of one site may not of another.
    traffic.run(1, remarks: [traffic.remark(head, .expected, site: "t")], down)
    #expect(traffic.rows[head.id]?.end == nil && traffic.board.unknownFeedback == 1)
    traffic.run(1, remarks: [traffic.remark(head, .expected)], down)
    let members = traffic.rows.values.filter {
      $0.group == head.id && $0.kind == .trafficDown
    }
    #expect(members.count == 11)
    #expect(members.allSatisfy { $0.end == traffic.now && $0.feedback == .expected })
    let ids = Set(traffic.rows.keys)
    traffic.run(6, down)
    #expect(traffic.rows.values.allSatisfy { ids.contains($0.id) || $0.kind != .trafficDown })
    traffic.run(20)
    let again = traffic.now
    traffic.run(6, down)
    #expect(
      traffic.rows.values.contains {
        $0.begin >= again && $0.campaign.isEmpty && $0.kind == .trafficDown
      })
  }

  @Test("What is no anomaly takes more evidence from then on, up to all there can be")
  func notAnAnomaly() throws {
    var traffic = traffic(seed: 12)
    for round in 1...8 {
      traffic.run(6) { Factors(clicks: $0.campaign == "c2" ? 5 : 1) }
      let found = try #require(
        traffic.open.first { $0.campaign == "c2" && $0.content.isEmpty && $0.kind == .rateUp },
        "round \(round)")
      traffic.run(1, remarks: [traffic.remark(found, .notAnAnomaly)])
      let key = try #require(
        traffic.board.keys.first { $0.level == .campaign && $0.bytes == found.key })
      let episode = key.episodes[Int(IncidentRow.Kind.rateUp.rawValue)]
      #expect((episode.raise - min(6.8, Double(round))).magnitude < 1e-9)
      #expect(traffic.rows[found.id]?.feedback == .notAnAnomaly)
      #expect(traffic.rows[found.id]?.end != nil)
      traffic.run(2 * IncidentTraffic.binsPerDay)
    }
  }

  // MARK: Limits

  @Test("Of too many keys the ones with the most events are watched, in whatever order they come")
  func limits() {
    func run(_ seed: UInt64) -> (board: IncidentBoard, bytes: [UInt8]) {
      var random = SeededGenerator(seed: seed)
      var policy = IncidentPolicy(bin: IncidentTraffic.bin)
      policy.keyCountMax = 40
      var board = IncidentBoard(policy: policy)
      for bin in 0..<30 {
        var sums: [IncidentBoard.Sum] = []
        for content in 0..<300 {
          // From the tenth bin on others are hot.
          let isHot = bin < 10 ? content < 30 : (100..<130).contains(content)
          let tuple = DimensionTuple(site: "s", campaign: "c\(content % 3)", content: "p\(content)")
          sums.append(
            (tuple.encoded, IncidentCounts(impressions: isHot ? Int64(1_000 + content) : 2)))
        }
        sums.shuffle(using: &random)
        board.close(Int64(bin) * IncidentTraffic.bin, sums, isWhole: true, remarks: [])
        #expect(board.keys.count == 40 && board.places.count == 40)
      }
      var writer = SnapshotWriter(kind: .base, pipelineHash: 1)
      writer.begin(section: 1, version: 1)
      board.write(to: &writer)
      writer.end()
      return (board, writer.finish())
    }
    let (board, bytes) = run(1)
    let contents = Set(
      board.keys.filter { $0.level == .content }.map { String(decoding: $0.bytes, as: UTF8.self) })
    #expect((100..<130).allSatisfy { hot in contents.contains { $0.hasSuffix("p\(hot)") } })
    #expect(board.keys.contains { $0.level == .site })
    #expect(board.unwatched > 30 * 200)
    #expect(run(2).bytes == bytes)
  }

  @Test("Closed incidents and keys without events are forgotten, and what is held is bounded")
  func forgetting() {
    var traffic = traffic(seed: 13)
    traffic.run(6) { _ in Factors(impressions: 0.02) }
    #expect(!traffic.open.isEmpty && !traffic.board.keys.isEmpty)
    let ofKeys = traffic.board.byteCount - traffic.board.incidents.count * 3_072
    let perKey = ofKeys / traffic.board.keys.count
    #expect(perKey < 16_384, "\(perKey) bytes a key")
    traffic.binCount += 9 * IncidentTraffic.binsPerDay
    traffic.run(1, isWhole: false)
    #expect(traffic.open.isEmpty && traffic.board.keys.isEmpty)
    traffic.binCount += 9 * IncidentTraffic.binsPerDay
    traffic.run(1, isWhole: false)
    #expect(traffic.board.incidents.isEmpty && traffic.board.places.isEmpty)
  }
}

extension IncidentRow {
  /// The encoded values of a campaign's key.
  fileprivate var key: [UInt8] {
    var bytes: [UInt8] = []
    for value in [site, campaign] { DimensionTuple.append(value, to: &bytes) }
    return bytes
  }
}
