import Events
import HTTPServer
import Ports
import Testing
import Views

@testable import QueryAPI

@Suite struct AnswerTests {
  private func row(
    _ name: String, impressions: Int64, clicks: Int64, bucket: Int64? = nil,
    revenue: [QueryAnswer.Money] = []
  ) -> QueryAnswer.Row {
    var counts = Counts()
    counts.impressions = impressions
    counts.clicks = clicks
    return QueryAnswer.Row(
      bucketStart: bucket, dimensions: DimensionValues([name]),
      sums: MeasuredSums(activity: counts),
      revenue: revenue)
  }

  private func order(
    _ rows: [QueryAnswer.Row], _ order: [QueryRequest.Order], _ currencies: [String] = []
  ) -> [String] {
    var rows = rows
    if let places = RowOrder(order: order, currencies: currencies).places(rows) {
      rows = places.map { rows[$0] }
    }
    return rows.map { $0.dimensions.texts[0] }
  }

  @Test("rows are ordered as asked for, then by dimensions")
  func orders() {
    let rows = [
      row("c", impressions: 5, clicks: 1), row("a", impressions: 5, clicks: 2),
      row("b", impressions: 9, clicks: 0),
    ]
    #expect(order(rows, []) == ["a", "b", "c"])
    let byImpressions = QueryRequest.Order(key: .metric(.impressions), isDescending: true)
    #expect(order(rows, [byImpressions]) == ["b", "a", "c"])
    let byClicks = QueryRequest.Order(key: .metric(.clicks), isDescending: false)
    #expect(order(rows, [byImpressions, byClicks]) == ["b", "c", "a"])
    let byName = QueryRequest.Order(key: .dimension(0), isDescending: true)
    #expect(order(rows, [byName]) == ["c", "b", "a"])
  }

  @Test("a ratio without a denominator comes last in both directions")
  func ratios() {
    let rows = [
      row("none", impressions: 0, clicks: 0), row("low", impressions: 10, clicks: 1),
      row("high", impressions: 10, clicks: 5),
    ]
    for (isDescending, expected) in [
      (true, ["high", "low", "none"]), (false, ["low", "high", "none"]),
    ] {
      let order = QueryRequest.Order(key: .metric(.ctr), isDescending: isDescending)
      #expect(self.order(rows, [order]) == expected)
    }
  }

  @Test("revenue is ordered by the first currency, then by the next one")
  func revenue() {
    func money(_ eur: Int64, _ usd: Int64) -> [QueryAnswer.Money] {
      [.init(currency: "EUR", micros: eur), .init(currency: "USD", micros: usd)]
    }
    let rows = [
      row("a", impressions: 0, clicks: 0, revenue: money(1, 9)),
      row("b", impressions: 0, clicks: 0, revenue: money(2, 0)),
      row("c", impressions: 0, clicks: 0, revenue: money(1, 10)),
    ]
    let order = QueryRequest.Order(key: .metric(.revenue), isDescending: true)
    #expect(self.order(rows, [order], ["EUR", "USD"]) == ["b", "c", "a"])
  }

  @Test(
    "money prints as an exact decimal",
    arguments: [
      (0, "0"), (12_500_000, "12.5"), (1, "0.000001"), (-1_500_000, "-1.5"), (3_000_000, "3"),
      (-250_000, "-0.25"), (Int64.min, "-9223372036854.775808"),
    ] as [(Int64, String)])
  func decimals(micros: Int64, text: String) {
    #expect(AnswerWriter.text(micros: micros) == text)
  }

