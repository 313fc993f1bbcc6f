import Events
import Oracles
import Statistics
import Testing
import Views

@testable import Analyses

@Suite struct BreakdownTests {
  private static let always = Int64.min..<Int64.max

  private static func question(
    _ dimensions: [BreakdownDimension], filters: [BreakdownFilter] = [], buckets: [Int64] = [],
    offsets: [BreakdownQuestion.ZoneOffset] = [], measures: BreakdownMeasures = [],
    tops: [BreakdownDimension] = [], groupCountMax: Int? = nil, times: Range<Int64> = always
  ) -> BreakdownQuestion {
    BreakdownQuestion(
      site: "shop", times: times, dimensions: dimensions, filters: filters, buckets: buckets,
      offsets: offsets, measures: measures, tops: tops, groupCountMax: groupCountMax)
  }

  @Test("Copies, what is too late, what lies outside of the range and other sites do not count")
  func counted() throws {
    let elsewhere = DimensionTuple(site: "other", campaign: "spring")
    let events = [
      ScannedEvent(id: 1), ScannedEvent(id: 1), ScannedEvent(id: 2, kind: .click),
      ScannedEvent(id: 3, time: ten - 3 * hour), ScannedEvent(id: 4, time: ten - hour),
      ScannedEvent(id: 5, tuple: elsewhere), ScannedEvent(id: 6, kind: .identify),
      ScannedEvent(id: 7, kind: .view, time: ten + 24 * hour),
    ]
    let all = try ScannedFrames.breakdown(Self.question([.campaign]), events)
    // One from the future counts at its receipt.
    #expect(ScannedFrames.texts(all) == ["0 spring [2 1 1 0 0 0]"])
    let late = try ScannedFrames.breakdown(
      Self.question([], times: ten - 2 * hour..<ten), events)
    #expect(ScannedFrames.texts(late) == ["0  [1 0 0 0 0 0]"])
  }

