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

  typealias Completion = @Sendable (IngestOutcome, PublishedFrame?, inout ResponseBatch) -> Void

  /// Frames not yet settled, and one for the submission itself.
  private let outstanding = Atomic<Int>(1)
  private let generation: UInt32
  /// The write key's number, see ``LaneShares``.
  let key: Int
  private var stored: PublishedFrame?
  /// Of a request that has several; most have one.
  private var moreStored: [PublishedFrame] = []
  private var isSpooled = false
  private var failure: String?
  private let completion: Completion

  init(generation: UInt32, key: Int, completion: @escaping Completion) {
    self.generation = generation
    self.key = key
    self.completion = completion
  }

  func addFrame() { outstanding.add(1, ordering: .relaxed) }

  /// All events are in frames; finishes the request if these are settled already.
  func submitted(_ batch: inout ResponseBatch) { take(&batch) }

  func settled(_ frame: PublishedFrame, _ batch: inout ResponseBatch) {
    if frame.partition != nil {
      if stored == nil { stored = frame } else { moreStored.append(frame) }
    }
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
      completion(.unavailable(failure), nil, &batch)
      return
    }
    if isSpooled {
      completion(.spooled, nil, &batch)
      return
    }
    if let stored, moreStored.isEmpty {
      completion(.stored(stored.position), stored, &batch)
      return
    }
    let stored = stored.map { [$0] + moreStored } ?? []
    // A generation is read when all earlier ones have been, so only the newest counts.
    var position = Position(generation: stored.map(\.generation).max() ?? generation)
    for frame in stored where frame.generation == position.generation {
      if let partition = frame.partition {
        position.advance(partition: partition, to: frame.sequence)
      }
    }
    completion(.stored(position), nil, &batch)
  }
}

/// A frame that is durable, with the texts that the answers to its requests share.
final class PublishedFrame: Sendable {
  let generation: UInt32
  /// Nil for dead letters, which are no part of positions.
  let partition: Int?
  let sequence: UInt64
  let position: Position
  let positionText: String
  let positionHeader: [UInt8]

  init(generation: UInt32, partition: Int?, sequence: UInt64) {
    self.generation = generation
    self.partition = partition
    self.sequence = sequence
    var position = Position(generation: generation)
    if let partition { position.advance(partition: partition, to: sequence) }
    self.position = position
    positionText = position.description
    positionHeader = Self.header(positionText)
  }

  /// What answers carry instead of a position while their events wait in the spool.
  static let spooledHeader = HeaderText.line("SmartContent-Spooled", "true")

  /// The header field that every ingest answer carries its position in.
  static func header(_ position: String) -> [UInt8] {
    HeaderText.line("SmartContent-Position", position)
  }
}
