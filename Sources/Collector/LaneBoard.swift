import Synchronization

/// The lanes of one generation.
final class LaneSet: Sendable {
  let generation: IngestGeneration
  /// By partition.
  let lanes: [Lane]

  init(_ generation: IngestGeneration, round: CommitRound, parameters: IngestParameters) {
    self.generation = generation
    lanes = generation.streams.enumerated().map {
      Lane(
        stream: $0.element, generation: generation.number, partition: $0.offset,
        round: round, parameters: parameters)
    }
  }
}

/// All lanes of a collector.
///
/// When a generation is sealed its lanes are retired: new events go to the lanes of the next one, and
/// what a request that had looked before still puts into a retired lane is moved from there. Retired
/// lanes are kept, a few objects per change of the number of partitions.
final class LaneBoard: Sendable {
  let deadLetters: Lane
  let round = CommitRound()
  private let parameters: IngestParameters
  /// Rising; the last is the current one.
  private let sets: Mutex<[LaneSet]>

  init(_ target: IngestTarget, parameters: IngestParameters) {
    self.parameters = parameters
    deadLetters = Lane(
      stream: target.deadLetterStream, generation: 0, partition: nil, round: round,
      parameters: parameters)
    sets = Mutex([LaneSet(target.generation, round: round, parameters: parameters)])
  }

  /// Where new events go.
  var current: LaneSet { sets.withLock { $0[$0.count - 1] } }

  /// Those that are published: of the current generation, and that of the dead letters.
  var open: [Lane] { current.lanes + [deadLetters] }

  /// Those of ended generations.
  var retired: [Lane] { sets.withLock { $0.dropLast() }.flatMap(\.lanes) }

  var all: [Lane] { sets.withLock { $0 }.flatMap(\.lanes) + [deadLetters] }

  /// New events go to `generation` from now on.
  func proceed(to generation: IngestGeneration) {
    let set = LaneSet(generation, round: round, parameters: parameters)
    sets.withLock { sets in
      precondition(
        sets.allSatisfy { $0.generation.number < generation.number }, "generations rise")
      sets.append(set)
    }
  }
}
