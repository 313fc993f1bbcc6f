import Events
import HTTPServer
import MemoryPorts
import Metrics
import Ports
import Synchronization
import Testing
import Views

@testable import QueryAPI

@Suite struct SharedAnswersTests {
  /// A clock that tests move, and computations that end when tests say so.
  private final class Bench: Sendable {
    private struct State {
      var time = ContinuousClock.now
      var begun: [CheckedContinuation<Int, Never>] = []
      var count = 0
    }

    private let state = Mutex(State())

    var now: ContinuousClock.Instant { state.withLock { $0.time } }
    /// How many have begun so far.
    var count: Int { state.withLock { $0.count } }

    func advance(_ duration: Duration) { state.withLock { $0.time += duration } }

    /// An answer that bears its number, once ``end(_:)`` is called.
    func compute() async -> Int {
      await withCheckedContinuation { continuation in
        state.withLock { state in
          state.count += 1
          state.begun.append(continuation)
        }
      }
    }

    /// Ends the oldest computation, once there is one.
    func end(_ answer: Int) async throws {
      try await eventually { self.state.withLock { !$0.begun.isEmpty } }
      state.withLock { $0.begun.removeFirst() }.resume(returning: answer)
    }
  }

  private let bench = Bench()

  private func answers(
    ageMax: Duration = .milliseconds(100), bytesMax: Int = 1 << 20,
    registry: MetricRegistry = MetricRegistry()
  ) -> SharedAnswers {
    let bench = bench
    return SharedAnswers(
      SharedAnswers.Settings(ageMax: ageMax, bytesMax: bytesMax), metrics: QueryMetrics(registry),
      now: { bench.now })
  }

  private func key(_ campaign: String = "spring", limit: Int = 10) -> SharedAnswers.Key {
    let request = QueryRequest(
      pipeline: "default", site: "default", metrics: [.clicks], range: .lastDays(2),
      dimensions: [],
      granularity: nil,
      filters: [DimensionFilter(operation: .isAnyOf, dimension: .campaign, values: [campaign])],
      order: [], limit: limit, offset: 0, timezone: "UTC", after: nil, timeoutMs: 0)
    return SharedAnswers.Key(request, now: 1_793_491_200_000_000, zone: .utc)
  }

  private func text(_ registry: MetricRegistry) -> String {
    String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
  }

  private static func answer(_ number: Int, bytes: Int = 3) -> SharedAnswers.Answer {
    SharedAnswers.Answer(
      response: .json(Array("\(number)".utf8) + Array(repeating: 0x20, count: bytes)),
      position: Position(generation: 1, sequences: [0: UInt64(number)]))
  }

  /// Asks, and says which computation the answer is of.
  private func ask(
    _ answers: SharedAnswers, _ key: SharedAnswers.Key, after: UInt64? = nil
  ) -> Task<UInt64?, any Error> {
    let bench = bench
    return Task {
      let answer = try await answers.answer(
        key, after: after.map { Position(generation: 1, sequences: [0: $0]) }
      ) { _ in
        .success(Self.answer(await bench.compute()))
      }
      return answer.position.sequences[0]
    }
  }

