import Dataflow
import Synchronization

/// The generations of event streams, as far as this process knows: what it was started with, and what
/// the log says since.
final class GenerationBoard: Sendable {
  private let known: Mutex<[LogGeneration]>

  init(_ generations: [LogGeneration] = []) {
    known = Mutex(generations.sorted { $0.number < $1.number })
  }

  /// Rising.
  var all: [LogGeneration] { known.withLock { $0 } }

  /// Those that are to be processed: the first, and each whose predecessor has begun to end. A later one
  /// waits for its predecessors (``Inheritance``).
  var due: [LogGeneration] {
    let all = all
    return all.enumerated().prefix { $0.offset == 0 || all[$0.offset - 1].isEnding }.map(\.element)
  }

  func generation(_ number: UInt32) -> LogGeneration? { all.first { $0.number == number } }

  func predecessor(of number: UInt32) -> LogGeneration? { all.last { $0.number < number } }

  /// The last sequence of a sealed stream; nil while frames can be added.
  func end(of stream: StreamPartition) -> UInt64? {
    guard stream.role == .events, let generation = generation(stream.generation),
      generation.ends.indices.contains(stream.partition)
    else { return nil }
    return generation.ends[stream.partition]
  }

  /// Takes in what the log says; what it does not mention stays known.
  ///
  /// - Returns: whether anything is new.
  func update(_ generations: [LogGeneration]) -> Bool {
    known.withLock { known in
      let before = known
      for generation in generations {
        if let index = known.firstIndex(where: { $0.number == generation.number }) {
          known[index] = generation
        } else {
          known.append(generation)
        }
      }
      known.sort { $0.number < $1.number }
      return known != before
    }
  }
}
