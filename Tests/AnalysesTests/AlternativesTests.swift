import Events
import Oracles
import Testing
import Views

@testable import Analyses

/// Filters of which one must hold, on dimensions of every part of an event.
@Suite struct AlternativesTests {
  /// An event, and what it has of each dimension that is asked for here.
  private struct Told {
    var event: ScannedEvent
    var values: [BreakdownDimension: String]
  }

  private static let plan = BreakdownDimension.property("plan")
  private static let dimensions: [BreakdownDimension] = [
    .campaign, .content, .device, .event, .country, plan, .hourOfWeek,
  ]

  private static func events(_ random: inout SeededGenerator) -> [Told] {
    (0..<300).map { (number: Int) -> Told in
      let hours = Int64(random.below(3))
      let values: [BreakdownDimension: String] = [
        .campaign: random.pick(["a", "b"]), .content: random.pick(["x", "y", ""]),
        .device: random.pick(["desktop", "mobile", ""]), .event: random.pick(["n", "m"]),
        .country: random.pick(["DE", "FR", ""]), plan: random.pick(["free", "pro", ""]),
        // `ten` is a Monday.
        .hourOfWeek: ["1-10", "1-09", "1-08"][Int(hours)],
      ]
      let device = values[.device] ?? ""
      let event = ScannedEvent(
        id: UInt64(number + 1), person: UInt64(random.below(40)), time: ten - hours * hour,
        tuple: DimensionTuple(
          site: "shop", campaign: values[.campaign] ?? "", content: values[.content] ?? ""),
        name: values[.event] ?? "",
        agent: device.isEmpty
          ? "" : device == "mobile" ? "Safari 17/iOS/mobile" : "Chrome 126/Windows/desktop",
        payload:
          #"{"country":"\#(values[.country] ?? "")","properties":{"plan":"\#(values[plan] ?? "")"}}"#
      )
      return Told(event: event, values: values)
    }
  }

  private static func filter(
    _ random: inout SeededGenerator, _ dimensions: [BreakdownDimension] = Self.dimensions
  ) -> BreakdownFilter {
    let values = ["a", "x", "", "mobile", "n", "DE", "pro", "1-09"].filter { _ in
      random.once(in: 3)
    }
    return BreakdownFilter(
      random.pick(dimensions), random.pick([.isAnyOf, .isAnyOf, .isNoneOf, .contains]),
      values.map { Array($0.utf8) })
  }

  private static func holds(_ filter: BreakdownFilter, _ told: Told) -> Bool {
    let value = told.values[filter.dimension] ?? ""
    let wanted = filter.values.map { String(decoding: $0, as: UTF8.self) }
    return switch filter.test {
    case .isAnyOf: wanted.contains(value)
    case .isNoneOf: !wanted.contains(value)
    case .contains: wanted.contains { $0.isEmpty || value.contains($0) }
    }
  }

  @Test("An event counts where of each list one filter holds", arguments: 0..<60 as Range<UInt64>)
  func breakdown(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let events = Self.events(&random)
    let filters = (0..<random.below(2)).map { _ in Self.filter(&random) }
    let alternatives = (0..<1 + random.below(3)).map { _ in
      (0..<1 + random.below(4)).map { _ in Self.filter(&random) }
    }
    let groups = Self.dimensions.filter { _ in random.once(in: 4) }
    let found = try ScannedFrames.breakdown(
      BreakdownQuestion(
        site: "shop", times: .min..<Int64.max, dimensions: groups, filters: filters,
        alternatives: alternatives), events.map(\.event), perFrame: 1 + random.below(60))
    var expected: [[String]: Int64] = [:]
    for told in events
    where filters.allSatisfy({ Self.holds($0, told) })
      && alternatives.allSatisfy({ $0.contains { Self.holds($0, told) } })
    {
      expected[groups.map { told.values[$0] ?? "" }, default: 0] += 1
    }
    var counted: [[String]: Int64] = [:]
    for row in found.rows() { counted[row.values] = row.events }
    #expect(counted == expected, "seed \(seed)")
  }

  @Test("Twenty lists have a bit each")
  func many() throws {
    var random = SeededGenerator(seed: 7)
    let events = Self.events(&random)
    let yes = BreakdownFilter(.campaign, .isNoneOf, [])
    let no = BreakdownFilter(.country, .isAnyOf, [])
    for place in 0..<20 {
      var alternatives = (0..<20).map { $0 % 2 == 0 ? [no, yes] : [yes, no] }
      func count() throws -> Int64 {
        try ScannedFrames.breakdown(
          BreakdownQuestion(
            site: "shop", times: .min..<Int64.max, alternatives: alternatives),
          events.map(\.event)
        ).rows().reduce(0) { $0 + $1.events }
      }
      #expect(try count() == 300)
      alternatives[place] = [no, no]
      #expect(try count() == 0)
    }
  }

  @Test("Whose steps they are follows the same filters", arguments: 0..<30 as Range<UInt64>)
  func persons(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed &+ 1000)
    let events = Self.events(&random)
    let alternatives = (0..<1 + random.below(3)).map { _ in
      (0..<1 + random.below(4)).map { _ in
        Self.filter(&random, random.once(in: 3) ? [.campaign, .content] : Self.dimensions)
      }
    }
    let question = PersonQuestion(
      site: "shop", times: .min..<Int64.max,
      selectors: [TouchSelector(kinds: [.impression], alternatives: alternatives)],
      policy: PersonPolicy())
    let scan = try ScannedFrames.read(
      PersonScan(question), events.map(\.event), perFrame: 1 + random.below(60))
    var people = PersonPeople(question)
    var touches = 0
    scan.people(&people) { touches += $0.touches.count { $0.marks != 0 } }
    let expected = events.count { told in
      alternatives.allSatisfy { $0.contains { Self.holds($0, told) } }
    }
    #expect(touches == expected, "seed \(seed)")
  }

  @Test("Segments are an alternative as any other dimension")
  func segments() throws {
    let history = SegmentHistory(
      [
        SegmentHistory.Change(
          person: ScannedFrames.person(1), at: ten - hour, number: 1, segment: 0, isIn: true)
      ], segments: ["loyal"])
    let events = [
      ScannedEvent(id: 1, person: 1), ScannedEvent(id: 2, person: 2),
      ScannedEvent(id: 3, person: 3, tuple: DimensionTuple(site: "shop", campaign: "b")),
    ]
    let found = try ScannedFrames.breakdown(
      BreakdownQuestion(
        site: "shop", times: .min..<Int64.max, dimensions: [.campaign],
        alternatives: [
          [
            BreakdownFilter(.segment, .isAnyOf, [Array("loyal".utf8)]),
            BreakdownFilter(.campaign, .isAnyOf, [Array("b".utf8)]),
          ]
        ]), events, segments: history)
    #expect(
      ScannedFrames.texts(found) == ["0 b [1 0 0 0 0 0]", "0 spring [1 0 0 0 0 0]"])
  }
}