  @Test("Money is kept apart by currency, and rows are in order of bucket and value")
  func currencies() throws {
    func sale(_ id: UInt64, _ currency: String, _ revenue: Int64, _ time: Int64) -> ScannedEvent {
      ScannedEvent(
        id: id, kind: .conversion, time: time,
        tuple: DimensionTuple(
          site: "shop", campaign: id % 2 == 0 ? "b" : "a", currency: currency), revenue: revenue)
    }
    let events = [
      sale(1, "EUR", 5, ten), sale(2, "EUR", 7, ten), sale(3, "USD", 11, ten),
      sale(5, "EUR", 13, ten - hour),
    ]
    let found = try ScannedFrames.breakdown(
      Self.question([.campaign], buckets: [ten - hour, ten]), events)
    #expect(
      ScannedFrames.texts(found) == [
        "0 a EUR[0 0 0 0 1 13]", "1 a EUR[0 0 0 0 1 5]USD[0 0 0 0 1 11]", "1 b EUR[0 0 0 0 1 7]",
      ])
  }

  @Test("Device, browser and system come from the agent, the name from the event")
  func agents() throws {
    let events = [
      ScannedEvent(id: 1, agent: "Chrome 126/Windows/desktop"),
      ScannedEvent(id: 2, agent: "Safari 17/iOS/mobile"),
      ScannedEvent(id: 3, name: "Other", agent: "Safari 16/iOS/mobile"),
      ScannedEvent(id: 4),
    ]
    let devices = try ScannedFrames.breakdown(
      Self.question([.device, .browser, .system]), events, perFrame: 2)
    #expect(
      ScannedFrames.texts(devices) == [
        "0 || [1 0 0 0 0 0]", "0 desktop|Chrome|Windows [1 0 0 0 0 0]",
        "0 mobile|Safari|iOS [2 0 0 0 0 0]",
      ])
    let phones = try ScannedFrames.breakdown(
      Self.question(
        [.event], filters: [BreakdownFilter(.device, .isAnyOf, [Array("mobile".utf8)])]),
      events, perFrame: 3)
    #expect(
      ScannedFrames.texts(phones) == ["0 Name [1 0 0 0 0 0]", "0 Other [1 0 0 0 0 0]"])
  }

  @Test("Source and medium are the campaign's, else the address's, else the referrer's")
  func sources() throws {
    let tables: [(payload: String, values: String)] = [
      (#"{"context":{"campaign":{"source":"news","medium":"email"}}}"#, "news|email|"),
      (#"{"url":"https://shop.example/?utm_source=a%20b&utm_medium=cpc#x"}"#, "a b|cpc|"),
      (#"{"url":"https:\/\/shop.example\/?x=1&utm_source=esc"}"#, "esc||"),
      (
        #"{"url":"https://shop.example/","ref":"https://www.Search.example/q?utm_source=no"}"#,
        "search.example|referral|search.example"
      ),
      (#"{"url":"https://shop.example/b","ref":"https://www.shop.example/a"}"#, "||"),
      (#"{"properties":{"$referrer":"$direct"}}"#, "||"),
      (
        #"{"refr":"android-app://com.mail.app/","url":"https://s.example/?utm_source=m"}"#,
        "m|referral|com.mail.app"
      ),
      ("{}", "||"),
      ("no json at all", "||"),
    ]
    for (payload, values) in tables {
      let found = try ScannedFrames.breakdown(
        Self.question([.source, .medium, .referrer]), [ScannedEvent(id: 1, payload: payload)])
      #expect(ScannedFrames.texts(found) == ["0 \(values) [1 0 0 0 0 0]"], "\(payload)")
    }
  }

  @Test("Country and source come from the payload, cut between characters where they are long")
  func payloads() throws {
    let long = String(repeating: "ä", count: 200)
    let found = try ScannedFrames.breakdown(
      Self.question([.country, .source]),
      [
        ScannedEvent(
          id: 1, payload: #"{"context":{"location":{"country":"DE"}},"utm_source":"\#(long)"}"#)
      ])
    let cut = String(repeating: "ä", count: 128)
    #expect(ScannedFrames.texts(found) == ["0 DE|\(cut) [1 0 0 0 0 0]"])
  }

  @Test("The hour of the week is that of the zone, on both sides of a change of its clock")
  func hours() throws {
    // Berlin: +2 h until Sunday 2025-10-26T01:00Z, +1 h from then on.
    let change: Int64 = 1_761_440_400 * second
    let offsets = [
      BreakdownQuestion.ZoneOffset(from: change - 100 * hour, seconds: 7200),
      BreakdownQuestion.ZoneOffset(from: change, seconds: 3600),
    ]
    let times = [change - hour, change - second, change, change + hour, ten]
    var found: [String] = []
    for time in times {
      let event = ScannedEvent(id: 1, time: time)
      let breakdown = try ScannedFrames.breakdown(
        Self.question([.hourOfWeek], offsets: offsets), [event], at: time)
      found += breakdown.rows().map { $0.values[0] }
    }
    #expect(found == ["7-02", "7-02", "7-02", "7-03", "1-11"])
    for (day, count) in [("1-", 1), ("7-", 0)] {
      let filtered = try ScannedFrames.breakdown(
        Self.question(
          [], filters: [BreakdownFilter(.hourOfWeek, .contains, [Array(day.utf8)])],
          offsets: [BreakdownQuestion.ZoneOffset(from: 0, seconds: 0)]), [ScannedEvent(id: 1)])
      #expect(filtered.rows().count == count, "\(day)")
    }
  }

  @Test("Groups beyond the limit count for (other), and the answer says which share that is")
  func others() throws {
    let events = (0..<100).map { (number: Int) -> ScannedEvent in
      ScannedEvent(
        id: UInt64(number + 1), kind: number % 2 == 0 ? .impression : .click,
        tuple: DimensionTuple(site: "shop", content: "c\(number % 10)"))
    }
    let found = try ScannedFrames.breakdown(
      Self.question([.content], groupCountMax: 4), events)
    #expect(found.otherShare == 0.6)
    let texts = ScannedFrames.texts(found)
    #expect(texts.count == 5 && texts.last == "0 (other) [30 0 30 0 0 0]", "\(texts)")
    let whole = try ScannedFrames.breakdown(Self.question([.content]), events)
    #expect(whole.otherShare == 0 && whole.rows().count == 10)
  }

  @Test("Uniques are within the sketch's error of an exact count", arguments: [100, 3000, 60_000])
  func uniques(persons: Int) throws {
    var random = SeededGenerator(seed: UInt64(persons))
    var seen: Set<UInt64> = []
    let events = (0..<persons).map { (number: Int) -> ScannedEvent in
      let person = UInt64(random.below(persons))
      seen.insert(person)
      return ScannedEvent(id: UInt64(number + 1), person: person)
    }
    let found = try ScannedFrames.breakdown(
      Self.question([.campaign], measures: .uniques), events, perFrame: 1000)
    let estimate = found.rows()[0].uniques?.estimate ?? 0
    // Four standard deviations of 0.81 %.
    #expect(abs(estimate / Double(seen.count) - 1) < 0.0325, "\(estimate) of \(seen.count)")
  }

  @Test("Quantiles of dwell and scroll are within one percent, whatever kind reports them")
  func quantiles() throws {
    let events = (1...1000).map { (number: Int) -> ScannedEvent in
      ScannedEvent(
        id: UInt64(number), kind: number % 2 == 0 ? .engagement : .custom,
        payload: number % 2 == 0
          ? #"{"dw":\#(number * 1000),"sd":\#(number % 100 + 1)}"#
          : #"{"properties":{"$prev_pageview_duration":\#(number)}}"#)
    }
    let found = try ScannedFrames.breakdown(
      Self.question([], measures: [.dwell, .scroll]),
      events + [ScannedEvent(id: 2000, kind: .custom)])
    let row = try #require(found.rows().first)
    for share in [0.5, 0.75, 0.9, 0.95, 0.99] {
      let seconds = try #require(row.dwell?.quantile(share))
      #expect(abs(seconds / (share * 1000) - 1) < 0.0125, "\(share): \(seconds)")
    }
    #expect(row.scroll?.count == 500 && row.dwell?.count == 1000)
    #expect(row.counts[""]?.engagements == 500 && row.events == 500)
  }

  @Test("Contents and referrers that are most have bounds that hold")
  func tops() throws {
    var random = SeededGenerator(seed: 9)
    var exact: [String: UInt64] = [:]
    let events = (0..<20_000).map { (number: Int) -> ScannedEvent in
      // A few that are frequent before many that are not.
      let content = random.once(in: 2) ? "top-\(random.below(10))" : "c-\(random.below(3000))"
      exact[content, default: 0] += 1
      return ScannedEvent(
        id: UInt64(number + 1), tuple: DimensionTuple(site: "shop", content: content),
        payload: #"{"ref":"https://r\#(number % 3).example/"}"#)
    }
    let found = try ScannedFrames.breakdown(
      Self.question([], tops: [.content, .referrer, .device, .campaign, .event]), events,
      perFrame: 500)
    let row = try #require(found.rows().first)
    try #require(row.tops.count == 5)
    let contents = row.tops[0]
    #expect(contents.isCertain && contents.entries.count == 10)
    for entry in contents.entries {
      let truth = exact[entry.text] ?? 0
      #expect(entry.count >= truth && entry.count - entry.error <= truth, "\(entry) \(truth)")
      #expect(entry.text.hasPrefix("top-"))
    }
    // Nobody says of what device it is; the campaign is empty, which is a value too.
    #expect(row.tops[2].entries.isEmpty)
    #expect(row.tops[3].entries.map(\.text) == [""] && row.tops[3].entries[0].count == 20_000)
    #expect(row.tops[4].entries.map(\.text) == ["Name"])
    let referrers = row.tops[1].entries.map(\.text).sorted()
    #expect(referrers == ["r0.example", "r1.example", "r2.example"])
  }

  @Test(
    "However events are divided among streams, and in whatever order these are merged, the rows are the same"
  )
  func merged() throws {
    for seed in 1...12 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let events = (0..<400).map { (number: Int) -> ScannedEvent in
        ScannedEvent(
          id: UInt64(number + 1), kind: random.pick(EventKind.allCases),
          person: UInt64(random.below(90)), time: ten - random.time(upTo: hour),
          tuple: DimensionTuple(
            site: "shop", campaign: "c\(random.below(3))", content: "p\(random.below(9))",
            currency: random.pick(["", "EUR", "USD"])), revenue: random.time(upTo: 1_000_000),
          name: "n\(random.below(3))",
          agent: random.pick(["", "Chrome 126/Windows/desktop", "Safari 17/iOS/mobile"]),
          payload: #"{"country":"\#(random.pick(["DE", "FR", ""]))","dw":\#(random.below(9000))}"#)
      }
      let question = Self.question(
        [.campaign, .country, .device, .event, .hourOfWeek],
        buckets: [ten - hour, ten - hour / 2],
        measures: [.uniques, .dwell, .everyKind], tops: [.content, .country])
      let whole = try ScannedFrames.breakdown(question, events)
      var parts = Array(repeating: [ScannedEvent](), count: 3)
      for event in events { parts[Int(event.person) % 3].append(event) }
      func scan(_ part: Int) throws -> Breakdown {
        try ScannedFrames.breakdown(question, parts[part])
      }
      let left = try scan(0)
      try left.merge(scan(1))
      try left.merge(scan(2))
      let tail = try scan(2)
      try tail.merge(scan(0))
      let right = try scan(1)
      try right.merge(tail)
      #expect(ScannedFrames.texts(left) == ScannedFrames.texts(whole), "seed \(seed)")
      #expect(ScannedFrames.texts(right) == ScannedFrames.texts(whole), "seed \(seed)")
      for (a, b) in zip(whole.rows(), right.rows()) {
        #expect(a.uniques == b.uniques && a.dwell == b.dwell && a.events == b.events)
        #expect(a.tops.map(\.entries) == b.tops.map(\.entries) && a.tops.count == 2)
      }
    }
  }
}
