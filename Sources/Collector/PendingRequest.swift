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

  /// How far the log holds of each partition, in rising order. A generation is read when all earlier ones have been,
  /// so only the newest counts.
  private var sequences: (generation: UInt32, sequences: [(partition: Int, sequence: UInt64)]) {
    guard let first else { return (generation, []) }
    var newest = first.generation
    for frame in more where frame.generation > newest { newest = frame.generation }
    var sequences: [(partition: Int, sequence: UInt64)] = []
    sequences.reserveCapacity(more.count + 1)
    func take(_ frame: PublishedFrame) {
      guard frame.generation == newest, let partition = frame.partition else { return }
      // A request has few.
      let index = sequences.firstIndex { $0.partition >= partition } ?? sequences.endIndex
      if index < sequences.endIndex, sequences[index].partition == partition {
        sequences[index].sequence = max(sequences[index].sequence, frame.sequence)
      } else {
        sequences.insert((partition, frame.sequence), at: index)
      }
    }
    take(first)
    for frame in more { take(frame) }
    return (newest, sequences)
  }

  var position: Position {
    let (newest, sequences) = sequences
    return Position(
      generation: newest,
      sequences: Dictionary(uniqueKeysWithValues: sequences.map { ($0.partition, $0.sequence) }))
  }

  /// The text of ``position``, and the header field with it.
  var texts: (position: String, header: [UInt8]) {
    if let first, more.isEmpty { return (first.positionText, first.positionHeader) }
    let (newest, sequences) = sequences
    let text = Position.text(generation: newest, sequences)
    return (text, PublishedFrame.header(text))
  }
}

/// A frame that is durable, with the texts that the answers to its requests share.
final class PublishedFrame: Sendable {
  let generation: UInt32
  /// Nil for dead letters, which are no part of positions.
  let partition: Int?
  let sequence: UInt64
  let positionText: String
  let positionHeader: [UInt8]

  init(generation: UInt32, partition: Int?, sequence: UInt64) {
    self.generation = generation
    self.partition = partition
    self.sequence = sequence
    positionText = Position.text(
      generation: generation, partition.map { [($0, sequence)] } ?? [])
    positionHeader = Self.header(positionText)
  }

  /// What answers carry instead of a position while their events wait in the spool.
  static let spooledHeader = HeaderText.line("SmartContent-Spooled", "true")

  /// The header field that every ingest answer carries its position in.
  static func header(_ position: String) -> [UInt8] {
    HeaderText.line("SmartContent-Position", position)
  }
}
