import Analyses
import Dataflow
import Events
import Operators
import Oracles
import Statistics
import Testing

@testable import Learning

@Suite struct ReplayedDecisionsTests {
  /// Streams of frames, as a log has them.
  struct Log {
    struct Frame {
      var bytes: [UInt8]
      var storedAt: Int64
    }

    var streams: [[Frame]] = [[], [], []]

    mutating func append(_ events: [DecisionStory.Event], at storedAt: Int64) {
      for partition in 0..<3 {
        let own = events.filter { $0.partition == partition }
        if own.isEmpty { continue }
        streams[partition].append(
          Frame(bytes: DecisionStory.frame(own, storedAt), storedAt: storedAt))
      }
    }
  }

  /// Reads streams into a learner.
  final class Reader {
    let learner: DecisionLearner
    private(set) var position = Position(generation: 1)
    private(set) var logTime = Int64.min
    private let judges: [DecisionStory.Judge]

    init(_ learner: DecisionLearner) {
      self.learner = learner
      judges = (0..<3).map { _ in DecisionStory.Judge() }
    }

    func read(_ log: Log, _ partition: Int, to sequence: UInt64) throws {
      let feed = LearnerFeed(learner, StreamPlace(generation: 1, partition: partition))
      var next = (position.sequences[partition] ?? 0) + 1
      while next <= sequence, next <= log.streams[partition].count {
        let frame = log.streams[partition][Int(next) - 1]
        try frame.bytes.withUnsafeBytes { bytes in
          try judges[partition].judge.add(
            bytes, sequence: next, storedAt: frame.storedAt, to: feed)
        }
        logTime = max(logTime, frame.storedAt)
        position.advance(partition: partition, to: next)
        next += 1
      }
    }
  }

  final class Served: @unchecked Sendable {
    // Written and read by the test's own thread alone.
    var models: DecisionModels?
  }

  /// A service with several processes, each of which reads the streams at its own pace.
  static func run(
    _ plan: DecisionPlan, seed: UInt64, servers: Int, rates: [Double], steps: Int = 150,
    promotions: [Int: String] = [:], retractedAt: Int? = nil
  ) throws -> (log: Log, decisions: [ReplayedDecisions.Logged]) {
    var random = SeededGenerator(seed: seed)
    var log = Log()
    var story = DecisionStory(plan)
    var logged: [ReplayedDecisions.Logged] = []
    let served = (0..<servers).map { _ in Served() }
    let readers = served.map { served in
      Reader(
        DecisionLearner([plan], isAuthentic: TestMAC.isAuthentic) { served.models = $0 })
    }
    var coming: [DecisionStory.Event] = []
    for step in 0..<steps {
      let now = ten + Int64(step) * 7 * second
      let first = story.events.count
      if let policy = promotions[step] { story.promote(policy, at: now) }
      if step == retractedAt, let id = logged.first?.event.token.id {
        story.retract(.decision(id), at: now)
        story.retract(.person(DecisionStory.key(3)), at: now)
      }
      for _ in 0..<4 {
        let person = UInt64(1 + random.below(60))
        guard let snapshot = served[random.below(servers)].models?.plans[plan.id] else { continue }
        let candidates = random.once(in: 6) ? [0, 2] : nil
        let id = story.decide(
          person, at: now, by: snapshot, candidates: candidates,
          features: DecisionContextTests.context(random.once(in: 3) ? "phone" : "desktop"))
        if let decision = story.decisions[id] {
          let text = decision.token.text(mac: TestMAC.sign)
          logged.append(
            .init(
              snapshot.logged(decision, tokenText: text, server: "s"),
              person: DecisionStory.key(person)))
          let isLucky = Double(random.below(1_000)) / 1_000 < rates[decision.arm]
          if isLucky { story.echo(id, .click, person, at: now + random.time(upTo: 5 * minute)) }
        }
      }
      // What lies in the future comes later.
      coming += story.events[first...]
      log.append(coming.filter { $0.time <= now }, at: now)
      coming.removeAll { $0.time <= now }
      for reader in readers {
        for partition in 0..<3 where !random.once(in: 3) {
          let ahead = UInt64(log.streams[partition].count)
          try reader.read(log, partition, to: ahead - min(ahead, UInt64(random.below(3))))
        }
        reader.learner.publish(
          LearningProgress(
            position: reader.position, logTime: max(now, reader.logTime), isCaughtUp: true))
      }
    }
    return (log, logged)
  }

  struct Replay {
    var tally = ReplayTally()
    var chainCount = 0
    var outcomes: [ReplayedOutcome] = []
  }

  /// Replays each chain of decisions, as a command does.
  static func replay(
    _ plan: DecisionPlan, _ log: Log, _ decisions: [ReplayedDecisions.Logged],
    policy: DecisionPolicy? = nil
  ) throws -> Replay {
    var all = Replay()
    for chain in ReplayedDecisions.chains(decisions) {
      let replay = ReplayedDecisions(
        plan, policy: policy, decisions: chain, isAuthentic: TestMAC.isAuthentic)
      let reader = Reader(replay.learner)
      while let stop = replay.next {
        for (partition, sequence) in stop.position.sequences {
          try reader.read(log, partition, to: sequence)
        }
        replay.decide()
      }
      for partition in 0..<3 { try reader.read(log, partition, to: .max) }
      all.outcomes += replay.finish(logTime: reader.logTime)
      all.tally += replay.tally
      all.chainCount += 1
    }
    return all
  }

