import Events
import Oracles
import Testing

@testable import Analyses

@Suite("Retention")
struct RetentionTests {
  private static let edges = (0...3).map { Int64($0) * 100 * minute }

  @Test("who came back is counted by the period of the first beginning, in a triangle")
  func golden() {
    var retention = Retention(Retention.Question(edges: Self.edges))
    for text in [
      // Began in 0, came back in 0 and 2, twice.
      "a0 b50 b250 b260",
      // A return before the beginning is none.
      "b0 a50 b120",
      // The beginning is no return itself, another event at its time may be.
      "ab110", "a110 b110", "ab100 ab250",
      // Out of the periods.
      "a300", "a-1 b50", "a-1 a250",
    ] {
      retention.add(history(text))
    }
    #expect(retention.cohorts.map(\.persons) == [2, 3, 1])
    #expect(retention.cohorts.map(\.returned) == [[1, 1, 1], [1, 1], [0]])
  }

  @Test(
    "it is what sets of persons and periods say, in whatever order events came", arguments: 0..<100)
  func oracle(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let edges = (0...5).map { Int64($0) * 7 * minute }
    var retention = Retention(Retention.Question(edges: edges))
    var persons = Array(repeating: Int64(0), count: 5)
    var returned = (0..<5).map { Array(repeating: Int64(0), count: 5 - $0) }
    for _ in 0..<30 {
      let all = randomTouches(&random, count: random.below(8), marks: 2, moments: 40)
      retention.add(PersonHistory(all.shuffled(using: &random)))
      let within = all.filter { $0.time < 35 * minute }
      guard
        let first = within.filter({ $0.marks & 1 != 0 }).min(by: PersonTouch.precedes)
      else { continue }
      let cohort = Int(first.time / (7 * minute))
      persons[cohort] += 1
      let periods = Set(
        within.filter { $0.marks & 2 != 0 && PersonTouch.precedes(first, $0) }
          .map { Int($0.time / (7 * minute)) })
      for period in periods { returned[cohort][period - cohort] += 1 }
    }
    #expect(retention.cohorts.map(\.persons) == persons)
    #expect(retention.cohorts.map(\.returned) == returned)
  }
}
