import Events
import Oracles
import Statistics
import Testing

@testable import Analyses

@Suite("Funnels")
struct FunnelTests {
  private static let times = 0..<1_000 * minute

  private func question(
    _ optional: [Bool], within: Int64, watermark: Int64 = .max, times: Range<Int64> = Self.times
  ) -> Funnel.Question {
    Funnel.Question(
      isOptional: optional, within: within * minute, times: times, watermark: watermark)
  }

  private func reached(_ funnel: Funnel) -> String {
    let counts = funnel.counts.values.first
    return (counts?.steps ?? []).enumerated().filter { $1.persons > 0 }
      .map { String(Character(UnicodeScalar(UInt8(ascii: "a") + UInt8($0.offset)))) }.joined()
  }

  @Test(
    "a person reaches the steps that it takes in order and in time",
    arguments: [
      ("a0 b5 c9", "abc", "abc"), ("", "abc", ""), ("b0 c5", "abc", ""), ("a0 c5", "abc", "a"),
      ("a0 c5 b9", "abc", "ab"),
      // Exactly at the limit of 60 minutes, and beyond it.
      ("a0 b60", "ab", "ab"), ("a0 b61", "ab", "a"),
      // The second beginning is in time for what the first one is too early for.
      ("a0 b10 a50 b55 c70", "abc", "abc"), ("a0 b10 a50 c70", "abc", "ab"),
      // One touch is one step, and at one moment they come in order.
      ("ab0", "ab", "a"), ("b0 a0", "ab", "ab"), ("c3 b3 a3", "abc", "abc"),
      ("ab0 ab0", "ab", "ab"),
      // Optional steps, in lower case with a question mark.
      ("a0 c5", "ab?c", "ac"), ("a0 b2 c5", "ab?c", "abc"), ("a0 c5 b6", "ab?c", "ac"),
      ("a0 b6", "ab?c", "ab"), ("a0 b61", "ab?c", "a"), ("a0 c1 b2 d3", "ab?c?d", "abd"),
      ("a0 c1 d3", "ab?c?d", "acd"),
    ])
  func golden(text: String, steps: String, right: String) {
    var optional: [Bool] = []
    for letter in steps {
      if letter == "?" { optional[optional.count - 1] = true } else { optional.append(false) }
    }
    var funnel = Funnel(question(optional, within: 60))
    funnel.add(history(text))
    #expect(reached(funnel) == right)
  }

  @Test(
    "persons are counted once by the value of their first step, with the time from step to step")
  func counts() throws {
    var funnel = Funnel(question([false, false, false], within: 60))
    for text in ["a0=1 b10 c30", "a0=1 b20 a40=2", "a5=1 a6=1", "a0=2 b2 c4", "b1=2"] {
      funnel.add(history(text))
    }
    let one = try #require(funnel.counts[1])
    #expect(one.steps.map(\.persons) == [3, 2, 1])
    let median = try #require(one.steps[1].seconds.quantile(0.5))
    #expect((median - 600).magnitude <= 0.02 * 600)
    #expect(one.steps[0].seconds.count == 0)
    #expect(funnel.counts[2]?.steps.map(\.persons) == [1, 1, 1])
    #expect(funnel.counts.count == 2)
  }

  @Test("who began less than the limit ago and is not through is open")
  func open() {
    for (watermark, open) in [(59, 1), (60, 1), (61, 0)] as [(Int64, Int64)] {
      var funnel = Funnel(
        question([false, false], within: 60, watermark: watermark * minute))
      funnel.add(history("a0"))
      funnel.add(history("a0 b1"))
      #expect(funnel.counts[0]?.open == open)
    }
  }

  @Test("only first steps must be within the times of the question")
  func range() {
    var funnel = Funnel(question([false, false], within: 60, times: 10 * minute..<20 * minute))
    for text in ["a9 b15", "a10 b15", "a19 b40", "a20 b21"] { funnel.add(history(text)) }
    #expect(funnel.counts[0]?.steps.map(\.persons) == [2, 2])
  }

  /// Every way through required steps, by position.
  private func ways(
    _ touches: [PersonTouch], _ steps: [Int], _ from: Int, _ start: Int64?, _ within: Int64
  ) -> [[Int]] {
    guard let step = steps.first else { return [[]] }
    var all: [[Int]] = [[]]
    for index in from..<max(from, touches.count)
    where touches[index].marks & (1 << UInt32(step)) != 0 {
      if let start, touches[index].time - start > within { continue }
      let rest = ways(
        touches, Array(steps.dropFirst()), index + 1, start ?? touches[index].time, within)
      all += rest.map { [index] + $0 }
    }
    return all
  }

  @Test(
    "the way that counts is the best of all ways, in whatever order the touches came",
    arguments: 0..<300)
  func oracle(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let count = 2 + random.below(3)
    let optional = (0..<count).map { $0 > 0 && $0 < count - 1 && random.once(in: 3) }
    let within = Int64(1 + random.below(12))
    let all = randomTouches(
      &random, count: random.below(9), marks: count, moments: 2 + random.below(20))
    let question = question(optional, within: within)
    var funnel = Funnel(question)
    funnel.add(PersonHistory(all.shuffled(using: &random)))

    let ordered = all.sorted {
      ($0.time, $0.marks.trailingZeroBitCount, $0.key)
        < ($1.time, $1.marks.trailingZeroBitCount, $1.key)
    }
    let required = (0..<count).filter { !optional[$0] }
    let best = ways(ordered, required, 0, nil, within * minute).filter { !$0.isEmpty }.min { a, b in
      if a.count != b.count { return a.count > b.count }
      if a.last != b.last { return (a.last ?? 0) < (b.last ?? 0) }
      if a.first != b.first { return (a.first ?? 0) > (b.first ?? 0) }
      return a.lexicographicallyPrecedes(b)
    }
    guard let best else {
      #expect(funnel.counts.isEmpty)
      return
    }
    var persons = Array(repeating: Int64(0), count: count)
    var seconds = Array(repeating: 0.0, count: count)
    for (place, index) in best.enumerated() {
      persons[required[place]] = 1
      seconds[required[place]] =
        Double(ordered[index].time - ordered[best[max(0, place - 1)]].time) / 1e6
    }
    for (place, index) in best.enumerated() {
      let isLast = place + 1 == best.count
      let end = isLast ? ordered.count : best[place + 1]
      let next = place + 1 < required.count ? required[place + 1] : count
      var from = index + 1
      for step in required[place] + 1..<max(required[place] + 1, next) where optional[step] {
        let found = (from..<max(from, end)).first {
          ordered[$0].marks & (1 << UInt32(step)) != 0
            && ordered[$0].time - ordered[best[0]].time <= within * minute
        }
        guard let found else { continue }
        persons[step] = 1
        seconds[step] = Double(ordered[found].time - ordered[index].time) / 1e6
        from = found + 1
      }
    }
    let counts = try #require(funnel.counts[ordered[best[0]].value])
    #expect(counts.steps.map(\.persons) == persons, "seed \(seed)")
    for step in 1..<count where persons[step] == 1 {
      let median = try #require(counts.steps[step].seconds.quantile(0.5))
      #expect((median - seconds[step]).magnitude <= 0.0101 * seconds[step], "seed \(seed)")
    }
  }
}
