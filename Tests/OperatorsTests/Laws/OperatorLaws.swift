import Oracles
import Testing

@testable import Operators

/// The laws that every operator keeps, whatever it computes.
enum OperatorLaw: String, CaseIterable, Sendable {
  /// Saved and restored between any two inputs, it says and remembers what one does that ran through.
  case restart
  /// Inputs that are not too late give the same sums in every order.
  case permutation
  /// Persons may be shared out among any number of operators in any way: their sums add up to those of
  /// one that has them all. So sums may be added in any order, and in any grouping.
  case partition
  /// A replay of everything, and a snapshot with a replay of the rest, end in the same bytes, and say the
  /// same from there on.
  case replay
  /// Nothing is remembered once everything has expired.
  case expiry
}

/// Tries the laws on the operators of a story.
struct OperatorLaws<Story: LawStory> {
  private typealias Input = Story.Subject.Input

  private let story: Story
  private let name: String
  private let seed: UInt64

  init(_ law: OperatorLaw, _ name: String, seed: UInt64) {
    story = Story(seed: seed, law: law)
    self.name = "\(name), seed \(seed)"
    self.seed = seed
  }

  /// - Returns: how much the operators had to say: laws over nothing prove nothing.
  func verify(_ law: OperatorLaw) throws -> Int {
    switch law {
    case .restart: try restart()
    case .permutation: try permutation()
    case .partition: try partition()
    case .replay: try replay()
    case .expiry: try expiry()
    }
  }

  // MARK: The laws

  /// Between inputs: from a base each time, from increments alone, or from a base and increments that
  /// hold one input or more.
  private enum Restarts { case never, fromEverything, fromChanges, fromChain }

  private func restart() throws -> Int {
    let straight = try run(.never, drainEvery: 1)
    for restarts in [Restarts.fromEverything, .fromChanges, .fromChain] {
      let restarted = try run(restarts, drainEvery: 1)
      #expect(
        (straight.said == restarted.said) == true, "\(name): \(restarts) it says other things")
      #expect((straight.state == restarted.state) == true, "\(name): \(restarts) it is another")
    }
    let seldom = try run(.never, drainEvery: 7)
    #expect(
      (straight.said == seldom.said) == true, "\(name): drained less often it says other things")
    #expect((straight.state == seldom.state) == true, "\(name): drained less often it is another")
    return straight.said.sums.count
  }

  private func permutation() throws -> Int {
    var random = SeededGenerator(seed: seed)
    let one = try total(story.permuted(&random))
    let other = try total(story.permuted(&random))
    #expect((one == other) == true, "\(name): the order of its inputs matters")
    return one.count
  }

  private func partition() throws -> Int {
    let whole = try total(story.inputs { _ in true })
    // Three parts, which may be put together in any way.
    func part(_ isIncluded: (Int) -> Bool) throws -> [[Int64]: [Int64]] {
      try total(
        story.inputs { person in
          var random = SeededGenerator(seed: seed &* 1000 &+ UInt64(truncatingIfNeeded: person))
          return isIncluded(random.below(3))
        })
    }
    for grouping in [
      [[0], [1], [2]], [[2], [1], [0]], [[0, 1], [2]], [[0], [1, 2]], [[0, 2], [1]],
    ] {
      var sum = Said()
      for group in grouping {
        for (key, values) in try part({ group.contains($0) }) { sum.add(key, values) }
      }
      #expect((sum.total == whole) == true, "\(name): parts \(grouping) are not the whole")
    }
    return whole.count
  }

  private func replay() throws -> Int {
    var random = SeededGenerator(seed: seed)
    let inputs = story.inputs
    let saved = random.below(inputs.count + 1)
    let committed = saved + random.below(inputs.count + 1 - saved)
    let straight = story.make()
    var said = Said()
    var snapshot: [UInt8] = []
    for (index, input) in inputs.enumerated() {
      if index == saved { snapshot = Self.bytes(straight, .everything) }
      try straight.take(input, isSilent: false, into: &said)
      if random.once(in: 2) { straight.drain(into: &said) }
    }
    if saved == inputs.count { snapshot = Self.bytes(straight, .everything) }
    let full = story.make()
    let fullSaid = try go(on: full, inputs, from: 0, silentUpTo: committed)
    let rest = try restored([snapshot])
    let restSaid = try go(on: rest, inputs, from: saved, silentUpTo: committed)
    let state = Self.bytes(straight, .everything)
    #expect((Self.bytes(full, .everything) == state) == true, "\(name): replayed it is another")
    #expect((Self.bytes(rest, .everything) == state) == true, "\(name): restored it is another")
    #expect((fullSaid == restSaid) == true, "\(name): after a replay it says other things")
    return fullSaid.sums.count
  }

  private func expiry() throws -> Int {
    let subject = story.make()
    var said = Said()
    for input in story.inputs + story.ending {
      try subject.take(input, isSilent: false, into: &said)
    }
    subject.drain(into: &said)
    let new = story.make()
    #expect(
      Self.bytes(subject, .everything).count
        == Self.bytes(new, .everything).count + story.lastingByteCount,
      "\(name): something is left in state")
    return said.sums.count
  }

  // MARK: Runs

  private func run(
    _ restarts: Restarts, drainEvery: Int
  ) throws -> (said: Said, state: [UInt8]) {
    var subject = story.make()
    var said = Said()
    var chain: [[UInt8]] = []
    let inputs = story.inputs
    for (index, input) in inputs.enumerated() {
      try subject.take(input, isSilent: false, into: &said)
      if index % drainEvery == 0 || index == inputs.count - 1 { subject.drain(into: &said) }
      switch restarts {
      case .never: continue
      case .fromEverything: chain = [Self.bytes(subject, .everything)]
      case .fromChanges: chain.append(Self.bytes(subject, .changes))
      case .fromChain:
        if index % 5 == 2 {
          chain = [Self.bytes(subject, .everything)]
        } else if index % 3 != 1 {
          chain.append(Self.bytes(subject, .changes))
        } else {
          continue
        }
      }
      subject = try restored(chain)
    }
    return (said, Self.bytes(subject, .everything))
  }

  private func total(_ inputs: [Input]) throws -> [[Int64]: [Int64]] {
    let subject = story.make()
    var said = Said()
    for (index, input) in inputs.enumerated() {
      try subject.take(input, isSilent: false, into: &said)
      if index % 3 == 0 || index == inputs.count - 1 { subject.drain(into: &said) }
    }
    return said.total
  }

  /// Takes in what comes after a place; up to another one it was committed before.
  private func go(
    on subject: Story.Subject, _ inputs: [Input], from: Int, silentUpTo committed: Int
  ) throws -> Said {
    var said = Said()
    for index in from..<inputs.count {
      if index == committed { said = Said() }
      try subject.take(inputs[index], isSilent: index < committed, into: &said)
    }
    if committed == inputs.count { said = Said() }
    subject.drain(into: &said)
    return said
  }

  private func restored(_ chain: [[UInt8]]) throws -> Story.Subject {
    let subject = story.make()
    for link in chain {
      var reader = try SnapshotReader(link, pipelineHash: 1)
      try subject.restore(from: &reader)
      try reader.finish()
    }
    return subject
  }

  private static func bytes(_ subject: Story.Subject, _ scope: SnapshotScope) -> [UInt8] {
    var writer = SnapshotWriter(
      kind: scope == .everything ? .base : .increment, pipelineHash: 1)
    subject.snapshot(scope, into: &writer)
    return writer.finish()
  }
}
