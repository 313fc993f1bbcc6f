import Events
import Oracles
import Testing

@testable import Learning
@testable import Statistics

@Suite struct DecisionLedgerTests {
  static let plans: [DecisionPlan] = {
    var echoed = DecisionStory.plan
    echoed.activation = .echoed(wait: 2 * minute)
    var conversions = DecisionStory.plan
    conversions.reward = .conversion
    var revenue = DecisionStory.plan
    revenue.reward = .revenue(unit: 2_500_000, currency: "EUR")
    return [DecisionStory.plan, echoed, conversions, revenue]
  }()

  @Test("The sums are those that are told plainly from the whole log", arguments: plans.indices)
  func plainly(index: Int) throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      let story = DecisionStory.random(seed, plan: Self.plans[index])
      let learner = try story.learn(story.events)
      let (sums, held) = story.sums(story.events)
      #expect(learner.ledger(0).sums == sums, "seed \(seed)")
      #expect(learner.ledger(0).heldOut == held, "seed \(seed)")
      #expect(sums.totals.contains { $0.rewards > 0 } && held.contains { $0.trials > 0 })
    }
  }

  @Test(
    "In whatever order decisions, echoes and rewards come, and however streams are interleaved, the sums are the same",
    arguments: plans.indices)
  func anyOrder(index: Int) throws {
    let story = DecisionStory.random(7, plan: Self.plans[index])
    let whole = try story.learn(story.events).ledger(0)
    for seed in 1...12 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let events = story.events.shuffled(using: &random)
      let learner = try story.learn(
        events, perFrame: 1 + random.below(20),
        between: { learner in
          // Told the time between frames, by streams that are ahead.
          guard random.once(in: 3) else { return }
          learner.publish(
            LearningProgress(
              position: Position(generation: 1), logTime: ten - random.time(upTo: hour),
              isCaughtUp: false))
        })
      #expect(learner.ledger(0).sums == whole.sums, "seed \(seed)")
      #expect(learner.ledger(0).heldOut == whole.heldOut, "seed \(seed)")
      #expect(Self.sorted(learner.ledger(0)) == Self.sorted(whole), "seed \(seed)")
    }
  }

  /// Entries, with their persons as a set.
  private static func sorted(_ ledger: PlanLedger) -> [DecisionID: DecisionEntry] {
    ledger.entries.mapValues { entry in
      var entry = entry
      entry.persons.sort()
      return entry
    }
  }

  @Test(
    "A decision that was lost and is rebuilt from an echo of its token counts as if it had been there"
  )
  func rebuilt() throws {
    for seed in 1...6 as ClosedRange<UInt64> {
      let story = DecisionStory.random(seed)
      // A token does not say whose it is: one that only others have echoed has no person.
      let named = Set(
        story.events.filter { $0.kind != .decision && $0.person <= 100 }.compactMap(\.decision))
      let lost = story.events.filter {
        !($0.name == LoggedDecisionEvent.eventName
          && named.contains($0.decision ?? DecisionID(.zero)))
      }
      #expect(lost.count < story.events.count - 50)
      let (whole, left) = (try story.learn(story.events).ledger(0), try story.learn(lost).ledger(0))
      #expect(left.sums == whole.sums && left.heldOut == whole.heldOut, "seed \(seed)")
      #expect(left.counts.rebuilt > 50 && left.entryCount == whole.entryCount)
    }
  }

  @Test("A stated reward that replaces another leaves nothing of it, whichever comes first")
  func replaced() throws {
    var story = DecisionStory(DecisionStory.plan)
    let id = story.decide(1, at: ten - 9 * minute)
    story.echo(id, .click, 1, at: ten - 8 * minute)
    var once = story
    story.state(id, 0.75, at: ten - 7 * minute)
    story.state(id, 0.25, at: ten - 6 * minute)
    once.state(id, 0.25, at: ten - 6 * minute)
    let expected = try once.learn(once.events).ledger(0).sums
    #expect(try story.learn(story.events).ledger(0).sums == expected)
    #expect(try story.learn(story.events.reversed()).ledger(0).sums == expected)
    #expect(expected.totals.map(\.rewards).reduce(0, +) == 16_384)
  }

  @Test("What is taken back is as if it had never been, and stays so whatever comes later")
  func retracted() throws {
    let story = DecisionStory.random(11)
    let gone = Set(story.decisions.keys.filter { $0.key.low % 3 == 0 })
    let learner = try story.learn(story.events)
    for id in gone { #expect(learner.retract(id)) }
    let without = learner.ledger(0)
    let whole = try story.learn(story.events).ledger(0).sums
    var expected = RewardBins(arms: 3, memory: story.plan.memory)
    expected.advance(to: ten)
    for (id, entry) in without.entries where !gone.contains(id) {
      guard let part = entry.contribution(story.plan), !part.isHeldOut else { continue }
      expected.add(arm: part.arm, time: part.time, reward: part.reward, delay: part.delay)
    }
    #expect(without.sums == expected && without.sums != whole)
    #expect(!learner.retract(DecisionID(.zero)))

    let erased = try story.learn(story.events)
    for person in 1...200 as ClosedRange<UInt64> {
      erased.retract(person: DecisionStory.key(person))
    }
    #expect(erased.ledger(0).sums.bins.isEmpty)
    #expect(erased.ledger(0).heldOut.allSatisfy { $0 == RewardBins.Cell() })
  }

  @Test("All decisions of a person are taken back, also where there are more than a timeline keeps")
  func retractedMany() throws {
    for end in [ten, ten + 3 * hour] {
      var story = DecisionStory(DecisionStory.plan)
      for number in 0..<100 as Range<Int64> {
        let time = ten - 50 * minute + number * 9 * second
        let id = story.decide(7, at: time)
        story.echo(id, .click, 7, at: time + second)
      }
      let learner = try story.learn(story.events, until: end)
      #expect(!learner.ledger(0).sums.bins.isEmpty)
      learner.retract(person: DecisionStory.key(7))
      #expect(learner.ledger(0).sums.bins.isEmpty)
      #expect(learner.ledger(0).heldOut.allSatisfy { $0 == RewardBins.Cell() })
    }
  }

  @Test(
    "Who is erased is out of the sums, settled or not: they are those of a log without the person")
  func erased() throws {
    for policy in [DecisionPolicy.bernoulliThompson, .linearThompson] {
      var plan = DecisionStory.plan
      plan.policy = policy
      plan.features = ["size"]
      plan.isSticky = true
      for end in [ten, ten + 3 * hour] {
        var story = DecisionStory(plan)
        for number in 0..<300 as Range<Int64> {
          let person = UInt64(1 + number % 40)
          let time = ten - 50 * minute + number * 9 * second
          let id = story.decide(
            person, at: time,
            features: DecisionFeatures([.init("size", .number(Double(number % 7)))]))
          story.echo(id, .impression, person, at: time + second)
          if number % 3 == 0 { story.echo(id, .click, person, at: time + 2 * second) }
        }
        let gone: Set<UInt64> = [3, 17, 40]
        let learner = try story.learn(story.events, until: end)
        for person in gone {
          learner.forget(DecisionStory.key(person), erasedAt: end)
        }
        let without = try story.learn(
          story.events.filter { !gone.contains($0.person) }, until: end)
        let (left, expected) = (learner.ledger(0), without.ledger(0))
        #expect(left.sums == expected.sums && left.heldOut == expected.heldOut)
        #expect(left.sums.totals.map(\.trials).reduce(0, +) > 200)
        #expect(left.sticky == expected.sticky)
        let (models, others) = (left.contextualModels(), expected.contextualModels())
        #expect("\(models)" == "\(others)" && models.isEmpty == (policy == .bernoulliThompson))
      }
    }
  }

  @Test(
    "A retraction in the log takes back what it names, whichever comes first, and no later decision of a person"
  )
  func retractedByEvents() throws {
    let base = DecisionStory.random(12)
    var story = base
    let person: UInt64 = 7
    let gone = Set(base.decisions.keys.filter { $0.key.low % 4 == 0 })
    for id in gone { story.retract(.decision(id), at: ten - minute) }
    story.retract(.person(DecisionStory.key(person)), at: ten - minute)
    let later = story.decide(person, at: ten - second)
    let learner = try story.learn(story.events)
    let ledger = learner.ledger(0)
    for (id, entry) in ledger.entries where entry.facts != nil {
      let isGone =
        gone.contains(id) || (entry.persons.contains(DecisionStory.key(person)) && id != later)
      #expect((entry.contribution(story.plan) == nil) == isGone, "\(entry)")
    }
    var random = SeededGenerator(seed: 3)
    for _ in 0..<3 {
      let other = try story.learn(story.events.shuffled(using: &random)).ledger(0)
      #expect(other.sums == ledger.sums && other.heldOut == ledger.heldOut)
      #expect(other.soFar == ledger.soFar)
    }
  }

  @Test("A retraction's payload is read as it was written, and keeps its form")
  func retraction() throws {
    let key = Key128(low: 1, high: 2)
    for (subject, text) in [
      (.decision(DecisionID(key)), #"{"retract":"\#(key)"}"#),
      (.person(key), #"{"retract_person":"\#(key)"}"#),
    ] as [(LoggedRetractionEvent.Subject, String)] {
      let event = LoggedRetractionEvent(subject)
      #expect(String(decoding: event.payload, as: UTF8.self) == text)
      #expect(try event.payload.withUnsafeBytes { try LoggedRetractionEvent(payload: $0) } == event)
    }
    #expect(try Array("{}".utf8).withUnsafeBytes { try LoggedRetractionEvent(payload: $0) } == nil)
  }

  @Test("Once the reward window has passed nothing is left in the ledger, and the sums stay")
  func expires() throws {
    let story = DecisionStory.random(5)
    let learner = try story.learn(story.events)
    let before = learner.ledger(0).sums.totals
    #expect(learner.ledger(0).entryCount == 120)
    learner.publish(
      LearningProgress(
        position: Position(generation: 1), logTime: ten + 3 * hour, isCaughtUp: true))
    let ledger = learner.ledger(0)
    #expect(ledger.entryCount == 0 && ledger.timelineCount == 0)
    #expect(ledger.sums.totals == before && ledger.counts.evicted == 0)
    let scored = ledger.shadows.report()[0].decisions
    #expect(scored > 60 && scored < 120)
  }

  @Test("Estimates of shadows do not depend on the order in which decisions came")
  func shadowsInOrder() throws {
    let story = DecisionStory.random(8)
    var reports: Set<String> = []
    for seed in 1...4 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let learner = try story.learn(story.events.shuffled(using: &random), until: ten + 5 * hour)
      reports.insert("\(learner.ledger(0).shadows.report())")
    }
    #expect(reports.count == 1)
  }

  @Test("A reward after the window, and any event of a decision that is gone, changes nothing")
  func tooLate() throws {
    var story = DecisionStory(DecisionStory.plan)
    let id = story.decide(1, at: ten - 2 * hour)
    story.echo(id, .click, 1, at: ten - hour + second)
    story.touch(1, .click, at: ten - hour + second)
    let early = try story.learn(
      story.events, perFrame: 1, storedAt: { $0.map(\.time).min() ?? 0 })
    #expect(early.ledger(0).sums.totals.map(\.rewards) == [0, 0, 0])
    #expect(early.ledger(0).sums.totals.map(\.trials).reduce(0, +) == 1)
    let late = try story.learn(story.events)
    #expect(late.ledger(0).sums.bins.isEmpty && late.ledger(0).counts.tooLate >= 2)
  }

  @Test("Where there are too many decisions the oldest go, and are counted")
  func bounded() throws {
    let story = DecisionStory.random(9)
    var ledger = PlanLedger(story.plan, entryCountMax: 40)
    for (index, decision) in story.decisions.values.enumerated() {
      ledger.decide(
        decision.token.id,
        DecisionEntry.Facts(
          arm: decision.arm, time: decision.token.time, propensity: 1, flags: [], version: 1),
        person: DecisionStory.key(UInt64(index)), features: .none, shadows: [], logTime: ten)
      ledger.advance(to: ten)
      #expect(ledger.entryCount <= 40)
    }
    #expect(ledger.counts.evicted + ledger.counts.tooLate + UInt64(ledger.entryCount) >= 120)
    // One person with many decisions and clicks.
    var crowd = DecisionStory(DecisionStory.plan)
    for number in 0..<100 {
      crowd.decide(1, at: ten - 10 * minute + Int64(number) * second)
      crowd.touch(1, .click, at: ten - 10 * minute + Int64(number) * second + 1)
    }
    #expect(try crowd.learn(crowd.events).ledger(0).counts.crowded > 0)
  }

  @Test("Decisions of the plan as it was before are found again by the names of their arms")
  func changedPlan() throws {
    var story = DecisionStory(DecisionStory.plan)
    for person in 1...60 as ClosedRange<UInt64> {
      let id = story.decide(person, at: ten - 9 * minute)
      story.echo(id, .click, person, at: ten - 8 * minute)
    }
    let before = try story.learn(story.events).ledger(0).sums.totals
    story.plan.arms = ["c", "new", "a"]
    let ledger = try story.learn(story.events).ledger(0)
    let totals = ledger.sums.totals
    #expect(totals[0] == before[2] && totals[1].trials == 0 && totals[2] == before[0])
    #expect(ledger.counts.otherPlan > 0)
  }

  @Test("A person of a sticky plan gets the arm that it had first, in whatever order that was read")
  func sticky() throws {
    var story = DecisionStory(DecisionStory.plan)
    story.plan.isSticky = true
    story.plan.holdout = nil
    var first: [UInt64: Int] = [:]
    for person in 1...40 as ClosedRange<UInt64> {
      for time in [ten - 9 * minute, ten - 5 * minute] {
        let id = story.decide(person, at: time)
        first[person] = first[person] ?? story.decisions[id]?.arm
      }
    }
    for events in [story.events, story.events.reversed()] {
      let models = Box()
      let learner = try story.learn(events, publish: { models.value = $0 })
      let snapshot = try #require(models.value?.plans["hero"])
      #expect(snapshot.sticky?.count == 40 && learner.ledger(0).counts.crowded == 0)
      let learning = try #require(models.value?.learning["hero"])
      #expect(learning.counts.decisions == 80 && learning.pending == 80)
      #expect(learning.shadows.count == 1 && learning.servedLower == 0 && learning.servedUpper == 1)
      for (person, arm) in first {
        var request = DecideTests.request(person, person: person)
        request.person = DecisionStory.key(person)
        let decision = snapshot.decide(request)
        #expect(decision.arm == arm && decision.reason == .repeated)
      }
    }
    var full = StickyArms(countMax: 1)
    let isNoted = (1...2).map { full.note(Key128(low: $0, high: 1), 0, at: 5, DecisionID(.zero)) }
    #expect(isNoted == [true, false])
    #expect(full[Key128(low: 1, high: 1)] == 0 && full[Key128(low: 2, high: 1)] == nil)
  }

  /// What was published last.
  private final class Box: @unchecked Sendable {
    // Written and read by the test's own thread alone.
    var value: DecisionModels?
  }

  @Test("Tokens that were not signed here, and events of other sites, say nothing")
  func foreign() throws {
    var story = DecisionStory(DecisionStory.plan)
    let id = story.decide(1, at: ten - minute)
    story.echo(id, .click, 1, at: ten - second)
    var forged = story.events[1]
    forged.payload = forged.payload.map { $0 == UInt8(ascii: "A") ? UInt8(ascii: "B") : $0 }
    #expect(try story.learn([forged]).ledger(0).entryCount == 0)
    var elsewhere = story.events[1]
    elsewhere.tuple.site = "other"
    #expect(try story.learn([elsewhere]).ledger(0).entryCount == 0)
    var bot = story.events[1]
    bot.tuple.traffic = DimensionTuple.bot
    #expect(try story.learn([bot]).ledger(0).entryCount == 0)
    #expect(try story.learn([story.events[1]]).ledger(0).entryCount == 1)
    let learner = try story.learn([
      {
        var event = story.events[0]
        event.payload = Array(#"{"decision":7}"#.utf8)
        return event
      }()
    ])
    #expect(learner.unreadable == 1)
  }
}
