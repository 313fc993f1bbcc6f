import MemoryPorts
import Ports
import Synchronization
import Testing
import Threads
import Views

@testable import Notifications

@Suite("Incidents in the log of facts")
struct FactReceiverTests {
  /// It blocks its thread, which must be none of the pool's.
  private func tell(_ notice: IncidentNotice, _ log: any FactLog) async -> ReceiverAnswer {
    await withCheckedContinuation { continuation in
      LoopThread(name: "facts") {
        continuation.resume(returning: FactReceiver(log).tell(notice))
      }.detach()
    }
  }

  private func notice(_ row: IncidentRow, told: UInt64? = nil) -> IncidentNotice {
    IncidentNotice(
      row: row, isOpen: row.end == nil,
      told: told.map { IncidentNotice.Told(isOpen: true, sequence: $0) })
  }

  @Test("each change is a fact, behind the one that was told before")
  func story() async {
    let facts = MemoryFacts()
    #expect(await tell(notice(.sample()), facts) == .accepted(sequence: 1))
    #expect(await tell(notice(.sample(8)), facts) == .accepted(sequence: 2))
    let over = IncidentRow.sample(end: IncidentRow.monday + 600_000_000, revision: 4)
    #expect(await tell(notice(over, told: 1), facts) == .accepted(sequence: 3))
    #expect(facts.all.map(\.type) == ["incident.opened", "incident.opened", "incident.closed"])
    #expect(facts.all.map(\.id) == ["7", "8", "7"])
    #expect(facts.all.map(\.eventID) == ["inc_7_1", "inc_8_1", "inc_7_4"])
    #expect(facts.all[2].time == IncidentRow.monday + 600_000_000)
  }

  @Test("what was written before a crash is found again, long after ids are forgotten")
  func crash() async {
    let facts = ForgetfulFacts()
    #expect(await tell(notice(.sample()), facts) == .accepted(sequence: 1))
    // Nobody noted it.
    #expect(await tell(notice(.sample()), facts) == .accepted(sequence: 1))
    let next = notice(.sample(severity: .critical, revision: 2), told: 1)
    #expect(await tell(next, facts) == .accepted(sequence: 2))
    #expect(await tell(next, facts) == .accepted(sequence: 2))
    #expect(facts.all.count == 2)
  }

  @Test("where notes were lost the incident's facts go on behind the newest")
  func lostNotes() async {
    let facts = ForgetfulFacts()
    #expect(await tell(notice(.sample()), facts) == .accepted(sequence: 1))
    #expect(await tell(notice(.sample(revision: 9)), facts) == .accepted(sequence: 2))
  }

  @Test("a log that is away is asked again")
  func away() async {
    let facts = MemoryFacts()
    facts.isAway = true
    #expect(
      await tell(notice(.sample()), facts) == .away("the facts are away", retryAfterMs: nil))
  }
}

/// Keeps the order of each thing's facts, and knows no fact by its id.
private final class ForgetfulFacts: FactLog {
  private let facts = Mutex<[Fact]>([])

  var all: [Fact] { facts.withLock { $0 } }

  func append(_ fact: Fact, expecting sequence: UInt64?) async throws(FactError) -> UInt64 {
    let result: Result<UInt64, FactError> = facts.withLock { facts in
      let last = UInt64((facts.lastIndex { $0.id == fact.id } ?? -1) + 1)
      if let sequence, sequence != last { return .failure(.conflict(last: last)) }
      facts.append(fact)
      return .success(UInt64(facts.count))
    }
    return try result.get()
  }

  /// One fact an answer.
  func read(
    kind: String, after sequence: UInt64
  ) async throws(FactError) -> [(sequence: UInt64, fact: Fact)] {
    let facts = all
    guard sequence < UInt64(facts.count) else { return [] }
    return [(sequence: sequence + 1, fact: facts[Int(sequence)])]
  }
}
