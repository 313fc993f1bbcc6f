import Logging
import Metrics
import Ports
import Synchronization
import Testing
import Threads
import Views

@testable import Notifications

/// Turns of a receiver's loop, at times that the test gives.
@Suite("A receiver of incidents")
struct ReceiverLoopTests {
  private final class Clock: Sendable {
    let ms = Atomic<Int64>(0)
    func advance(_ by: Int64) { ms.add(by, ordering: .relaxed) }
  }

  private let clock = Clock()
  private let ledger = MemoryLedger()
  private let registry = MetricRegistry()

  private var loop: ReceiverLoop {
    let clock = clock
    return ReceiverLoop(
      .everything(name: "r"), ledger: { () throws(ViewStoreError) in throw .refused("not asked") },
      receiver: { ScriptedReceiver() }, metrics: NotificationMetrics(registry),
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      clockMs: { clock.ms.load(ordering: .relaxed) }, stop: StopFlag())
  }

  private func metric(_ line: String) -> Bool {
    String(decoding: registry.exposition(.prometheusText), as: UTF8.self).contains(line + ".0\n")
  }

  @Test("is told once that an incident opened, once that it changed, once that it is over")
  func story() {
    let receiver = ScriptedReceiver()
    var state = ReceiverLoop.State(receiver: receiver)
    for row in [
      IncidentRow.sample(), .sample(severity: .critical, revision: 2),
      .sample(end: IncidentRow.monday + 1, revision: 3),
    ] {
      ledger.rows = [row]
      for _ in 0..<3 { #expect(loop.turn(ledger, &state) > 0) }
    }
    #expect(
      receiver.messages == [
        "incident.opened inc_7_1", "incident.updated inc_7_2", "incident.closed inc_7_3",
      ])
    #expect(metric(#"smartcontent_incident_notices_total{receiver="r",outcome="accepted"} 3"#))
  }

  @Test("that is away gets the same message again when it may be back, and no other before")
  func away() {
    let receiver = ScriptedReceiver([
      .away("off", retryAfterMs: nil), .away("off", retryAfterMs: nil),
    ])
    var state = ReceiverLoop.State(receiver: receiver)
    ledger.rows = [.sample(1), .sample(2)]
    _ = loop.turn(ledger, &state)
    #expect(receiver.messages.count == 1)
    #expect(metric(#"smartcontent_incident_notices_owed{receiver="r"} 2"#))
    _ = loop.turn(ledger, &state)
    #expect(receiver.messages.count == 1)
    clock.advance(1_000)
    _ = loop.turn(ledger, &state)
    #expect(receiver.messages.count == 2)
    clock.advance(2_000)
    _ = loop.turn(ledger, &state)
    #expect(
      receiver.messages == [
        "incident.opened inc_1_1", "incident.opened inc_1_1", "incident.opened inc_1_1",
        "incident.opened inc_2_1",
      ])
    #expect(metric(#"smartcontent_incident_notices_owed{receiver="r"} 0"#))
  }

  @Test("that refuses one message gets the others, and after ten refusals that one no more")
  func refusal() {
    let receiver = ScriptedReceiver(
      [.refused("no"), .accepted(sequence: 0)]
        + [ReceiverAnswer](repeating: .refused("no"), count: RetryPlan.refusalsMax - 1))
    var state = ReceiverLoop.State(receiver: receiver)
    ledger.rows = [.sample(1), .sample(2)]
    _ = loop.turn(ledger, &state)
    #expect(receiver.messages == ["incident.opened inc_1_1", "incident.opened inc_2_1"])
    for _ in 0..<20 {
      clock.advance(RetryPlan.mostMs)
      _ = loop.turn(ledger, &state)
    }
    #expect(receiver.messages.count == RetryPlan.refusalsMax + 1)
    #expect(metric(#"smartcontent_incident_notices_total{receiver="r",outcome="given_up"} 1"#))
  }

  @Test("whose acceptance could not be noted gets the same message once more")
  func unnoted() {
    let receiver = ScriptedReceiver()
    var state = ReceiverLoop.State(receiver: receiver)
    ledger.rows = [.sample()]
    ledger.failingNotes = 1
    for _ in 0..<3 { _ = loop.turn(ledger, &state) }
    #expect(receiver.messages == ["incident.opened inc_7_1", "incident.opened inc_7_1"])
  }

  @Test("that is gone is told nothing any more")
  func gone() {
    let receiver = ScriptedReceiver([.gone])
    var state = ReceiverLoop.State(receiver: receiver)
    ledger.rows = [.sample(1), .sample(2)]
    for _ in 0..<3 { _ = loop.turn(ledger, &state) }
    #expect(receiver.messages.count == 1)
    #expect(metric(#"smartcontent_incident_receiver_ended{receiver="r"} 1"#))
  }

  @Test("of which another process tells is told nothing by this one")
  func elsewhere() {
    let receiver = ScriptedReceiver()
    var state = ReceiverLoop.State(receiver: receiver)
    ledger.rows = [.sample()]
    ledger.state = .elsewhere
    _ = loop.turn(ledger, &state)
    #expect(receiver.messages.isEmpty)
  }

  @Test("that is owed more than one look's worth is not kept waiting")
  func many() {
    let receiver = ScriptedReceiver()
    var state = ReceiverLoop.State(receiver: receiver)
    ledger.rows = (1...100).map { .sample($0) }
    #expect(loop.turn(ledger, &state) == 0)
    #expect(loop.turn(ledger, &state) > 0)
    #expect(receiver.messages.count == 100)
  }
}
