import Testing

@testable import Experiments

@Suite("Assignment")
struct AssignmentTests {
  @Test(
    "the hash is MurmurHash3 with its published values",
    arguments: [
      ("", 0), ("a", 0x3c25_69b2), ("aaaa", 0x7eee_d987), ("Hello, world!", 0xc036_3e43),
      ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
    ] as [(String, UInt32)])
  func hash(text: String, value: UInt32) {
    #expect(PersonBucket.hash(Array(text.utf8)) == value)
  }

  /// SDKs have the same ones: a change here moves every person of every experiment.
  @Test(
    "buckets are those of the documented algorithm",
    arguments: [
      ("spring-subject", "ann", 974_350), ("spring-subject", "bob", 177_039),
      ("spring-subject", "user-1", 804_124), ("autumn", "ann", 28_318),
      ("spring-subject", "Zoë", 216_712), ("x", "", 594_701),
    ])
  func golden(experiment: String, person: String, bucket: Int) {
    #expect(PersonBucket.of(person, in: experiment) == bucket)
  }

  /// χ² of 100 cells with 99 degrees has a mean of 99 and a deviation of 14; 160 is four of them.
  @Test(
    "buckets are even for ids of every sort, and those of two experiments have nothing to do with each other"
  )
  func uniform() {
    let sorts: [(String, (Int) -> String)] = [
      ("numbers", { "\($0)" }), ("padded", { "user-000\($0)@example.org" }),
      ("hexadecimal", { String($0 &* 0x9e37_79b9, radix: 16) }),
    ]
    for (name, person) in sorts {
      var single = [Int](repeating: 0, count: 100)
      var joint = [Int](repeating: 0, count: 100)
      let count = 100_000
      for number in 0..<count {
        let first = PersonBucket.of(person(number), in: "first")
        let second = PersonBucket.of(person(number), in: "second")
        single[first / 10_000] += 1
        joint[first / 100_000 * 10 + second / 100_000] += 1
      }
      for (what, cells) in [("one", single), ("two", joint)] {
        let due = Double(count) / 100
        let square = cells.reduce(0) { $0 + (Double($1) - due) * (Double($1) - due) / due }
        #expect(square < 160, "\(name), \(what): \(square)")
      }
    }
  }

  @Test("it begins with cumulative thresholds, and the rest is in no experiment")
  func thresholds() {
    let allocation = Allocation(shares: [200_000, 300_000])
    #expect(
      allocation.stretches == [
        Allocation.Stretch(from: 0, to: 200_000, variant: 0),
        Allocation.Stretch(from: 200_000, to: 500_000, variant: 1),
      ])
    let cases: [(Int, Int?)] = [
      (0, 0), (199_999, 0), (200_000, 1), (499_999, 1), (500_000, nil), (999_999, nil),
    ]
    for (bucket, variant) in cases { #expect(allocation.variant(ofBucket: bucket) == variant) }
  }

  @Test("ramping up moves nobody from one variant to another; any change moves as few as can be")
  func ramp() {
    let histories: [[[Int]]] = [
      [[10, 10], [30, 30], [50, 50]], [[90, 10], [50, 50]], [[80, 10, 10], [34, 33, 33]],
      [[50, 50], [0, 100], [50, 50]], [[10, 20, 30], [30, 20, 10], [33, 33, 34], [1, 1, 1]],
      [[50, 25, 25], [40, 40, 20], [60, 10, 30], [20, 20, 20]],
    ]
    for history in histories {
      let shares = history.map { $0.map { $0 * 10_000 } }
      var allocation = Allocation(shares: shares[0])
      for (before, after) in zip(shares, shares.dropFirst()) {
        let old = allocation
        allocation.change(to: after)
        var counts = [Int](repeating: 0, count: after.count)
        var moved = 0
        for bucket in stride(from: 0, to: Allocation.parts, by: 1_000) {
          let now = allocation.variant(ofBucket: bucket)
          if let now { counts[now] += 1_000 }
          if let was = old.variant(ofBucket: bucket), was != now { moved += 1_000 }
        }
        #expect(counts == after, "\(history)")
        let least = zip(before, after).reduce(0) { $0 + max(0, $1.0 - $1.1) }
        #expect(moved == least, "\(history): \(before) to \(after)")
      }
    }
  }

  @Test("an experiment assigns by the epoch that is in force, and after its end what was decided")
  func epochs() {
    var experiment = Experiment(
      id: "spring-subject",
      plan: ExperimentPlan(campaign: "spring", variants: ["a", "b"], control: "a"),
      epochs: [
        Experiment.Epoch(since: 100, shares: [100_000, 100_000]),
        Experiment.Epoch(since: 200, shares: [0, 1_000_000]),
      ], status: .running)
    // ann has bucket 974,350, bob 177,039.
    let running = Assigner(experiment)
    #expect(running.assign("bob", at: 99).epoch == nil)
    #expect(
      running.assign("bob", at: 100)
        == Assignment(variant: 1, bucket: 177_039, shares: [100_000, 100_000], epoch: 0))
    #expect(running.assign("ann", at: 199).variant == nil)
    #expect(running.assign("ann", at: 200).variant == 1)
    experiment.status = .draft
    #expect(Assigner(experiment).assign("bob", at: 150).variant == nil)
    experiment.status = .stopped(at: 300, Experiment.Decision(variant: "a", reason: ""))
    #expect(
      Assigner(experiment).assign("ann", at: 400)
        == Assignment(variant: 0, bucket: 974_350, shares: [1_000_000, 0], epoch: nil))
  }
}
