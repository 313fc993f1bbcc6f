import Dataflow
import Glibc
import LocalServers
import Ports
import PostgresClient
import PostgresViews
import Testing
import Views

/// Other tests of the server have members of their own, so each test's have names of their own.
@Suite("Processes share streams by leases in Postgres")
struct PostgresMembershipTests {
  /// A lease that does not run out on a busy machine, milliseconds.
  private static let long = 3_600_000

  private func member(_ id: String, _ pipelines: [PipelineSpec] = []) -> Member {
    Member(
      id: id, host: "host of \(id)", pid: 7, startTicks: .max,
      pipelines: Set(pipelines.map { .init(name: $0.name, version: $0.version) }))
  }

  /// Beats until the condition holds.
  private func beat(
    _ membership: PostgresMembership, _ me: Member, until condition: (GroupView) -> Bool
  ) throws -> GroupView {
    let deadline = ContinuousClock.now + .seconds(120)
    while ContinuousClock.now < deadline {
      let view = try membership.beat(me, leaseMs: Self.long)
      if condition(view) { return view }
    }
    throw CancellationError()
  }

  @Test("of many that claim a free stream at once one gets it, and the others learn who")
  func race() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_race")
    let names = (0..<6).map { "race-\($0)" }
    for name in names {
      _ = try PostgresMembership(settings, pipelines: [pipeline])
        .beat(member(name, [pipeline]), leaseMs: Self.long)
    }
    let holders = try await withThrowingTaskGroup(of: String.self) { group in
      for name in names {
        group.addTask {
          try await onThread {
            let owner = try Owner(settings, pipeline, Sample.stream(), name: name)
            do {
              try owner.claim()
              return name
            } catch ViewStoreError.held("events-00", let holder) {
              return holder
            }
          }
        }
      }
      return try await group.reduce(into: [String]()) { $0.append($1) }
    }
    #expect(holders.count == 6 && Set(holders).count == 1)
    let view = try PostgresMembership(settings, pipelines: [pipeline])
      .beat(member(names[0], [pipeline]), leaseMs: Self.long)
    #expect(view.owners[PipelineStream(pipeline, Sample.stream())]?.owner == holders[0])
    #expect(view.owners.values.map(\.epoch) == [1])
  }

  @Test("a stream is taken when its owner's lease has run out, and its owner is fenced then")
  func lapsed() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_lapsed")
    let group = try PostgresMembership(settings, pipelines: [pipeline])
    let item = PipelineStream(pipeline, Sample.stream())
    let old = try Owner(settings, pipeline, item.stream, name: "lapsed-old")
    let new = try Owner(settings, pipeline, item.stream, name: "lapsed-new")
    _ = try group.beat(member("lapsed-old"), leaseMs: Self.long)
    try old.claim()
    try old.commit { $0.checkpoint.logTime = 77 }
    #expect(throws: ViewStoreError.held(stream: "events-00", by: "lapsed-old")) { try new.claim() }
    _ = try group.beat(member("lapsed-old"), leaseMs: 0)
    let view = try group.beat(member("lapsed-new"), leaseMs: Self.long)
    #expect(view.lapsed.contains { $0.id == "lapsed-old" })
    #expect(view.live.contains { $0.id == "lapsed-new" })
    #expect(view.owners[item] == Ownership(owner: "lapsed-old", epoch: 1, logTime: 77))
    #expect(view.uptimeMs > 0)
    // That nobody took it in the meantime changes nothing for it.
    try old.commit()
    try new.claim()
    #expect(new.epoch == 2 && new.checkpoint.sequence == 2)
    #expect(throws: ViewStoreError.fenced(stream: "events-00")) { try old.commit() }
    // Back again it may not take what is owned.
    _ = try group.beat(member("lapsed-old"), leaseMs: Self.long)
    #expect(throws: ViewStoreError.held(stream: "events-00", by: "lapsed-new")) { try old.claim() }
    try new.commit()
  }

  @Test("a claim waits for a commit that is under way, and finds what it wrote")
  func underWay() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_under_way")
    let old = try Owner(settings, pipeline, Sample.stream(), name: "under-way-old")
    try old.claim()
    try old.commit()
    let session = try PostgresConnection(settings)
    try session.execute(
      "begin; update p_t_under_way_1.checkpoints set sequence = 9, commits = commits + 1")
    let claimed = Task {
      try await onThread {
        let new = try Owner(settings, pipeline, Sample.stream(), name: "under-way-new")
        try new.claim()
        return (new.epoch, new.checkpoint.sequence)
      }
    }
    let watcher = try PostgresConnection(settings)
    let deadline = ContinuousClock.now + .seconds(120)
    var waiting: Int64 = 0
    while waiting == 0 && ContinuousClock.now < deadline {
      waiting = try watcher.query(
        """
        select count(*) from pg_stat_activity where wait_event_type = 'Lock'
          and query like '%insert into p_t_under_way_1.checkpoints%'
        """
      ).int8(0, 0)
      // The claim's task needs a thread, too.
      await Task.yield()
    }
    #expect(waiting == 1)
    try session.execute("commit")
    let (epoch, sequence) = try await claimed.value
    #expect(epoch == 2 && sequence == 9)
  }

  @Test(
    "a writer that stands still inside its transaction holds its successor up for a second only")
  func standingStill() async throws {
    let endpoints = try await ViewServers.shared().endpoints
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_still")
    let cutter = CommitCutter(serverPort: endpoints.postgresPort)
    let cut = PostgresSettings(
      connection: endpoints.postgresURL.replacing(
        ":\(endpoints.postgresPort)/", with: ":\(cutter.port)/"))
    let late = Task {
      try await onThread {
        let old = try Owner(cut, pipeline, Sample.stream(), name: "still-old")
        try old.claim()
        try old.commit()
        cutter.arm(.hold)
        try old.commit()
      }
    }
    await cutter.waitUntilHeld()
    let new = try Owner(settings, pipeline, Sample.stream(), name: "still-new")
    let begin = ContinuousClock.now
    try new.claim()
    #expect(ContinuousClock.now - begin < .seconds(8))
    #expect(new.epoch == 2 && new.checkpoint.sequence == 1)
    cutter.letGo()
    await #expect(throws: ViewStoreError.fenced(stream: "events-00")) { try await late.value }
    try new.commit()
    #expect(new.checkpoint.sequence == 2)
  }

  @Test("released streams and those of a member that left are free at once")
  func released() async throws {
    let settings = try await ViewServers.postgres()
    let pipeline = PipelineSpec(name: "t_released")
    let group = try PostgresMembership(settings, pipelines: [pipeline])
    let owners = try (0..<3).map {
      try Owner(settings, pipeline, Sample.stream($0), name: "released-old")
    }
    let takers = try (0..<3).map {
      try Owner(settings, pipeline, Sample.stream($0), name: "released-new")
    }
    _ = try group.beat(member("released-old"), leaseMs: Self.long)
    for owner in owners { try owner.claim() }
    // Only its owner can release a stream.
    try group.release(PipelineStream(pipeline, Sample.stream(1)), owner: "released-new")
    try group.release(PipelineStream(pipeline, Sample.stream(0)), owner: "released-old")
    try takers[0].claim()
    #expect(throws: ViewStoreError.held(stream: "events-01", by: "released-old")) {
      try takers[1].claim()
    }
    try group.remove("released-old")
    for taker in takers[1...] { try taker.claim() }
    let view = try group.beat(member("released-new"), leaseMs: Self.long)
    #expect(view.owners.values.map(\.owner) == ["released-new", "released-new", "released-new"])
    #expect(!(view.live + view.lapsed).contains { $0.id == "released-old" })
  }

  @Test("a member is seen as it is, with its age from when it joined, or joined again")
  func members() async throws {
    let settings = try await ViewServers.postgres()
    let pipelines = [PipelineSpec(name: "t_m1"), PipelineSpec(name: "t_m2", version: 3)]
    let group = try PostgresMembership(settings, pipelines: pipelines)
    func mine(_ view: GroupView) -> Member? { view.live.first { $0.id == "members-me" } }
    var me = member("members-me", pipelines)
    let first = try #require(mine(try group.beat(me, leaseMs: Self.long)))
    #expect(first.ageMs == 0)
    let older = try beat(group, me) { mine($0)?.ageMs ?? 0 > 50 }
    me.ageMs = try #require(mine(older)).ageMs
    #expect(mine(older) == me)
    // With a lease of no length it has lapsed when it beats the next time.
    _ = try group.beat(me, leaseMs: 0)
    me.pipelines = []
    me.ageMs = 0
    #expect(mine(try group.beat(me, leaseMs: Self.long)) == me)
  }

  @Test("a pipeline that is declared otherwise than stored keeps nobody from the others")
  func otherPipeline() async throws {
    let settings = try await ViewServers.postgres()
    let good = PipelineSpec(name: "t_good")
    try PostgresViewStore(settings, pipeline: PipelineSpec(name: "t_odd")).migrate()
    let odd = PipelineSpec(name: "t_odd", allowedDisorder: 1)
    let owner = try Owner(settings, good, Sample.stream(), name: "odd-me")
    try owner.claim()
    let view = try PostgresMembership(settings, pipelines: [odd, good])
      .beat(member("odd-me", [odd, good]), leaseMs: Self.long)
    #expect(view.owners.keys.map(\.pipeline) == ["t_good"])
  }

  @Test("a session that died without a word costs no lease: the beat is made on another")
  func deaf() async throws {
    var settings = try await ViewServers.postgres()
    settings.applicationName = "t_deaf"
    let group = try PostgresMembership(settings, pipelines: [PipelineSpec(name: "t_deaf")])
    _ = try group.beat(member("deaf-me"), leaseMs: Self.long)
    // A backend that stands still, idle, is what a dead connection looks like.
    let others = try PostgresConnection(try await ViewServers.postgres())
    let backends = try others.query(
      "select pid from pg_stat_activity where application_name = 't_deaf' and state = 'idle'")
    try backends.require(.int4)
    #expect(backends.rowCount == 1)
    let backend = backends.int4(0, 0)
    kill(backend, SIGSTOP)
    defer { kill(backend, SIGCONT) }
    let view = try group.beat(member("deaf-me"), leaseMs: Self.long)
    #expect(view.live.contains { $0.id == "deaf-me" })
  }

  @Test("a server that does not answer is away, for less time than a lease lasts")
  func away() throws {
    let port = try LoopbackPort.free(1)[0]
    let group = try PostgresMembership(
      PostgresSettings(connection: "postgresql://nobody@127.0.0.1:\(port)/none"),
      pipelines: [PipelineSpec(name: "t_away")])
    let begin = ContinuousClock.now
    do {
      _ = try group.beat(member("away"), leaseMs: 1000)
      Issue.record("nobody is there")
    } catch ViewStoreError.unavailable {}
    #expect(ContinuousClock.now - begin < .seconds(3))
  }
}
