import Testing

@testable import Notifications

@Suite("When a receiver is told again")
struct RetryPlanTests {
  @Test("waits double up to ten minutes, and at least half of a wait is kept")
  func waits() {
    var full: Int64 = 1_000
    for attempt in 1...20 {
      let wait = RetryPlan.delay(attempt: attempt, id: "inc_1_1")
      #expect(wait > full / 2 && wait <= full, "attempt \(attempt): \(wait)")
      full = min(600_000, full * 2)
    }
    #expect(RetryPlan.delay(attempt: .max, id: "x") <= 600_000)
  }

  @Test("the wait of a message is its own, and the same each time")
  func jitter() {
    let waits = Set((0..<100).map { RetryPlan.delay(attempt: 4, id: "inc_\($0)_1") })
    #expect(waits.count > 90)
    #expect(
      RetryPlan.delay(attempt: 4, id: "inc_7_1") == RetryPlan.delay(attempt: 4, id: "inc_7_1"))
  }

  @Test("a receiver that is away rests longer each time, and not at all once it takes something")
  func rests() {
    var plan = RetryPlan()
    var now: Int64 = 0
    #expect(!plan.isResting(now: now))
    for attempt in 1...3 {
      plan.wasAway("a", afterMs: nil, now: now)
      let wait = RetryPlan.delay(attempt: attempt, id: "a")
      #expect(plan.isResting(now: now + wait - 1))
      #expect(!plan.isResting(now: now + wait))
      now += wait
    }
    plan.accepted("a")
    plan.wasAway("b", afterMs: nil, now: now)
    #expect(!plan.isResting(now: now + 1_000))
  }

  @Test("it says itself when it wants to be asked again, within ten minutes")
  func retryAfter() {
    var plan = RetryPlan()
    plan.wasAway("a", afterMs: 30_000, now: 0)
    #expect(plan.isResting(now: 29_999))
    #expect(!plan.isResting(now: 30_000))
    plan.wasAway("a", afterMs: 86_400_000, now: 0)
    #expect(plan.isResting(now: 599_999))
    #expect(!plan.isResting(now: 600_000))
  }

  @Test("a message that is refused waits alone, and is given up after the tenth refusal")
  func refusals() {
    var plan = RetryPlan()
    var now: Int64 = 0
    for refusal in 1..<RetryPlan.refusalsMax {
      let isGivenUp = plan.refused("a", now: now)
      #expect(!isGivenUp, "refusal \(refusal)")
      #expect(!plan.isResting(now: now))
      #expect(plan.isDue("b", now: now))
      #expect(!plan.isDue("a", now: now))
      now += RetryPlan.delay(attempt: refusal, id: "a")
      #expect(plan.isDue("a", now: now))
    }
    let isGivenUp = plan.refused("a", now: now)
    #expect(isGivenUp)
    #expect(plan.isDue("a", now: now))
  }

  @Test("what is owed no longer is forgotten")
  func forgets() {
    var plan = RetryPlan()
    _ = plan.refused("a", now: 0)
    plan.keep(only: ["b"])
    #expect(plan.isDue("a", now: 0))
  }
}