  @Test("all who ask before an answer is too old get the one that was computed")
  func kept() async throws {
    let answers = answers()
    let first = ask(answers, key())
    try await bench.end(1)
    #expect(try await first.value == 1)
    bench.advance(.milliseconds(49))
    for _ in 0..<10 { #expect(try await ask(answers, key()).value == 1) }
    #expect(bench.count == 1)
  }

  @Test("an answer that is begun ahead shares nothing that the one before it was made of")
  func shareAge() async throws {
    let answers = answers()
    let ages = Mutex<[Duration]>([])
    func ask() async throws {
      _ = try await answers.answer(key()) { ageMax in
        ages.withLock { $0.append(ageMax) }
        return .success(Self.answer(1))
      }
    }
    try await ask()
    bench.advance(.milliseconds(50))
    try await ask()
    try await eventually { ages.withLock { $0.count == 2 } }
    #expect(ages.withLock { $0 } == [.milliseconds(100), .milliseconds(50)])
  }

  @Test("past half of its age an answer is given still, and the next one is begun once")
  func renewed() async throws {
    let answers = answers()
    let first = ask(answers, key())
    try await bench.end(1)
    #expect(try await first.value == 1)
    bench.advance(.milliseconds(50))
    for _ in 0..<3 { #expect(try await ask(answers, key()).value == 1) }
    try await bench.end(2)
    // The next one is given as soon as it is there, to the end of its own age.
    var given = try await ask(answers, key()).value
    while given == 1 { given = try await ask(answers, key()).value }
    bench.advance(.milliseconds(49))
    #expect(try await ask(answers, key()).value == 2)
    #expect(bench.count == 2)
  }

  @Test("an answer that is too old is not given: who asks waits for the next one")
  func old() async throws {
    let answers = answers()
    let first = ask(answers, key())
    try await bench.end(1)
    #expect(try await first.value == 1)
    bench.advance(.milliseconds(100))
    let second = ask(answers, key())
    try await bench.end(2)
    #expect(try await second.value == 2)
  }

  @Test("an answer's age counts from before its first read, so a slow one is not given again")
  func slow() async throws {
    let bench = bench
    let answers = answers()
    let first = ask(answers, key())
    try await eventually { bench.count == 1 }
    bench.advance(.milliseconds(150))
    // It began too long ago for this one, which waits for the one after it.
    let second = ask(answers, key())
    try await bench.end(1)
    #expect(try await first.value == 1)
    try await bench.end(2)
    #expect(try await second.value == 2)
    #expect(bench.count == 2)
  }

  @Test("an answer of rows that were read for others is as old as they are")
  func rows() async throws {
    let bench = bench
    let answers = answers()
    func ask(_ number: Int, readBefore: Duration) async throws -> UInt64? {
      try await answers.answer(key()) { _ in
        var answer = Self.answer(number)
        answer.began = bench.now - readBefore
        return .success(answer)
      }.position.sequences[0]
    }
    #expect(try await ask(1, readBefore: .milliseconds(60)) == 1)
    bench.advance(.milliseconds(40))
    #expect(try await ask(2, readBefore: .zero) == 2)
  }

  @Test("who waits with another one does not get rows that are too old for him")
  func oldRows() async throws {
    let bench = bench
    let answers = answers()
    let began = bench.now
    let first = Task {
      try await answers.answer(key()) { _ in
        var answer = Self.answer(await bench.compute())
        answer.began = began - .milliseconds(90)
        return .success(answer)
      }.position.sequences[0]
    }
    try await eventually { bench.count == 1 }
    bench.advance(.milliseconds(20))
    let second = ask(answers, key())
    try await bench.end(1)
    #expect(try await first.value == 1)
    try await bench.end(2)
    #expect(try await second.value == 2)
  }

  @Test("without an age only those share an answer who came before its first read")
  func together() async throws {
    let bench = bench
    let registry = MetricRegistry()
    let answers = answers(ageMax: .zero, registry: registry)
    let first = ask(answers, key())
    try await eventually { bench.count == 1 }
    bench.advance(.milliseconds(1))
    let others = (0..<5).map { _ in ask(answers, key()) }
    try await eventually { text(registry).contains(#"total{from="awaited"} 4"#) }
    try await bench.end(1)
    try await bench.end(2)
    #expect(try await first.value == 1)
    for other in others { #expect(try await other.value == 2) }
    let last = ask(answers, key())
    try await bench.end(3)
    #expect(try await last.value == 3)
    #expect(bench.count == 3)
  }

  @Test("who waits for a position gets what covers it, and nothing whose reading began before")
  func positions() async throws {
    let bench = bench
    let answers = answers()
    let first = ask(answers, key())
    try await bench.end(5)
    #expect(try await first.value == 5)
    #expect(try await ask(answers, key(), after: 5).value == 5)
    bench.advance(.milliseconds(60))
    #expect(try await ask(answers, key()).value == 5)
    try await eventually { bench.count == 2 }
    bench.advance(.milliseconds(1))
    // One that reads already may have read before the position was reached.
    let second = ask(answers, key(), after: 7)
    try await bench.end(6)
    try await bench.end(7)
    #expect(try await second.value == 7)
  }

  @Test("questions whose texts only look the same have answers of their own")
  func texts() async throws {
    let answers = answers()
    let given = [key("caf\u{e9}"), key("cafe\u{301}"), key("caf\u{e9}", limit: 5)]
    for (index, key) in given.enumerated() {
      let asked = ask(answers, key)
      try await bench.end(index)
      #expect(try await asked.value == UInt64(index))
    }
    #expect(bench.count == 3)
  }

  @Test("an error goes to all who wait for it, and is not kept")
  func errors() async throws {
    let answers = answers()
    let error = QueryError(.unavailable, path: "", detail: "away")
    for _ in 0..<2 {
      await #expect(throws: error) {
        try await answers.answer(key()) { _ in .failure(error) }
      }
    }
    let asked = ask(answers, key())
    try await bench.end(3)
    #expect(try await asked.value == 3)
  }

  @Test("answers for which there is no room are given and not kept; old ones make room")
  func room() async throws {
    let registry = MetricRegistry()
    let bench = bench
    let answers = answers(bytesMax: 6_000, registry: registry)
    func ask(_ name: String, bytes: Int) async throws {
      _ = try await answers.answer(key(name)) { _ in .success(Self.answer(1, bytes: bytes)) }
    }
    try await ask("a", bytes: 3_000)
    try await ask("b", bytes: 3_000)
    #expect(text(registry).contains("smartcontent_query_kept_bytes 5049"))
    bench.advance(.milliseconds(100))
    try await ask("b", bytes: 3_001)
    #expect(text(registry).contains("smartcontent_query_kept_bytes 5050"))
  }
}
