import Events
import Ports
import Testing
import Views

@testable import QueryAPI

@Suite struct ComparisonTests {
  private static let now = "2026-11-30T15:04:07Z"

  private func instant(_ text: String) throws -> Int64 {
    try #require(CivilTime.parseTimestamp(text))
  }

  private func request(_ json: String) throws -> QueryRequest {
    try QueryRequestParser(pipelines: ["default"]).request(json: Array(json.utf8), parameters: [])
  }

  private func plan(_ members: String, zone: String = "UTC") throws -> QueryPlan {
    let rules = try #require(ZoneDatabase().zone(named: zone))
    let request = try request(
      #"{"metrics":["clicks"],"compare":"previous","timezone":"\#(zone)",\#(members)}"#)
    return try QueryPlan.make(for: request, now: instant(Self.now), zone: rules)
  }

  @Test(
    "the period before is as long, in whole days and months where the range is of such",
    arguments: [
      ("30m", "UTC", "2026-11-30T14:04:10Z", "2026-11-30T14:34:10Z"),
      ("24h", "UTC", "2026-11-28T15:04:10Z", "2026-11-29T15:04:10Z"),
      // The days and months of now are not over: their ends are as far in as now is.
      ("day", "UTC", "2026-11-29T00:00:00Z", "2026-11-29T15:04:10Z"),
      ("today", "UTC", "2026-11-29T00:00:00Z", "2026-11-29T15:04:10Z"),
      ("yesterday", "UTC", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"),
      ("48h", "UTC", "2026-11-26T15:05:00Z", "2026-11-28T15:05:00Z"),
      ("7d", "UTC", "2026-11-17T00:00:00Z", "2026-11-23T15:05:00Z"),
      ("80d", "UTC", "2026-06-24T00:00:00Z", "2026-09-11T15:05:00Z"),
      ("120d", "UTC", "2026-04-05T00:00:00Z", "2026-08-02T16:00:00Z"),
      ("month", "UTC", "2026-10-01T00:00:00Z", "2026-10-30T15:05:00Z"),
      // Clocks went back in Berlin on 25 October: the 30 days before November had an hour more.
      ("month", "Europe/Berlin", "2026-09-30T22:00:00Z", "2026-10-30T14:05:00Z"),
      ("day", "Asia/Tokyo", "2026-11-29T15:00:00Z", "2026-11-29T15:04:10Z"),
    ])
  func words(range: String, zone: String, from: String, to: String) throws {
    let before = try #require(try plan(#""date_range":"\#(range)""#, zone: zone).before)
    #expect(CivilTime.text(micros: before.range.from) == from)
    #expect(CivilTime.text(micros: before.range.to) == to)
  }

  @Test(
    "explicit ranges go back by their months, days or length",
    arguments: [
      ("2026-09-01", "2026-10-31", "2026-07-01T00:00:00Z", "2026-09-01T00:00:00Z"),
      ("2026-03-01", "2026-03-31", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
      ("2026-03-01", "2026-03-30", "2026-01-30T00:00:00Z", "2026-03-01T00:00:00Z"),
      ("2026-11-28", "2026-11-28", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"),
      (
        "2026-11-29T10:00:00Z", "2026-11-29T12:30:00Z", "2026-11-29T07:30:00Z",
        "2026-11-29T10:00:00Z"
      ),
    ])
  func explicit(first: String, last: String, from: String, to: String) throws {
    let before = try #require(try plan(#""date_range":["\#(first)","\#(last)"]"#).before)
    #expect(CivilTime.text(micros: before.range.from) == from)
    #expect(CivilTime.text(micros: before.range.to) == to)
  }

  @Test("days of either period meet in order, whatever the length of the month")
  func buckets() throws {
    let plan = try plan(#""date_range":["2026-03-01","2026-03-31"],"granularity":"day""#)
    #expect(plan.buckets.count == 31)
    #expect(plan.before?.buckets.count == 28)
    #expect(plan.hasBefore(bucket: 27))
    #expect(!plan.hasBefore(bucket: 28))
  }

  @Test(
    "what cannot be compared says why",
    arguments: [
      (#""date_range":"all""#, "there is no period before"),
      (#""date_range":"90m","granularity":"hour""#, "no whole number of hour long"),
      (#""date_range":"30d","granularity":"week""#, "no whole number of week long"),
      (
        #""date_range":["2026-11-29T00:00:10Z","2026-11-30T00:00:10Z"]"#,
        "of the period before: 2026-11-28T00:00:10Z needs windows of 10s"
      ),
    ])
  func refusals(members: String, part: String) throws {
    let error = #expect(throws: QueryError.self) { try plan(members) }
    #expect(error?.path == "$.compare")
    #expect(error?.detail.contains(part) == true, "\(error?.detail ?? "")")
  }

  private static let start: Int64 = 1_793_491_200_000_000

  private func event(_ second: Int64, _ campaign: String, kind: UInt8) -> SimulatedEvent {
    let time = Self.start + second * 1_000_000
    return SimulatedEvent(
      logTime: time, time: time,
      tuple: DimensionTuple(site: "default", campaign: campaign), kind: kind, revenueMicros: 0)
  }

  @Test("each row has what its group was in the period before, and nothing that was not asked for")
  func answers() async throws {
    // Ten minutes before and ten minutes now.
    var events: [SimulatedEvent] = []
    events += (0..<40).map { event($0, "spring", kind: $0 < 10 ? 3 : 1) }
    events += (40..<45).map { event($0, "gone", kind: 1) }
    events += (600..<660).map { event($0, "spring", kind: $0 < 605 ? 3 : 1) }
    events += (660..<667).map { event($0, "new", kind: 1) }
    let view = SimulatedView(partitions: [SimulatedPartition(events: events)])
    let count = events.count
    view.set(committed: [count], coarse: [count], hot: [count], made: [1])
    let request = try request(
      #"{"metrics":["impressions","ctr"],"dimensions":["campaign"],"date_range":"10m","#
        + #""compare":"previous"}"#)
    let plan = try QueryPlan.make(for: request, now: Self.start + 1_200_000_000, zone: .utc)
    let answer = try await view.executor.answer(request, plan: plan)
    #expect(answer.rows.map(\.dimensions) == [["new"], ["spring"]])
    let (new, spring) = (answer.rows[0], answer.rows[1])
    #expect(new.before == QueryAnswer.Numbers())
    #expect(spring.counts.impressions == 55 && spring.counts.clicks == 5)
    #expect(spring.before?.sums[.activity].impressions == 30)
    #expect(spring.before?.sums[.activity].clicks == 10)
    let change = NumbersChange(spring.numbers, before: try #require(spring.before))
    guard case .one(let impressions?) = change.relative(.impressions),
      case .one(let rate?) = change.relative(.ctr)
    else {
      Issue.record("both can be compared")
      return
    }
    #expect((impressions - 25.0 / 30).magnitude < 1e-12)
    #expect((rate - ((5.0 / 55) / (10.0 / 30) - 1)).magnitude < 1e-12)
    let difference = try #require(change.difference(.ctr))
    #expect(difference.lower < 5.0 / 55 - 1.0 / 3 && difference.upper < 0)
    #expect(change.difference(.impressions) == nil)
    let json = String(
      decoding: AnswerWriter(request: request, plan: plan, zone: .utc).answer(answer),
      as: UTF8.self)
    #expect(json.contains(#""previous":{"metrics":[30,0.3333333333333333],"intervals":{"ctr":["#))
    #expect(json.contains(#""changes":[0.833333,-0.727273],"differences":{"ctr":[-0.4"#), "\(json)")
    #expect(
      json.contains(
        #""previous":{"metrics":[0,null],"intervals":{"ctr":null},"changes":[null,null]"#))
    #expect(json.contains(#""compare":"previous","previous_date_range":["#))
    var plain = request
    plain.comparison = nil
    let alone = try await view.executor.answer(
      plain, plan: QueryPlan.make(for: plain, now: Self.start + 1_200_000_000, zone: .utc))
    #expect(alone.rows.map(\.numbers) == answer.rows.map(\.numbers))
    #expect(alone.rows.allSatisfy { $0.before == nil })
  }

  @Test("an answer tells the highest revision of its rows")
  func revision() {
    var table = GroupTable()
    for revision in [2, 7, 1] as [Int32] {
      table.add(
        ViewGroup(bucket: 0, dimensions: [], currency: "", counts: Counts(), revision: revision),
        .activity)
    }
    #expect(table.revision == 7)
  }
}
