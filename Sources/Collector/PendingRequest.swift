public import Events
import HTTPServer
import Synchronization

/// What becomes of the events of one request.
public enum IngestOutcome: Sendable {
  /// All of them are durable.
  case stored(Position)
  /// All of them are durable, some in the collector's ``Spool``: they have no position yet.
  case spooled
  /// None of them is stored, because too many wait already; the client has to send them again.
  case overloaded(Overload)
  /// Some may be stored, some are not; the client has to send all of them again.
  case unavailable(String)
}

/// A request that waits until every frame with events of it is acknowledged.
///
/// The event loop adds frames; the publisher's thread settles them. Whoever takes the last
/// outstanding part finishes the request.
final class PendingRequest: @unchecked Sendable {
  // `stored`, `isSpooled` and `failure` are written by the publisher's thread alone, before its release of
  // `outstanding`; whoever takes the last part reads them after acquiring it.

  /// An ``IngestOutcome`` whose position nobody may want to have.
  enum Settlement: Sendable {
    case stored(StoredFrames)
    case spooled
    case overloaded(Overload)
    case unavailable(String)

    var outcome: IngestOutcome {
      switch self {
      case .stored(let frames): .stored(frames.position)
      case .spooled: .spooled
      case .overloaded(let overload): .overloaded(overload)
      case .unavailable(let reason): .unavailable(reason)
      }
    }
  }

  typealias Completion = @Sendable (Settlement, inout ResponseBatch) -> Void

  /// Frames not yet settled, and one for the submission itself.
  private let outstanding = Atomic<Int>(1)
  /// The write key's number, see ``LaneShares``.
  let key: Int
  private var stored: StoredFrames
  private var isSpooled = false
  private var failure: String?
  private let completion: Completion

  init(generation: UInt32, key: Int, completion: @escaping Completion) {
    stored = StoredFrames(generation: generation)
    self.key = key
    self.completion = completion
  }

  func addFrame() { outstanding.add(1, ordering: .relaxed) }

  /// All events are in frames; finishes the request if these are settled already.
  func submitted(_ batch: inout ResponseBatch) { take(&batch) }

  func settled(_ frame: PublishedFrame, _ batch: inout ResponseBatch) {
    stored.add(frame)
    take(&batch)
  }

  /// A frame is durable in the spool.
  func spooled(_ batch: inout ResponseBatch) {
    isSpooled = true
    take(&batch)
  }

  func failed(_ reason: String, _ batch: inout ResponseBatch) {
    failure = reason
    take(&batch)
  }

  private func take(_ batch: inout ResponseBatch) {
    guard outstanding.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
    if let failure {
      completion(.unavailable(failure), &batch)
    } else if isSpooled {
      completion(.spooled, &batch)
    } else {
      completion(.stored(stored), &batch)
    }
  }
}

/// The durable frames that a request's events are in.
struct StoredFrames: Sendable {
  /// The one that there was when the request came.
  let generation: UInt32
  /// Nil where nothing had to be stored but dead letters, which are no part of positions.
  private var first: PublishedFrame?
  /// Of a request that has several; most have one.
  private var more: [PublishedFrame] = []

  init(generation: UInt32) { self.generation = generation }

  mutating func add(_ frame: PublishedFrame) {
    guard frame.partition != nil else { return }
    if first == nil {
      first = frame
    } else {
      if more.isEmpty { more.reserveCapacity(7) }
      more.append(frame)
    }
  }

  /// How far the log holds of each partition.
  var position: Position {
    let newest = newest
    let sequences = Self.sequences(of: frames, in: newest)
    return Position(
      generation: newest,
      sequences: Dictionary(uniqueKeysWithValues: sequences.map { ($0.partition, $0.sequence) }))
  }

  /// What answers say of ``position``.
  var texts: PositionTexts {
    guard let first else { return PositionTexts(Position.text(generation: generation, [])) }
    if more.isEmpty { return first.texts }
    return first.texts(with: more) {
      let newest = newest
      return PositionTexts(
        Position.text(generation: newest, Self.sequences(of: frames, in: newest)))
    }
  }

  private var frames: [PublishedFrame] { first.map { [$0] + more } ?? [] }

  /// A generation is read when all earlier ones have been, so only the newest counts.
  private var newest: UInt32 {
    more.reduce(first?.generation ?? generation) { max($0, $1.generation) }
  }

  /// In rising order of partition.
  private static func sequences(
    of frames: [PublishedFrame], in generation: UInt32
  ) -> [(partition: Int, sequence: UInt64)] {
    var sequences: [(partition: Int, sequence: UInt64)] = []
    sequences.reserveCapacity(frames.count)
    for frame in frames {
      guard frame.generation == generation, let partition = frame.partition else { continue }
      // A request has few.
      let index = sequences.firstIndex { $0.partition >= partition } ?? sequences.endIndex
      if index < sequences.endIndex, sequences[index].partition == partition {
        sequences[index].sequence = max(sequences[index].sequence, frame.sequence)
      } else {
        sequences.insert((partition, frame.sequence), at: index)
      }
    }
    return sequences
  }
}

/// What answers say of a position. Requests whose events are in the same frames share it, and so do their answers where
/// they say nothing else.
final class PositionTexts: Sendable {
  let position: String
  /// The header field with it.
  let header: [UInt8]
  /// The answer of a protocol, by its name, to a request of which nothing was refused.
  private let plain = Mutex<(name: String, answer: FastResponse)?>(nil)

  init(_ position: String) {
    self.position = position
    header = HeaderText.line("SmartContent-Position", position)
  }

  func answer(of ingest: IngestProtocol) -> FastResponse {
    plain.withLock { plain in
      if let plain, plain.name == ingest.name { return plain.answer }
      let answer = ingest.answer(
        StoredAnswer(position: position, positionHeader: header, rejected: []))
      plain = (ingest.name, answer)
      return answer
    }
  }
}

/// A frame that is durable, with the texts that the answers to its requests share.
final class PublishedFrame: Sendable {
  let generation: UInt32
  /// Nil for dead letters, which are no part of positions.
  let partition: Int?
  let sequence: UInt64
  let texts: PositionTexts
  /// Of the last request that had events in other frames, too.
  private let shared = Mutex<(others: [PublishedFrame], texts: PositionTexts)?>(nil)

  init(generation: UInt32, partition: Int?, sequence: UInt64) {
    self.generation = generation
    self.partition = partition
    self.sequence = sequence
    texts = PositionTexts(
      Position.text(generation: generation, partition.map { [($0, sequence)] } ?? []))
  }

  /// The texts of several frames.
  func texts(with others: [PublishedFrame], _ make: () -> PositionTexts) -> PositionTexts {
    shared.withLock { shared in
      if let shared, shared.others.elementsEqual(others, by: ===) { return shared.texts }
      let texts = make()
      shared = (others, texts)
      return texts
    }
  }

  /// What answers carry instead of a position while their events wait in the spool.
  static let spooledHeader = HeaderText.line("SmartContent-Spooled", "true")
}
