import Testing

@testable import QueryAPI

/// 2026: New York leaves summer time on 1 November at 06:00 UTC, enters it on 8 March at 07:00 UTC.
@Suite struct ZoneTests {
  private let zones = ZoneDatabase()

  private func zone(_ name: String) throws -> ZoneRules { try #require(zones.zone(named: name)) }

  private func seconds(_ text: String) throws -> Int64 {
    try #require(CivilTime.parseTimestamp(text)) / 1_000_000
  }

  @Test(
    "the offset at an instant is the database's",
    arguments: [
      ("America/New_York", "2026-11-01T05:59:59Z", -14_400),
      ("America/New_York", "2026-11-01T06:00:00Z", -18_000),
      ("America/New_York", "2090-07-01T00:00:00Z", -14_400),
      ("America/New_York", "2090-01-01T00:00:00Z", -18_000),
      ("Asia/Kolkata", "2026-11-01T00:00:00Z", 19_800),
      ("Europe/Berlin", "2026-03-29T00:59:59Z", 3600),
      ("Europe/Berlin", "2026-03-29T01:00:00Z", 7200),
      ("Australia/Lord_Howe", "2026-01-01T00:00:00Z", 39_600),
      ("Australia/Lord_Howe", "2026-07-01T00:00:00Z", 37_800),
      ("UTC", "2026-07-01T00:00:00Z", 0),
    ])
  func offsets(name: String, instant: String, offset: Int) throws {
    #expect(try zone(name).offset(at: try seconds(instant)) == offset)
  }

  @Test("the rule in the footer continues the table, year after year")
  func footer() throws {
    let rule = try #require(RecurringRule("EST5EDT,M3.2.0,M11.1.0"))
    let newYork = try zone("America/New_York")
    for hour in stride(from: try seconds("2010-01-01T00:00:00Z"), to: 2_145_000_000, by: 7200) {
      #expect(rule.offset(at: hour) == newYork.offset(at: hour))
    }
  }

  @Test(
    "rules of both hemispheres, quoted names and odd times read right",
    arguments: [
      ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-01-01T00:00:00Z", 39_600),
      ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-06-01T00:00:00Z", 37_800),
      ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-01-01T00:00:00Z", 0),
      ("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-06-01T00:00:00Z", 3600),
      ("<-03>3", "2026-06-01T00:00:00Z", -10_800),
      ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-27T23:59:59Z", 7200),
      ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-28T00:00:00Z", 10_800),
      ("AAA1BBB,J60,J300", "2024-02-29T12:00:00Z", -3600),
      ("AAA1BBB,J60,J300", "2024-03-01T12:00:00Z", 0),
    ])
  func rules(rule: String, instant: String, offset: Int) throws {
    let rule = try #require(RecurringRule(rule))
    #expect(rule.offset(at: try seconds(instant)) == offset)
  }

  @Test(
    "a malformed rule is refused",
    arguments: ["", "E5", "EST", "EST5EDT", "EST5EDT,M3.2", "EST5EDT,M13.1.0,M1.1.0"])
  func malformed(rule: String) {
    #expect(RecurringRule(rule) == nil)
  }

  @Test(
    "names that are no zone, or lead out of the database, find nothing",
    arguments: [
      "", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "America", "Europe//Berlin",
      "zone.tab",
    ])
  func unknown(name: String) {
    #expect(zones.zone(named: name) == nil)
  }

  @Test("every cut of a zone file is refused or read, never trapped")
  func torn() throws {
    let whole = try TestFile.read("/usr/share/zoneinfo/Europe/Berlin")
    for count in stride(from: 0, to: whole.count, by: 7) {
      _ = ZoneRules(parsing: Array(whole.prefix(count)))
    }
    #expect(ZoneRules(parsing: whole) != nil)
    #expect(ZoneRules(parsing: Array(whole.prefix(40))) == nil)
  }

  @Test(
    "a local day starts at its first instant, also where the clock skips midnight",
    arguments: [
      ("America/New_York", "2026-11-01", "2026-11-01T04:00:00Z"),
      ("America/New_York", "2026-11-02", "2026-11-02T05:00:00Z"),
      ("Asia/Kolkata", "2026-11-01", "2026-10-31T18:30:00Z"),
      // The clock jumps from 24:00 to 01:00.
      ("America/Santiago", "2025-09-07", "2025-09-07T04:00:00Z"),
      // Midnight comes twice: the first one counts.
      ("America/Havana", "2025-11-02", "2025-11-02T04:00:00Z"),
      // The 30th was skipped.
      ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
      ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
    ])
  func starts(name: String, day: String, start: String) throws {
    let day = try #require(CivilTime.parseDate(day))
    #expect(try zone(name).start(ofLocalDay: day) == (try seconds(start)))
  }

  @Test("the days around a change of the clock have 23 and 25 hours")
  func lengths() throws {
    let zone = try zone("America/New_York")
    func hours(_ day: String) throws -> Int64 {
      let day = try #require(CivilTime.parseDate(day))
      return (zone.start(ofLocalDay: day + 1) - zone.start(ofLocalDay: day)) / 3600
    }
    #expect(try hours("2026-03-07") == 24)
    #expect(try hours("2026-03-08") == 23)
    #expect(try hours("2026-11-01") == 25)
  }
}