  @Test(
    "Decisions of a log are made again to the bit, with every policy", arguments: DecisionPolicy.all
  )
  func toTheBit(policy: DecisionPolicy) throws {
    var plan = DecisionStory.plan
    plan.policy = policy
    plan.shadows = [.init(name: "shadow", policy: .adaptiveThompson)]
    plan.isSticky = policy == .bernoulliThompson
    plan.guardrails = [.init(share: 0.7, certainty: 0.9, trialsMin: 20)]
    plan.features = policy.isContextual ? ["device"] : []
    let (log, decisions) = try Self.run(
      plan, seed: 3, servers: 1, rates: [0.1, 0.5, 0.3], steps: policy.isContextual ? 25 : 150,
      retractedAt: 15)
    let found = try Self.replay(plan, log, decisions)
    #expect(found.chainCount == 1 && decisions.count > (policy.isContextual ? 60 : 400))
    let tally = found.tally
    #expect(tally.same == decisions.count && tally.decisions == decisions.count, "\(tally)")
    #expect(tally.compared == tally.same && tally.first == nil)
  }

  @Test(
    "Decisions of processes that read the streams in other orders are made again chain by chain")
  func chains() throws {
    let (log, decisions) = try Self.run(
      DecisionStory.plan, seed: 5, servers: 3, rates: [0.1, 0.5, 0.3])
    let found = try Self.replay(DecisionStory.plan, log, decisions)
    #expect(found.chainCount > 1)
    #expect(found.tally.same == decisions.count)
  }

  @Test("What is not as it was logged is told apart: other rewards, other arms, another plan")
  func differs() throws {
    let (log, decisions) = try Self.run(
      DecisionStory.plan, seed: 6, servers: 1, rates: [0.1, 0.5, 0.3])
    var less = log
    less.streams[0].removeSubrange(20..<30)
    let shifted = try Self.replay(DecisionStory.plan, less, decisions).tally
    #expect(shifted.otherChances > 50 && shifted.same < decisions.count)
    let first = try #require(shifted.first)
    #expect(first.logged.id == first.again.id && first.logged != first.again)
    #expect(first.logged.timeMs > (decisions.map(\.event.token.timeMs).min() ?? 0))
    var changed = DecisionStory.plan
    changed.floor = 0.05
    let before = try Self.replay(changed, log, decisions)
    #expect(before.tally.otherVersion == decisions.count && before.tally.compared == 0)
    // Made by the plan as it was, and good to estimate from all the same.
    #expect(before.outcomes.count == decisions.count)
    var strangers = decisions
    for index in strangers.indices { strangers[index].event.plan = "other" }
    #expect(try Self.replay(DecisionStory.plan, log, strangers).tally.decisions == 0)
  }

  @Test(
    "Another policy is estimated at what it would have earned, and the plan's own at what it did")
  func evaluates() throws {
    var plan = DecisionStory.plan
    plan.policy = .uniform
    plan.holdout = nil
    let rates = [0.1, 0.6, 0.3]
    let (log, decisions) = try Self.run(plan, seed: 7, servers: 1, rates: rates, steps: 700)
    func evaluate(_ policy: DecisionPolicy? = nil) throws -> PolicyEvaluation {
      PolicyEvaluation(plan, try Self.replay(plan, log, decisions, policy: policy).outcomes)
    }
    let evaluations = (
      own: try evaluate(), best: try evaluate(.bernoulliThompson), first: try evaluate(.fixed)
    )
    // What was done is what would have been done: every weight is 1, and a model of rewards is all that makes a difference.
    for estimate in evaluations.own.estimates {
      let isPlain = estimate.name == "ips" || estimate.name == "snips"
      let difference = (estimate.value - evaluations.own.logged.value).magnitude
      #expect(difference < (isPlain ? 1e-9 : 0.01), "\(estimate)")
    }
    for estimate in evaluations.best.estimates {
      #expect(estimate.value > 0.4 && estimate.value < 0.65, "\(estimate)")
      #expect(estimate.lower < estimate.value && estimate.upper > estimate.value, "\(estimate)")
    }
    let (own, best, first) = (
      evaluations.own.anytime, evaluations.best.anytime, evaluations.first.anytime
    )
    // Candidates leave out the second arm in one of six decisions.
    #expect((own.estimate - 0.31).magnitude < 0.04, "\(own)")
    #expect((first.estimate - 0.1).magnitude < 0.09, "\(first)")
    #expect(best.estimate > 0.45 && best.estimate < 0.62, "\(best)")
    #expect(best.lower <= best.estimate && best.estimate <= best.upper, "\(best)")
    #expect(best.advantageLower <= 0.24 && best.advantageUpper >= 0.2 && !first.isBetter)
    #expect(own.advantageLower <= 0 && own.advantageUpper >= 0)
    #expect(own.decisions > decisions.count / 2)
  }

  @Test("A shadow is better once that is certain, and one that earns less never is")
  func better() {
    var plan = DecisionStory.plan
    plan.floor = 0.1
    var scores = ShadowScores(plan, count: 2)
    var random = SeededGenerator(seed: 4)
    for _ in 0..<10_000 {
      let arm = random.below(3)
      let isRewarded = random.below(10) < [1, 5, 2][arm]
      // The first shadow mostly shows the second arm, the other one the first.
      scores.add(
        DecisionEntry.Facts(arm: arm, time: ten, propensity: 1.0 / 3, flags: [], version: 1),
        reward: isRewarded ? RewardBins.one : 0,
        chances: [[0.1, 0.8, 0.1][arm], [0.8, 0.1, 0.1][arm]])
    }
    let reports = scores.report()
    #expect(reports[0].isBetter && !reports[1].isBetter && reports[1].advantageUpper < 0)
    for (report, truth) in zip(reports, [0.43, 0.15]) {
      #expect((report.estimate - truth).magnitude < 0.02 && report.clipped == 0, "\(report)")
      #expect(report.lower <= truth && truth <= report.upper, "\(report)")
    }
  }
}
