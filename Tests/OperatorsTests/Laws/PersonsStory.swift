import Events
import Oracles
import Verification
import Views

@testable import Operators

/// Histories of persons under the laws.
final class PersonSubject: LawSubject {
  private var run: PersonRun

  init(_ policy: PersonPolicy) { run = PersonRun(policy) }

  func take(_ step: PersonStory.Step, isSilent: Bool, into said: inout Said) {
    switch step {
    case .insert(let touch, let person): run.insert(touch, of: person)
    case .advance(let watermark): run.histories.advance(watermark: watermark)
    case .unite(let a, let b): run.histories.unite(a, b)
    case .handOver(let from, let to):
      let moved = run.handOver(from)
      said.decisions.append(moved.touches.map { Int64(bitPattern: $0.key.low) })
      said.decisions.append(moved.anchors.map(\.time).sorted())
      run.insert(moved, of: to)
    case .drain: hand(out: !isSilent, into: &said)
    case .save, .restart: break
    }
  }

  /// What was not handed out is part of the state, so when it is handed out is part of the story.
  func drain(into said: inout Said) {}

  private func hand(out isSaid: Bool, into said: inout Said) {
    run.drain()
    for (place, outcomes) in run.sums {
      guard isSaid else { break }
      said.add([NaiveOracle.id(place.tuple.encoded), place.window], outcomes.counts.numbers)
    }
    for (place, sums) in run.exposed where isSaid {
      let id = NaiveOracle.id(place.tuple.encoded)
      said.add([id, place.window, 1], sums.exposures.counts.numbers)
      said.add([id, place.window, 2], sums.baselines.counts.numbers)
    }
    run.sums = [:]
    run.exposed = [:]
  }

  func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    run.histories.snapshot(isComplete: scope == .everything, into: &writer)
  }

  func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try run.histories.restore(from: &reader, keeping: 0..<KeyGroup.count)
  }
}

struct PersonsStory: LawStory {
  private let policy: PersonPolicy
  private var steps: [PersonStory.Step]

  init(seed: UInt64, law: OperatorLaw) {
    let story = PersonStory(seed: seed, count: 60, movesPersons: true)
    var policy = story.policy
    // Who is one too many depends on who else there is.
    if law == .partition || law == .permutation { policy.personCountMax = 1000 }
    self.policy = policy
    steps = story.steps
    // The last one lets everything expire.
    if law != .expiry { steps.removeLast() }
    steps.append(.drain)
  }

  func make() -> PersonSubject { PersonSubject(policy) }

  var inputs: [PersonStory.Step] { steps }

  /// Persons that have to do with each other stay together.
  func inputs(of isIncluded: (Int) -> Bool) -> [PersonStory.Step] {
    var leaders: [Key128: Key128] = [:]
    func leader(_ person: Key128) -> Key128 {
      var person = person
      while let next = leaders[person] { person = next }
      return person
    }
    for step in steps {
      switch step {
      case .unite(let a, let b), .handOver(let a, let b):
        if leader(a) != leader(b) { leaders[leader(a)] = leader(b) }
      default: break
      }
    }
    return steps.filter { step in
      switch step {
      case .insert(_, let person), .unite(let person, _), .handOver(let person, _):
        isIncluded(Int(leader(person).high))
      default: true
      }
    }
  }

  /// At one moment, because what has left state depends on when others come.
  func permuted(_ random: inout SeededGenerator) -> [PersonStory.Step] {
    let changes = steps.filter { step in
      switch step {
      case .insert, .unite: true
      default: false
      }
    }
    return [.advance(noon)] + changes.shuffled(using: &random) + [.drain]
  }

  var ending: [PersonStory.Step] { [] }
}
