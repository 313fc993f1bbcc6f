import Testing

@testable import Collector

@Suite("Rate limit")
struct RateLimitTests {
  private static let second: Int64 = 1_000_000

  @Test("Two seconds' worth may come at once, then one event per interval")
  func burst() {
    let limit = RateLimit(eventsPerSecond: 10)
    let now: Int64 = 50 * Self.second
    for _ in 0..<20 { #expect(limit.take(1, nowMicros: now) == 0) }
    #expect(limit.take(1, nowMicros: now) > 0)
    #expect(limit.emptyMicros(nowMicros: now) > 0)
    #expect(limit.take(1, nowMicros: now + 100_000) == 0)
    #expect(limit.take(1, nowMicros: now + 100_000) > 0)
    // Left alone it fills up, and no more than that.
    for _ in 0..<20 { #expect(limit.take(1, nowMicros: now + 3600 * Self.second) == 0) }
    #expect(limit.take(1, nowMicros: now + 3600 * Self.second) > 0)
  }

  @Test("A request beyond the bucket is taken whole, and owed")
  func owed() {
    let limit = RateLimit(eventsPerSecond: 10)
    #expect(limit.take(100, nowMicros: 0) == 0)
    // 100 events are 10 seconds; all but the burst of two have to pass.
    #expect(abs(limit.emptyMicros(nowMicros: 0) - 8 * Self.second) <= 1)
    #expect(limit.take(1, nowMicros: 8 * Self.second - 1000) > 0)
    #expect(limit.take(1, nowMicros: 8 * Self.second + 1) == 0)
  }

  @Test("A refusal takes nothing: waiting as long as it says is enough")
  func refusal() {
    let limit = RateLimit(eventsPerSecond: 3)
    #expect(limit.take(50, nowMicros: 0) == 0)
    let wait = limit.take(1, nowMicros: 0)
    for _ in 0..<1000 { #expect(limit.take(1, nowMicros: 0) == wait) }
    #expect(limit.take(1, nowMicros: wait) == 0)
  }

  @Test(
    "Over any time no more is taken than the rate, the burst and one request",
    arguments: [1, 3, 10, 1000, 999_983, 1_000_000])
  func law(rate: Int) {
    var generator = CountingGenerator(state: UInt64(rate))
    let limit = RateLimit(eventsPerSecond: rate)
    var taken: [(at: Int64, events: Int)] = []
    var now: Int64 = 0
    let sizeMax = max(1, rate / 2)
    for _ in 0..<3000 {
      now += Int64.random(in: 0...Self.second / 5, using: &generator)
      let events = Int.random(in: 1...sizeMax, using: &generator)
      if limit.take(events, nowMicros: now) == 0 { taken.append((now, events)) }
    }
    // Sums from each request on, compared with what the time since then allows.
    for start in stride(from: 0, to: taken.count, by: 50) {
      var sum = 0
      for index in start..<taken.count {
        sum += taken[index].events
        let seconds = Double(taken[index].at - taken[start].at) / Double(Self.second)
        // Intervals are whole nanoseconds, so that a rate may be exceeded by a part in a thousand.
        let allowed = (seconds + Double(RateLimit.burstSeconds)) * Double(rate) * 1.001
        #expect(Double(sum) <= allowed + Double(sizeMax) + 1)
      }
    }
    let all = taken.reduce(0) { $0 + $1.events }
    let seconds = Double(now) / Double(Self.second)
    #expect(Double(all) >= min(seconds * Double(rate), Double(3000 * sizeMax / 2)) * 0.9)
  }

  @Test("Threads together get no more than one alone")
  func together() async {
    let limit = RateLimit(eventsPerSecond: 1000)
    let taken = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask { (0..<2000).count { _ in limit.take(1, nowMicros: 77) == 0 } }
      }
      return await group.reduce(0, +)
    }
    #expect(taken == 2000)
  }

  @Test(
    "Origins are as browsers write them",
    arguments: [
      ("https://www.example.org", "https://www.example.org"),
      ("HTTPS://WWW.Example.org/", "https://www.example.org"),
      ("https://a.example:443", "https://a.example"), ("http://a.example:80", "http://a.example"),
      ("https://a.example:80", "https://a.example:80"),
      ("http://localhost:3000", "http://localhost:3000"),
      ("http://[::1]:3000", "http://[::1]:3000"), ("http://[::1]", "http://[::1]"),
      ("capacitor://localhost", "capacitor://localhost"),
      ("https://*.example.org", "https://*.example.org"),
      ("www.example.org", nil), ("https://", nil), ("https://a.example/path", nil),
      ("https://user@a.example", nil), ("https://a.example:x", nil), ("https://*", nil),
      ("*", nil), ("https://a.*.example", nil), ("://a", nil), ("null", nil),
      ("https://a b", nil), ("1https://a", nil), ("", nil),
    ] as [(String, String?)])
  func origins(text: String, expected: String?) {
    #expect(OriginRule.normalized(text) == expected)
  }

  @Test(
    "A listed origin is that one, and a star all hosts below",
    arguments: [
      ("https://www.example.org", true), ("http://www.example.org", false),
      ("https://www.example.org:8443", false), ("https://example.org", false),
      ("https://www.example.org.evil.example", false), ("https://a.example.net", true),
      ("https://a.b.example.net", true), ("https://example.net", false),
      ("https://.example.net", false), ("http://a.example.net", false),
      ("https://a.example.net:8443", false), ("https://evil.example/.example.net", false),
      ("https://evil.example?.example.net", false), ("null", false), ("", false),
    ])
  func listed(origin: String, isAllowed: Bool) {
    let rules = ["https://www.example.org", "https://*.example.net"]
    #expect(OriginRule.allows(origin, rules) == isAllowed)
  }
}
