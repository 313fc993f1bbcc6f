import Events
import Learning
import Testing

@testable import Definitions

@Suite("Definitions of segments")
struct SegmentFileTests {
  private static let name = "segments.yaml"
  private static let whole = """
    half_life: 7d
    memory: 30d
    persons: 5000
    currency: EUR
    segments:
      loyal:
        description: comes often
        when:
          all:
            - frequency >= 5
            - recency < 36h
            - any: [topic.sport > 0.5, not: value <= 10]
      plain:
        when: clicks > 0
        events: true
      recent:
        when:
          all:
            - event.Signed Up in 30d >= 1
            - clicks in 36h < 3
            - property.plan = pro plus
            - property.age >= 18
            - country.DE > 0.5
    clusters:
      count: 4
      every: 10m

    """

  @Test("conditions are read with their nesting, and durations as days")
  func whole() throws {
    let fixture = try Fixture()
    try fixture.write(Self.name, Self.whole)
    let day: Int64 = 86_400_000_000
    #expect(
      try Definitions(folder: fixture.folder).profiles
        == ProfilePolicy(
          decay: Decay(halfLife: 7 * day), memory: 30 * day, personsMax: 5_000, currency: "EUR",
          segments: [
            SegmentRule(
              id: "loyal", description: "comes often",
              condition: .all([
                .compare(.frequency, .atLeast, 5), .compare(.recency, .less, 1.5),
                .any([
                  .compare(.share(.topic, "sport"), .more, 0.5),
                  .not(.compare(.value, .atMost, 10)),
                ]),
              ])),
            SegmentRule(
              id: "plain", description: "", condition: .compare(.clicks, .more, 0),
              isAnnounced: true),
            SegmentRule(
              id: "recent", description: "",
              condition: .all([
                .compare(.within(.named("Signed Up"), 30 * day), .atLeast, 1),
                .compare(.within(.kind(.click), 3 * day / 2), .less, 3),
                .equals(property: "plan", "pro plus"), .compare(.property("age"), .atLeast, 18),
                .compare(.share(.country, "DE"), .more, 0.5),
              ])),
          ],
          clusterCount: 4, clustersEvery: 600_000_000))
  }

  @Test("a folder without the file has no profiles, and the repository's file has segments")
  func none() throws {
    let fixture = try Fixture()
    #expect(try Definitions(folder: fixture.folder).profiles == nil)
    #expect(try Definitions(folder: Fixture.original).profiles?.segments.isEmpty == false)
  }

  @Test(
    "a mistake is named with its line",
    arguments: [
      ("loyal:", "Loyal:", "segments.Loyal", "a-z"),
      ("frequency >= 5", "freqency >= 5", "segments.loyal.when.all", "write frequency"),
      ("frequency >= 5", "frequency => 5", "segments.loyal.when.all", "<, <=, >=, >"),
      ("frequency >= 5", "frequency>=5", "segments.loyal.when.all", "with spaces"),
      ("recency < 36h", "recency < 36", "segments.loyal.when.all", "36h or 7d"),
      ("topic.sport > 0.5", "hour.24 > 0.5", "segments.loyal.when.all.any", "hour.…"),
      ("value <= 10", "value <= -1", "segments.loyal.when.all.any.not", "from 0 on"),
      ("any: [", "some: [", "segments.loyal.when.all", "all, any, not"),
      ("clicks in 36h", "likes in 36h", "segments.recent.when.all", "impressions, views, clicks"),
      ("clicks in 36h", "clicks in 36", "segments.recent.when.all", "36h or 7d"),
      ("clicks in 36h < 3", "clicks in 36h < 300", "segments.recent.when.all", "0 to 100"),
      ("clicks in 36h < 3", "clicks in 36h = 3", "segments.recent.when.all", "<, <=, >=, >"),
      ("clicks in 36h", "clicks in 31d", "segments.recent.when.all", "at most the memory, 30d"),
      ("event.Signed Up in 30d >= 1", "event.Signed Up >= 1", "segments.recent.when.all", "in 7d"),
      ("clicks > 0", "clicks = 0", "segments.plain.when", "property.… alone"),
      ("events: true", "events: yes", "segments.plain.events", "true, false"),
      ("half_life: 7d", "half_life: 7", "half_life", "duration"),
      ("currency: EUR", "currency: euro", "currency", "ISO 4217"),
      ("persons: 5000", "persons: 5", "persons", "whole number"),
      ("  count: 4\n", "", "clusters.count", "is missing"),
    ])
  func mistakes(old: String, new: String, key: String, says: String) throws {
    let fixture = try Fixture()
    try fixture.write(Self.name, Self.whole)
    let line = try fixture.replace(Self.name, old, with: new)
    let problems = Definitions.check(folder: fixture.folder)
    let problem = try #require(problems.first)
    #expect(
      problem.key == key && problem.line > 0 && (line - 1...line).contains(problem.line)
        || says == "is missing")
    #expect(problem.description.contains(says), "\(problem)")
  }
}
