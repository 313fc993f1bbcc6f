import Testing

@testable import DemoTraffic

@Suite("The demo's traffic")
struct DemoGeneratorTests {
  private static let start: Int64 = 1_795_000_000_000_000

  /// Runs a generator at 100 events per second.
  private func requests(
    seed: UInt64 = 1, run: String = "r", label: String = "", count: Int
  ) -> (requests: [DemoRequest], facets: DemoFacets, end: Int64) {
    var generator = DemoGenerator(seed: seed, run: run, label: label, writeKey: "dev")
    var requests: [DemoRequest] = []
    var now = Self.start
    for _ in 0..<count {
      requests += generator.step(now: now)
      now += 10_000
    }
    requests += generator.finish(now: now)
    return (requests, generator.facets, now)
  }

  private func truth(_ requests: [DemoRequest]) -> DemoTruth {
    var truth = DemoTruth()
    for request in requests where request.expectation == .accepted {
      for event in request.events { truth.add(event) }
    }
    return truth
  }

  @Test("is the same for the same seed and times, and another for another seed")
  func deterministic() {
    let one = requests(seed: 7, count: 2_000)
    let same = requests(seed: 7, count: 2_000)
    let other = requests(seed: 8, count: 2_000)
    #expect(one.requests.map(\.target) == same.requests.map(\.target))
    #expect(one.requests.map(\.body) == same.requests.map(\.body))
    #expect(truth(one.requests) == truth(same.requests))
    #expect(truth(one.requests) != truth(other.requests))
  }

  @Test("has every sort of traffic within a hundred events", arguments: [1, 2, 3, 4, 5, 99])
  func everySort(seed: UInt64) {
    let facets = requests(seed: seed, count: 100).facets
    for (name, count) in facets.listed where name != "sessions of returning people" {
      #expect(count > 0, "no \(name) with seed \(seed)")
    }
    #expect(requests(seed: seed, count: 500).facets.returning > 0)
  }

  @Test("has every kind of event and money in two currencies within a hundred events")
  func everyKind() {
    var total = DemoTruth.Counts()
    for counts in truth(requests(count: 100).requests).places.values { total.add(counts) }
    #expect(total.impressions > 0 && total.views > 0 && total.clicks > 0)
    #expect(total.engagements > 0 && total.conversions > 0)
    #expect(Set(total.revenue.keys) == ["EUR", "USD"])
  }

  @Test("sends each event in one request that must be accepted, and copies only after it")
  func idsAreUnique() {
    let run = requests(count: 5_000)
    var seen: Set<String> = []
    var copies = 0
    for request in run.requests {
      switch request.expectation {
      case .accepted:
        for event in request.events {
          #expect(seen.insert(event.id).inserted, "\(event.id) is in two requests")
        }
      case .duplicate:
        copies += request.events.count
        for event in request.events {
          #expect(seen.contains(event.id), "the copy of \(event.id) comes first")
        }
      case .refused: #expect(request.events.isEmpty)
      }
    }
    #expect(seen.count == 5_000)
    #expect(copies == run.facets.resentEvents)
  }

  @Test("keeps every event's time within its sort's range")
  func times() {
    let run = requests(count: 3_000)
    let second: Int64 = 1_000_000
    for request in run.requests where request.expectation == .accepted {
      for event in request.events {
        let age = run.end - event.time
        #expect(event.time % 1_000 == 0)
        #expect(event.time <= run.end)
        switch event.timing {
        case .live, .outOfOrder: break
        case .late: #expect((2 * 60 * second..<41 * 60 * second).contains(age))
        case .veryLate: #expect((2 * 3_600 * second..<29 * 3_600 * second).contains(age))
        }
      }
    }
  }

  @Test("keeps batches within Segment's limits and holds none back for long")
  func batches() {
    for request in requests(count: 3_000).requests where request.target == "/v1/batch" {
      #expect(request.events.count <= 20)
      #expect(request.body.count < 32 * 1024)
    }
    var generator = DemoGenerator(seed: 1, run: "r", label: "", writeKey: "dev")
    var sent = 0
    // One event a second: a batch that waits is sent with the next event.
    for second in 0..<200 {
      let requests = generator.step(now: Self.start + Int64(second) * 1_000_000)
      sent += requests.filter { $0.expectation == .accepted }.map(\.events.count).reduce(0, +)
      #expect(sent >= second - 1)
    }
  }

  @Test("clicks about as often as its hidden rates say, and bots never do")
  func rates() {
    let run = requests(count: 60_000)
    var total = DemoTruth.Counts()
    for counts in truth(run.requests).places.values { total.add(counts) }
    let rate = Double(total.clicks) / Double(total.impressions)
    #expect((0.02...0.10).contains(rate), "the click rate is \(rate)")
    for request in run.requests {
      for event in request.events where event.person.isBot { #expect(event.action == .impression) }
    }
  }

  /// As Docs/experiments.md has them.
  @Test(
    "assigns persons by the rule that the server assigns them by",
    arguments: [
      ("spring-subject", "ann", 974_350), ("spring-subject", "bob", 177_039),
      ("spring-subject", "Zoë", 216_712), ("autumn", "ann", 28_318),
    ])
  func buckets(experiment: String, person: String, bucket: UInt64) {
    #expect(DemoExperiment.bucket(of: person, in: experiment) == bucket)
  }

  @Test(
    "shows a person of the experiment one variant, and both to as many, on devices of all classes")
  func experiment() {
    var variants: [String: Set<String>] = [:]
    for request in requests(count: 20_000).requests {
      for event in request.events
      where event.place.campaign == DemoExperiment.campaign && !event.person.isBot {
        variants[event.person.name, default: []].insert(event.place.variant)
      }
    }
    #expect(variants.values.allSatisfy { $0.count == 1 })
    let shown = variants.values.count { $0 == ["a"] }
    let share = Double(shown) / Double(variants.count)
    #expect(variants.count > 100 && (0.4...0.6).contains(share), "\(shown) of \(variants.count)")
    let agents = Set(
      (0..<200).map { DemoVisitor(DemoPerson(userID: "user-\($0)")).agent })
    #expect(agents.count == 6)
  }

  @Test("appends the label to every campaign's name")
  func label() {
    let run = requests(label: "x", count: 500)
    #expect(truth(run.requests).places.keys.allSatisfy { $0.campaign.hasSuffix("-x") })
  }
}
