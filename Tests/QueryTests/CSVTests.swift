import Events
import HTTPServer
import Testing
import Views

@testable import QueryAPI

@Suite struct CSVTests {
  @Test(
    "texts are quoted where they must be and run nothing in a spreadsheet",
    arguments: [
      ("spring", "spring"), ("", ""), ("a,b", #""a,b""#), (#"say "x""#, #""say ""x""""#),
      ("two\nlines", "\"two\nlines\""), ("=1+1", "'=1+1"), ("+49", "'+49"), ("-1", "'-1"),
      ("@sum", "'@sum"), ("=a,b", #""'=a,b""#), ("\tx", "'\tx"), ("\rx", "\"'\rx\""),
      ("a=b", "a=b"),
    ])
  func cells(text: String, cell: String) {
    var table = CSVTable(header: ["h"])
    table.append([.text(text), .number("-1"), .empty])
    #expect(String(decoding: table.bytes, as: UTF8.self) == "h\r\n\(cell),-1,\r\n")
  }

  @Test(
    "CSV is for those who would rather have it",
    arguments: [
      (nil, .json), ("", .json), ("*/*", .json), ("text/html,*/*;q=0.8", .json),
      ("text/csv", .csv), ("Text/CSV; charset=utf-8", .csv), ("text/csv;q=0", .json),
      ("application/json,text/csv", .json), ("application/json;q=0.5, text/csv;q=0.9", .csv),
      ("application/json, text/csv;q=0.9", .json),
    ] as [(String?, AnswerFormat)])
  func accept(header: String?, format: AnswerFormat) {
    #expect(AnswerFormat(accept: header) == format)
  }

  private func csv(_ json: String, rows: [QueryAnswer.Row], currencies: [String]) throws -> String {
    let request = try QueryRequestParser(pipelines: ["default"]).request(
      json: Array(json.utf8), parameters: [])
    let now = try #require(CivilTime.parseTimestamp("2026-11-30T12:00:00Z"))
    let plan = try QueryPlan.make(for: request, now: now, zone: .utc)
    let meta = QueryAnswer.Meta(
      position: try #require(Position("1~0.4")), watermark: nil, logTime: nil, isFinal: false,
      asOf: now, lagFrames: nil, warnings: [], currencies: currencies, rowCount: rows.count)
    let bytes = CSVAnswer(request: request, plan: plan, zone: .utc).table(
      QueryAnswer(rows: rows, meta: meta))
    return String(decoding: bytes, as: UTF8.self)
  }

  private func row(_ name: String, _ impressions: Int64, _ clicks: Int64, eur: Int64)
    -> QueryAnswer
    .Row
  {
    var counts = Counts()
    counts.impressions = impressions
    counts.clicks = clicks
    return QueryAnswer.Row(
      bucketStart: nil, dimensions: [name], sums: MeasuredSums(activity: counts),
      revenue: eur == 0 ? [] : [QueryAnswer.Money(currency: "EUR", micros: eur)])
  }

  @Test("a rate is followed by the ends of its interval, money has a column for each currency")
  func columns() throws {
    let text = try csv(
      #"{"metrics":["impressions","ctr","revenue"],"dimensions":["campaign"],"date_range":"1h"}"#,
      rows: [row("=x", 10, 2, eur: 12_500_000), row("y", 0, 0, eur: 0)], currencies: ["EUR", "USD"])
    #expect(
      text
        == "campaign,impressions,ctr,ctr_low,ctr_high,revenue_EUR,revenue_USD\r\n"
        + "'=x,10,0.2,0.0440594,0.502774,12.5,0\r\n" + "y,0,,,,0,0\r\n")
  }

  @Test("what is compared adds columns, and every row has as many cells as the header")
  func compared() throws {
    var known = row("a", 10, 2, eur: 3_000_000)
    known.before = row("a", 20, 8, eur: 6_000_000).numbers
    let text = try csv(
      #"{"metrics":["clicks","ctr","revenue"],"dimensions":["campaign"],"date_range":"1h","#
        + #""compare":"previous"}"#, rows: [known, row("b", 1, 0, eur: 0)], currencies: ["EUR"])
    let lines = text.split(separator: "\r\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    #expect(
      lines[0].joined(separator: ",")
        == "campaign,clicks,ctr,ctr_low,ctr_high,revenue_EUR,clicks_before,clicks_change,ctr_before,"
        + "ctr_before_low,ctr_before_high,ctr_change,ctr_difference_low,ctr_difference_high,"
        + "revenue_EUR_before,revenue_EUR_change")
    #expect(lines.allSatisfy { $0.count == lines[0].count })
    #expect(lines[1][6...8] == ["8", "-0.75", "0.4"])
    #expect(lines[1][14...] == ["6", "-0.5"])
    #expect(lines[2][6...].allSatisfy { $0.isEmpty })
  }
}