  @Test("an answer prints integers, ratios, money per currency and time in the zone's offset")
  func prints() throws {
    let zone = try #require(ZoneDatabase().zone(named: "Asia/Kolkata"))
    var request = QueryRequest(
      pipeline: "default", site: "default",
      metrics: [.impressions, .ctr, .conversionRate, .revenue],
      range: .explicit(.localDay(20_758), .localDay(20_758)), dimensions: [.campaign],
      granularity: .day, filters: [], order: [], limit: 10, offset: 0, timezone: "Asia/Kolkata",
      after: nil, timeoutMs: 0)
    request.filters = [DimensionFilter(operation: .isNoneOf, dimension: .variant, values: ["q\""])]
    request.order = [QueryRequest.Order(key: .metric(.ctr), isDescending: true)]
    let now = try #require(CivilTime.parseTimestamp("2026-11-02T00:00:00Z"))
    let plan = try QueryPlan.make(for: request, now: now, zone: zone)
    var table = GroupTable()
    var counts = Counts()
    counts.impressions = 10
    counts.clicks = 2
    table.add(ViewGroup(bucket: 0, dimensions: ["spring"], currency: "", counts: counts), .activity)
    counts = Counts()
    counts.revenueMicros = 12_500_000
    counts.conversions = 1
    table.add(
      ViewGroup(bucket: 0, dimensions: ["spring"], currency: "USD", counts: counts), .activity)
    counts.revenueMicros = 3_000_000
    table.add(
      ViewGroup(bucket: 0, dimensions: ["spring"], currency: "EUR", counts: counts), .activity)
    let (rows, total, currencies) = QueryAnswer.rows(of: table, plan: plan, request: request)
    let meta = QueryAnswer.Meta(
      position: try #require(Position("1~0.4")), watermark: nil, logTime: now, isFinal: false,
      asOf: now, lagFrames: 3, warnings: ["w"], currencies: currencies, rowCount: total)
    let answer = QueryAnswer(rows: rows, meta: meta)
    let json = AnswerWriter(request: request, plan: plan, zone: zone).answer(answer)
    #expect(
      String(decoding: json, as: UTF8.self)
        == #"{"results":[{"dimensions":["2026-11-01T00:00:00+05:30","spring"],"#
        + #""metrics":[10,0.2,1,{"EUR":3,"USD":12.5}],"#
        + #""intervals":{"ctr":[0.0440594,0.502774],"conversion_rate":[0.333178,1]}}],"#
        + #""meta":{"position":"1~0.4","watermark":null,"final":false,"#
        + #""log_time":"2026-11-02T00:00:00Z","as_of":"2026-11-02T00:00:00Z","revision":0,"lag_frames":3,"#
        + #""currencies":["EUR","USD"],"row_count":1,"warnings":["w"]},"#
        + #""query":{"site_id":"default","pipeline":"default","#
        + #""metrics":["impressions","ctr","conversion_rate","revenue"],"#
        + #""date_range":["2026-11-01T00:00:00+05:30","2026-11-02T00:00:00+05:30"],"#
        + #""dimensions":["time:day","campaign"],"filters":[["is_not","variant",["q\""]]],"#
        + #""order_by":[["ctr","desc"]],"timezone":"Asia/Kolkata","limit":10,"offset":0}}"#)
  }

  @Test("an answer whose rows were written before is what it would be anew", arguments: 0..<20)
  func written(seed: UInt64) throws {
    var random = Random(seed: seed)
    let written = WrittenRows()
    var request = QueryRequest(
      pipeline: "default", site: "default", metrics: [.impressions, .ctr], range: .day,
      dimensions: [.campaign], granularity: .hour, filters: [], order: [], limit: 1_000, offset: 0,
      timezone: "UTC", after: nil, timeoutMs: 0)
    let plan = try QueryPlan.make(for: request, now: 0, zone: .utc)
    let meta = QueryAnswer.Meta(
      position: try #require(Position("1~0.4")), watermark: nil, logTime: nil, isFinal: false,
      asOf: 0, lagFrames: nil, warnings: [], currencies: [], rowCount: 0)
    var rows = (0..<40).map { row("c", impressions: $0, clicks: 1, bucket: $0) }
    for _ in 0..<40 {
      // Rows go, come, change and change places.
      let goneMax = random.below(4) == 0 ? 20 : 2
      rows.removeFirst(random.below(goneMax))
      for _ in 0..<random.below(3) {
        rows.insert(
          row("\"d", impressions: Int64(random.below(9)), clicks: 1, bucket: 3),
          at: random.below(rows.count + 1))
      }
      if rows.count > 2 {
        rows[random.below(rows.count)].sums[.activity].clicks += 1
        rows.swapAt(random.below(rows.count), random.below(rows.count))
      }
      while rows.count < 20 {
        rows.append(row("e", impressions: Int64(rows.count), clicks: 2, bucket: 9))
      }
      request.limit = 1 + random.below(60)
      let answer = QueryAnswer(rows: Array(rows.prefix(request.limit)), meta: meta)
      let writer = AnswerWriter(request: request, plan: plan, zone: .utc)
      #expect(writer.answer(answer, after: written) == writer.answer(answer))
    }
  }

  @Test(
    "integers are written as everywhere", arguments: [0, 9, 10, -1, -120, .max, .min] as [Int64])
  func integers(value: Int64) {
    var output: [UInt8] = []
    JSONText.append(integer: value, to: &output)
    #expect(output == Array("\(value)".utf8))
  }

