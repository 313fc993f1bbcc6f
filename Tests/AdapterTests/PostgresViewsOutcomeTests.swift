import Dataflow
import LocalServers
import Ports
import PostgresClient
import PostgresViews
import Synchronization
import Testing
import Views

@Suite("Commits whose answer is lost")
struct PostgresViewsOutcomeTests {
  private let entry = Sample.entry(Sample.tuple("c1"))

  private func addOne(_ batch: inout CommitBatch) {
    batch.dimensions = [entry]
    batch.deltas = [Sample.row(.hour, Sample.day, entry, impressions: 1, revision: 1)]
  }

  private func impressions(_ name: String, _ settings: PostgresSettings) throws -> Int64 {
    try PostgresConnection(settings).query(
      "select coalesce(sum(impressions), 0)::int8 from p_\(name)_1.metrics_1h"
    ).int8(0, 0)
  }

  /// An owner with one commit behind it, whose connection goes through a cutter.
  private func prepare(_ name: String) async throws -> (Owner, CommitCutter) {
    let endpoints = try await ViewServers.shared().endpoints
    let cutter = CommitCutter(serverPort: endpoints.postgresPort)
    let url = endpoints.postgresURL.replacing(
      ":\(endpoints.postgresPort)/", with: ":\(cutter.port)/")
    let owner = try Owner(
      PostgresSettings(connection: url), PipelineSpec(name: name), Sample.stream())
    try owner.claim()
    try owner.commit(addOne)
    return (owner, cutter)
  }

  @Test("a commit that the server did, and whose answer was lost, counts once")
  func committed() async throws {
    let (owner, cutter) = try await prepare("t_lost_after")
    cutter.arm(.after)
    try owner.commit(addOne)
    try owner.commit(addOne)
    #expect(try impressions("t_lost_after", try await ViewServers.postgres()) == 3)
  }

  @Test(
    "a commit that the server never got is reported as not written, and counts once when done again"
  )
  func notCommitted() async throws {
    let (owner, cutter) = try await prepare("t_lost_before")
    cutter.arm(.before)
    do {
      try owner.commit(addOne)
      Issue.record("COMMIT never arrived")
    } catch ViewStoreError.unavailable {}
    try owner.commit(addOne)
    #expect(try impressions("t_lost_before", try await ViewServers.postgres()) == 2)
  }

  @Test("the outcome is settled even where the sequence does not move")
  func sameSequence() async throws {
    let (owner, cutter) = try await prepare("t_lost_same")
    cutter.arm(.before)
    do {
      try owner.commit {
        addOne(&$0)
        $0.checkpoint.sequence = owner.checkpoint.sequence
      }
      Issue.record("COMMIT never arrived")
    } catch ViewStoreError.unavailable {}
    // The first commit of a session makes sure of its tables, with a COMMIT of its own.
    try owner.commit(addOne)
    cutter.arm(.after)
    try owner.commit {
      addOne(&$0)
      $0.checkpoint.sequence = owner.checkpoint.sequence
    }
    #expect(try impressions("t_lost_same", try await ViewServers.postgres()) == 3)
  }

  @Test(
    "a server that is away after a lost answer is named, and the same commit counts once when it is back",
    arguments: [CommitCutter.Cut.before, .after])
  func awayAfterwards(cut: CommitCutter.Cut) async throws {
    let name = "t_lost_away_\(cut)"
    let (owner, cutter) = try await prepare(name)
    cutter.arm(cut, thenAway: true)
    for _ in 0..<2 {
      do {
        try owner.commit(addOne)
        Issue.record("nobody could know what became of it")
      } catch ViewStoreError.unavailable(let reason) {
        #expect(reason.contains("the outcome of a commit is not known"), "\(reason)")
      }
    }
    cutter.comeBack()
    try owner.commit(addOne)
    try owner.commit(addOne)
    #expect(try impressions(name, try await ViewServers.postgres()) == 3)
  }

  @Test("a takeover while the outcome is unknown fences the old owner")
  func takenOver() async throws {
    let (owner, cutter) = try await prepare("t_lost_fenced")
    let settings = try await ViewServers.postgres()
    // The answer is lost, and before the old owner can look, the stream has a new one.
    try PostgresConnection(settings).execute(
      """
      create function p_t_lost_fenced_1.take() returns trigger language plpgsql as
        'begin update p_t_lost_fenced_1.checkpoints set epoch = epoch + 1; return null; end';
      create constraint trigger taking after insert or update on p_t_lost_fenced_1.accounting
        deferrable initially deferred for each row execute function p_t_lost_fenced_1.take();
      """)
    cutter.arm(.after)
    #expect(throws: ViewStoreError.fenced(stream: "events-00")) { try owner.commit(addOne) }
  }

  @Test("kill -9 of the backend inside COMMIT changes no number")
  func killedBackend() async throws {
    // The postmaster ends every session after a backend's crash: servers of this test's own.
    let servers = try await ViewServers.start("crash")
    let settings = PostgresSettings(connection: servers.endpoints.postgresURL)
    let owner = try Owner(settings, PipelineSpec(name: "t_kill"), Sample.stream())
    try owner.claim()
    try owner.commit(addOne)
    // A deferred trigger runs inside COMMIT; this one ends its own process there.
    try PostgresConnection(settings).execute(
      """
      create function p_t_kill_1.die() returns trigger language plpgsql as $$ begin
        execute format('copy (select 1) to program ''kill -9 %s''', pg_backend_pid());
        return null;
      end $$;
      create constraint trigger dying after insert or update on p_t_kill_1.accounting
        deferrable initially deferred for each row execute function p_t_kill_1.die();
      """)
    for _ in 0..<2 {
      do {
        try owner.commit(addOne)
        Issue.record("the backend was killed")
      } catch ViewStoreError.unavailable {}
    }
    let admin = try connected(settings)
    try admin.execute("drop trigger dying on p_t_kill_1.accounting")
    try owner.commit(addOne)
    #expect(try impressions("t_kill", settings) == 2)
    await servers.stop()
  }

  @Test("a store that is to stop leaves a server that does not answer")
  func stopping() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_stopping")
    let flag = StopFlag()
    let blocker = try PostgresConnection(settings)
    let store = try PostgresViewStore(settings, pipeline: pipeline) {
      flag.isSet.load(ordering: .relaxed)
    }
    _ = try store.claim(Sample.stream(), owner: "test")
    try blocker.execute("begin; lock table p_t_stopping_1.checkpoints")
    flag.isSet.store(true, ordering: .relaxed)
    let started = ContinuousClock.now
    do {
      _ = try store.claim(Sample.stream(), owner: "test")
      Issue.record("the table was locked")
    } catch ViewStoreError.unavailable {}
    #expect(ContinuousClock.now - started < .seconds(10))
    try blocker.execute("rollback")
  }

  /// Postgres recovers for a moment after the crash.
  private func connected(_ settings: PostgresSettings) throws -> PostgresConnection {
    let deadline = ContinuousClock.now + .seconds(20)
    while true {
      do throws(PostgresError) {
        return try PostgresConnection(settings)
      } catch {
        guard error.isTransient, ContinuousClock.now < deadline else { throw error }
      }
    }
  }
}

private final class StopFlag: Sendable {
  let isSet = Atomic(false)
}
