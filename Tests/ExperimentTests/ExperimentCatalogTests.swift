import MemoryPorts
import Ports
import Synchronization
import Testing

@testable import Experiments

@Suite("The catalog of experiments")
struct ExperimentCatalogTests {
  private static let body = Array(
    #"{"id":"x","campaign":"spring","variants":["a","b"],"control":"a","weights":{"a":0.5,"b":0.5}}"#
      .utf8)
  private static let start = Array(#"{"status":"running"}"#.utf8)

  private final class Numbers: Sendable {
    private let number = Mutex(0)
    var next: Int {
      number.withLock { number in
        number += 1
        return number
      }
    }
  }

  private func catalog(
    _ facts: (any FactLog)?, declared: [Experiment] = [], name: String = "one",
    notices: @escaping @Sendable (String) -> Void = { _ in }
  ) -> ExperimentCatalog {
    let numbers = Numbers()
    return ExperimentCatalog(
      declared: declared, facts: facts, clock: { Int64(numbers.next) },
      eventID: { "\(name)-\(numbers.next)" }, noticed: notices)
  }

  private static let declared = Experiment(
    id: "of-the-file", plan: ExperimentHistoryTests.plan,
    epochs: [Experiment.Epoch(since: 0, shares: ExperimentHistoryTests.half)], status: .running)

  @Test("what one process declares another one knows, and takes in after it starts anew")
  func shared() async throws {
    let facts = MemoryFacts()
    let first = catalog(facts)
    #expect(try await first.declare(Self.body).experiment.status == .draft)
    #expect(try await first.change("x", Self.start).revision == 2)
    let second = catalog(facts, name: "two")
    let changed = try await second.change("x", Array(#"{"weights":{"a":0.1,"b":0.1}}"#.utf8))
    #expect(changed.experiment.epochs.count == 2)
    let third = catalog(facts)
    let following = Task { await third.run() }
    var known: Experiment?
    while known == nil {
      do throws(ExperimentRefusal) {
        known = try third.entry("x").experiment
      } catch {
        guard case .unavailable = error else { throw error }
        await Task.yield()
      }
    }
    following.cancel()
    #expect(known == changed.experiment)
  }

  @Test("of two that change it at once one is told that the other was first")
  func race() async throws {
    let facts = MemoryFacts()
    _ = try await catalog(facts).declare(Self.body)
    let late = InterruptedFacts(facts)
    let second = catalog(late, name: "two")
    late.before.withLock { action in
      action = { _ = try await self.catalog(facts, name: "three").change("x", Self.start) }
    }
    let error = await #expect(throws: ExperimentRefusal.self) {
      try await second.change("x", Array(#"{"alpha":0.01}"#.utf8))
    }
    guard case .conflict(let detail)? = error else {
      Issue.record("\(error as Any)")
      return
    }
    #expect(detail.contains("somebody else at the same moment"))
    #expect(facts.all.map(\.type) == ["experiment.declared", "experiment.started"])
    await #expect(throws: ExperimentRefusal.self) {
      try await second.change("x", Array(#"{"status":"running","revision":1}"#.utf8))
    }
  }

  @Test("while the facts are away persons are assigned, and nothing changes")
  func away() async throws {
    let facts = MemoryFacts()
    let catalog = catalog(facts, declared: [Self.declared])
    facts.isAway = true
    #expect(try catalog.assign("ann", in: "of-the-file").assignment.variant != nil)
    // Whether there is such an experiment is not known yet.
    #expect(throws: ExperimentRefusal.self) { try catalog.entry("x") }
    do throws(ExperimentRefusal) {
      _ = try catalog.entry("x")
    } catch {
      guard case .unavailable = error else { throw error }
    }
    facts.isAway = false
    _ = try await catalog.declare(Self.body)
    _ = try await catalog.change("x", Self.start)
    let before = try catalog.assign("ann", in: "x").assignment
    facts.isAway = true
    await #expect(throws: ExperimentRefusal.unavailable("the facts are away")) {
      try await catalog.change("x", Array(#"{"weights":{"a":0,"b":1}}"#.utf8))
    }
    #expect(try catalog.assign("ann", in: "x").assignment == before)
    #expect(throws: ExperimentRefusal.unknown("there is no experiment y")) {
      try catalog.entry("y")
    }
  }

  @Test("experiments of the file are the file's alone")
  func file() async throws {
    let facts = MemoryFacts()
    let catalog = catalog(facts, declared: [Self.declared])
    for body in [#"{"status":"stopped","decision":{"variant":"a"}}"#, #"{"alpha":0.01}"#] {
      do throws(ExperimentRefusal) {
        _ = try await catalog.change("of-the-file", Array(body.utf8))
        Issue.record("changed by \(body)")
      } catch {
        guard case .conflict(let detail) = error else { throw error }
        #expect(detail.contains("Streams/experiments.yaml"))
      }
    }
    await #expect(throws: ExperimentRefusal.self) {
      try await self.catalog(nil, declared: [Self.declared]).declare(Self.body)
    }
    #expect(catalog.all.map(\.experiment.id) == ["of-the-file"] && facts.all.isEmpty)
  }

  @Test("facts that are not understood are named and left out")
  func strange() async throws {
    let facts = MemoryFacts()
    let notices = Mutex<[String]>([])
    let catalog = catalog(facts) { notice in notices.withLock { $0.append(notice) } }
    _ = try await catalog.declare(Self.body)
    for (number, type) in ["experiment.started", "experiment.painted"].enumerated() {
      _ = try await facts.append(
        Fact(
          kind: "experiment", id: "unknown-\(number)", type: type, eventID: "f\(number)", time: 1,
          data: Array("{}".utf8)), expecting: nil)
    }
    #expect(try await catalog.change("x", Self.start).experiment.status == .running)
    let said = notices.withLock { $0 }
    #expect(said.count == 2 && said[0].contains("can't follow") && said[1].contains("painted"))
  }
}

/// Lets somebody else come between the reading and the appending.
private final class InterruptedFacts: FactLog {
  let before = Mutex<(@Sendable () async throws -> Void)?>(nil)
  private let facts: MemoryFacts

  init(_ facts: MemoryFacts) { self.facts = facts }

  func append(_ fact: Fact, expecting sequence: UInt64?) async throws(FactError) -> UInt64 {
    let action = before.withLock { action in
      defer { action = nil }
      return action
    }
    do {
      try await action?()
    } catch {
      throw .refused("\(error)")
    }
    return try await facts.append(fact, expecting: sequence)
  }

  func read(
    kind: String, after sequence: UInt64
  ) async throws(FactError) -> [(sequence: UInt64, fact: Fact)] {
    try await facts.read(kind: kind, after: sequence)
  }
}
