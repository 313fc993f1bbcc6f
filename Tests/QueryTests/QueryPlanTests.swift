import Ports
import Testing
import Views

@testable import QueryAPI

/// Now is 2026-11-15T10:20:33.5Z unless a test says else.
@Suite struct QueryPlanTests {
  private let parser = QueryRequestParser(pipelines: ["default"])
  private let zones = ZoneDatabase()

  private func plan(
    _ range: String, granularity: String? = nil, timezone: String = "UTC",
    now: String = "2026-11-15T10:20:33.5Z"
  ) throws -> QueryPlan {
    var json = #"{"metrics":["clicks"],"date_range":\#(range),"timezone":"\#(timezone)""#
    if let granularity { json += #","granularity":"\#(granularity)""# }
    let request = try parser.request(json: Array((json + "}").utf8), parameters: [])
    return try QueryPlan.make(
      for: request, now: try #require(CivilTime.parseTimestamp(now)),
      zone: try #require(zones.zone(named: timezone)))
  }

  private func error(
    _ range: String, granularity: String? = nil, timezone: String = "UTC"
  ) throws -> QueryError? {
    do {
      _ = try plan(range, granularity: granularity, timezone: timezone)
      return nil
    } catch let error as QueryError {
      return error
    }
  }

  /// Such as `1h 2026-11-01T04:00:00Z..2026-11-02T05:00:00Z`.
  private func text(_ plan: QueryPlan) -> [String] {
    plan.segments.map { segment in
      let from = CivilTime.text(micros: segment.from)
      return "\(segment.level.name) \(from)..\(CivilTime.text(micros: segment.to))"
    }
  }

  private func buckets(_ plan: QueryPlan) -> [String] {
    plan.buckets.map { CivilTime.text(micros: $0) }
  }

  @Test("a range is tiled with the longest windows that fit, finer ones at its edges")
  func tiles() throws {
    #expect(
      text(try plan(#"["2026-11-14T22:58:50Z","2026-11-15T01:01:10Z"]"#)) == [
        "10s 2026-11-14T22:58:50Z..2026-11-14T22:59:00Z",
        "1m 2026-11-14T22:59:00Z..2026-11-14T23:00:00Z",
        "1h 2026-11-14T23:00:00Z..2026-11-15T01:00:00Z",
        "1m 2026-11-15T01:00:00Z..2026-11-15T01:01:00Z",
        "10s 2026-11-15T01:01:00Z..2026-11-15T01:01:10Z",
      ])
    #expect(
      text(try plan(#"["2019-11-24T00:00:00Z","2019-12-01T00:00:00Z"]"#)) == [
        "1d 2019-11-24T00:00:00Z..2019-12-01T00:00:00Z"
      ])
    #expect(
      text(try plan(#"["2026-11-10T07:00:00Z","2026-11-12T09:30:00Z"]"#)) == [
        "1h 2026-11-10T07:00:00Z..2026-11-11T00:00:00Z",
        "1d 2026-11-11T00:00:00Z..2026-11-12T00:00:00Z",
        "1h 2026-11-12T00:00:00Z..2026-11-12T09:00:00Z",
        "1m 2026-11-12T09:00:00Z..2026-11-12T09:30:00Z",
      ])
  }

  @Test("ranges by name end at the next 10 s, or are whole local days and months")
  func names() throws {
    func range(_ word: String, _ timezone: String = "UTC") throws -> [String] {
      let range = try plan("\"\(word)\"", timezone: timezone).range
      return [CivilTime.text(micros: range.from), CivilTime.text(micros: range.to)]
    }
    #expect(try range("30m") == ["2026-11-15T09:50:40Z", "2026-11-15T10:20:40Z"])
    #expect(try range("24h") == ["2026-11-14T10:20:40Z", "2026-11-15T10:20:40Z"])
    #expect(try range("day") == ["2026-11-15T00:00:00Z", "2026-11-16T00:00:00Z"])
    #expect(try range("7d") == ["2026-11-09T00:00:00Z", "2026-11-16T00:00:00Z"])
    #expect(try range("month") == ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"])
    #expect(try range("all") == ["1970-01-01T00:00:00Z", "2026-11-17T00:00:00Z"])
    #expect(
      try range("month", "America/New_York") == ["2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"])
    #expect(try range("day", "Asia/Kolkata") == ["2026-11-14T18:30:00Z", "2026-11-15T18:30:00Z"])
  }

  @Test("local days over the end of summer time consist of hours, 25 of them on one day")
  func longDay() throws {
    let plan = try plan(
      #"["2026-10-31","2026-11-02"]"#, granularity: "day", timezone: "America/New_York")
    #expect(
      buckets(plan) == [
        "2026-10-31T04:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z",
      ])
    #expect(text(plan) == ["1h 2026-10-31T04:00:00Z..2026-11-03T05:00:00Z"])
  }

  @Test("the day on which summer time begins has 23 hours")
  func shortDay() throws {
    let plan = try plan(
      #"["2026-03-08","2026-03-08"]"#, granularity: "hour", timezone: "America/New_York")
    #expect(plan.buckets.count == 23)
    #expect(plan.range.to - plan.range.from == 23 * 3_600_000_000)
  }

  @Test("days of a zone with half an hour take minutes at their edges while those are kept")
  func halfHours() throws {
    let plan = try plan(
      #"["2026-11-10","2026-11-11"]"#, granularity: "day", timezone: "Asia/Kolkata")
    #expect(buckets(plan) == ["2026-11-09T18:30:00Z", "2026-11-10T18:30:00Z"])
    #expect(
      text(plan) == [
        "1m 2026-11-09T18:30:00Z..2026-11-09T19:00:00Z",
        "1h 2026-11-09T19:00:00Z..2026-11-10T18:00:00Z",
        "1m 2026-11-10T18:00:00Z..2026-11-10T19:00:00Z",
        "1h 2026-11-10T19:00:00Z..2026-11-11T18:00:00Z",
        "1m 2026-11-11T18:00:00Z..2026-11-11T18:30:00Z",
      ])
    let error = try error(
      #"["2026-05-10","2026-05-11"]"#, granularity: "day", timezone: "Asia/Kolkata")
    #expect(error?.code == .rangeNotKept)
    #expect(error?.detail.contains("90 days") == true)
  }

  @Test("local hours of a zone with half an hour begin at the half of UTC's")
  func localHours() throws {
    let plan = try plan(
      #"["2026-11-15T08:30:00Z","2026-11-15T10:30:00Z"]"#, granularity: "hour",
      timezone: "Asia/Kolkata")
    #expect(buckets(plan) == ["2026-11-15T08:30:00Z", "2026-11-15T09:30:00Z"])
    #expect(text(plan) == ["1m 2026-11-15T08:30:00Z..2026-11-15T10:30:00Z"])
  }

  @Test("a bucket that the range begins inside of is named by its whole start")
  func partialBucket() throws {
    let plan = try plan(#"["2026-11-12T06:00:00Z","2026-11-13T06:00:00Z"]"#, granularity: "day")
    #expect(buckets(plan) == ["2026-11-12T00:00:00Z", "2026-11-13T00:00:00Z"])
    #expect(text(plan) == ["1h 2026-11-12T06:00:00Z..2026-11-13T06:00:00Z"])
  }

  @Test("weeks begin on Monday, months on the first")
  func weeks() throws {
    let weeks = try plan(#"["2026-11-01","2026-11-15"]"#, granularity: "week")
    #expect(
      buckets(weeks) == ["2026-10-26T00:00:00Z", "2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z"])
    #expect(text(weeks) == ["1d 2026-11-01T00:00:00Z..2026-11-16T00:00:00Z"])
    let months = try plan(
      #"["2026-01-15","2026-03-02"]"#, granularity: "month", timezone: "Europe/Berlin")
    #expect(
      buckets(months) == ["2025-12-31T23:00:00Z", "2026-01-31T23:00:00Z", "2026-02-28T23:00:00Z"])
  }

  @Test("ends that are not at full 10 s are refused with the nearest ones that are")
  func unaligned() throws {
    let error = try error(#"["2026-11-15T00:00:05Z","2026-11-15T01:00:00Z"]"#)
    #expect(error?.code == .rangeUnaligned)
    #expect(error?.path == "$.date_range[0]")
    #expect(error?.detail.contains("2026-11-15T00:00:00Z or 2026-11-15T00:00:10Z") == true)
  }

  @Test("edges that need rows no longer kept are refused with the alignment that works")
  func notKept() throws {
    let seconds = try error(#"["2026-11-01T00:00:10Z","2026-11-02T00:00:00Z"]"#)
    #expect(seconds?.code == .rangeNotKept)
    #expect(seconds?.detail.contains("48 hours") == true)
    #expect(try error(#"["2026-11-01T00:01:00Z","2026-11-02T00:00:00Z"]"#) == nil)
    let minutes = try error(#"["2026-07-01T00:01:00Z","2026-07-02T00:00:00Z"]"#)
    #expect(minutes?.code == .rangeNotKept)
    #expect(minutes?.detail.contains("full hours") == true)
    #expect(try error(#"["2026-07-01T01:00:00Z","2026-07-02T00:00:00Z"]"#) == nil)
    let fine = try error(#"["2026-11-01T00:00:00Z","2026-11-02T00:00:00Z"]"#, granularity: "10s")
    #expect(fine?.code == .rangeNotKept)
  }

  @Test("ranges without extent, and cut into too many buckets, are refused")
  func refused() throws {
    #expect(
      try error(#"["2026-11-02T00:00:00Z","2026-11-02T00:00:00Z"]"#)?.code == .invalidValue)
    #expect(try error(#"["2026-11-03","2026-11-01"]"#)?.code == .invalidValue)
    #expect(try error(#""all""#, granularity: "hour")?.code == .tooManyBuckets)
    #expect(
      try error(#"["0001-01-01","9999-12-31"]"#, granularity: "day")?.code == .tooManyBuckets)
    #expect(
      try error(#"["0001-01-01","9999-12-31"]"#, granularity: "10s")?.code == .tooManyBuckets)
  }

  @Test("months of a zone over decades are read from few stretches")
  func fewStretches() throws {
    let plan = try plan(#""all""#, granularity: "month", timezone: "America/New_York")
    #expect(plan.segments.count <= QueryPlan.segmentCountComfortable)
    #expect(plan.buckets.count > 600)
  }

  @Test("every plan tiles its range exactly, and no window crosses a bucket", arguments: 0..<20)
  func laws(seed: UInt64) throws {
    var random = Random(seed: seed)
    let names = [
      "UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/London",
      "Asia/Kathmandu",
    ]
    let now = try #require(CivilTime.parseTimestamp("2026-11-15T10:20:33.5Z"))
    for _ in 0..<20 {
      let from = WindowLevel.tenSeconds.start(of: now - Int64(random.below(47 * 3600)) * 1_000_000)
      let length = 10_000_000 * Int64(1 + random.below(20_000))
      let granularity = random.pick([nil] + Granularity.allCases.map { Optional($0) })
      let timezone = random.pick(names)
      let plan = try plan(
        #"["\#(CivilTime.text(micros: from))","\#(CivilTime.text(micros: from + length))"]"#,
        granularity: granularity?.rawValue, timezone: timezone)
      var time = plan.range.from
      for segment in plan.segments {
        #expect(segment.from == time && segment.to > segment.from)
        #expect(segment.level.start(of: segment.from) == segment.from)
        #expect(segment.level.start(of: segment.to) == segment.to)
        time = segment.to
        for start in plan.buckets where start > segment.from && start < segment.to {
          #expect(segment.level.start(of: start) == start, "\(timezone) \(granularity as Any)")
        }
      }
      #expect(time == plan.range.to)
      if let first = plan.buckets.first { #expect(first <= plan.range.from) }
      #expect(zip(plan.buckets, plan.buckets.dropFirst()).allSatisfy { $0 < $1 })
    }
  }
}