  @Test("without groups there is one row of zeros, with dimensions none")
  func zeros() throws {
    var request = QueryRequest(
      pipeline: "default", site: "default", metrics: [.impressions], range: .day, dimensions: [],
      granularity: nil, filters: [], order: [], limit: 10, offset: 0, timezone: "UTC", after: nil,
      timeoutMs: 0)
    let plan = try QueryPlan.make(for: request, now: 0, zone: .utc)
    let zero = QueryAnswer.rows(of: GroupTable(), plan: plan, request: request).rows
    #expect(zero.map(\.counts) == [Counts()])
    request.dimensions = [.campaign]
    #expect(QueryAnswer.rows(of: GroupTable(), plan: plan, request: request).rows == [])
  }

  @Test("values that look the same and are encoded otherwise stay apart")
  func encodings() throws {
    var request = QueryRequest(
      pipeline: "default", site: "default", metrics: [.impressions], range: .day,
      dimensions: [.campaign], granularity: nil, filters: [], order: [], limit: 10, offset: 0,
      timezone: "UTC", after: nil, timeoutMs: 0)
    request.order = [QueryRequest.Order(key: .dimension(0), isDescending: true)]
    let plan = try QueryPlan.make(for: request, now: 0, zone: .utc)
    var table = GroupTable()
    for name in ["e\u{301}", "\u{e9}", "\u{e9}"] {
      table.add(ViewGroup(bucket: 0, dimensions: [name], currency: "", counts: Counts()), .activity)
    }
    let rows = QueryAnswer.rows(of: table, plan: plan, request: request).rows
    #expect(
      rows.map { Array($0.dimensions.texts[0].utf8) } == [[0xc3, 0xa9], [0x65, 0xcc, 0x81]])
  }

  @Test("limit and offset cut the ordered rows, and the number of all is told")
  func pages() throws {
    let request = QueryRequest(
      pipeline: "default", site: "default", metrics: [.impressions], range: .day,
      dimensions: [.campaign], granularity: nil, filters: [], order: [], limit: 2, offset: 1,
      timezone: "UTC", after: nil, timeoutMs: 0)
    let plan = try QueryPlan.make(for: request, now: 0, zone: .utc)
    var table = GroupTable()
    for name in ["d", "a", "c", "b"] {
      table.add(ViewGroup(bucket: 0, dimensions: [name], currency: "", counts: Counts()), .activity)
    }
    let (rows, total, _) = QueryAnswer.rows(of: table, plan: plan, request: request)
    #expect(rows.map { $0.dimensions.texts[0] } == ["b", "c"])
    #expect(total == 4)
  }

  @Test(
    "a difference is the changed rows and what is gone; applied to the old it gives the new",
    arguments: 0..<20)
  func difference(seed: UInt64) {
    var random = Random(seed: seed)
    func state(_ random: inout Random) -> [QueryAnswer.Row] {
      ["a", "b", "c", "d", "e"].filter { _ in random.below(3) > 0 }.map {
        row($0, impressions: Int64(random.below(2)), clicks: 0, bucket: 0)
      }
    }
    let old = state(&random)
    let new = state(&random)
    let difference = AnswerDifference(from: old, to: new)
    var applied: [QueryAnswer.Identity: QueryAnswer.Row] = [:]
    for row in old { applied[row.identity] = row }
    for identity in difference.removed { applied[identity] = nil }
    for row in difference.changed {
      #expect(applied[row.identity] != row)
      applied[row.identity] = row
    }
    #expect(Set(applied.values) == Set(new))
    #expect(difference.isEmpty == (old == new))
  }

  @Test("filters compare whole values or parts, with the case of letters")
  func filters() {
    func admits(_ operation: DimensionFilter.Operation, _ values: [String], _ value: String) -> Bool
    {
      DimensionFilter(operation: operation, dimension: .campaign, values: values).admits(value)
    }
    #expect(admits(.isAnyOf, ["a", "b"], "b"))
    #expect(!admits(.isAnyOf, ["a", "b"], "B"))
    #expect(admits(.isNoneOf, ["a", "b"], "c"))
    #expect(!admits(.isNoneOf, ["a", "b"], "a"))
    #expect(admits(.contains, ["pri"], "spring"))
    #expect(!admits(.contains, ["Pri"], "spring"))
    #expect(admits(.contains, [""], ""))
    // The same letter composed in two ways is two values, as in the log.
    #expect(!admits(.isAnyOf, ["\u{e9}"], "e\u{301}"))
  }
}
