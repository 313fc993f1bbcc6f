import Collector
import Definitions
import Events
import JetStreamLog
import Logging
import Metrics
import NATSClient
import Ports

/// Puts events and frames into the log, and waits until they are durable.
final class EventSender {
  private let pipeline: IngestPipeline
  private let address: NATSAddress

  init(_ definitions: Definitions, _ address: NATSAddress, _ logger: Logger) throws {
    self.address = address
    pipeline = try System.ingest(
      SystemConfiguration(
        roles: [.collect], definitions: definitions, nats: address, httpHost: "", httpPort: 0,
        httpThreads: 0, pipelines: []),
      Key128(low: .random(in: 1 ... .max), high: .random(in: 0 ... .max)), MetricRegistry(),
      logger)
    pipeline.start()
  }

  func store(_ events: [IncomingEvent]) async throws {
    let outcome = await withCheckedContinuation { continuation in
      pipeline.submit(events) { continuation.resume(returning: $0) }
    }
    switch outcome {
    case .stored, .spooled: return
    case .unavailable(let reason): throw LogError.unavailable(reason)
    case .overloaded: throw LogError.unavailable("it takes no more events now")
    }
  }

  /// Stores a frame in its stream, or where that is sealed, its events as new ones are stored.
  ///
  /// - Returns: false where the stream is sealed and the frame is not one of events.
  func store(frame: [UInt8], in stream: String, id: String) async throws -> Bool {
    switch try publish(frame, in: stream, id: id) {
    case .stored: return true
    case .sealed:
      let events = try Self.events(of: frame)
      if events.isEmpty { return false }
      try await store(events)
      return true
    case .unavailable(let reason), .full(let reason): throw LogError.unavailable(reason)
    }
  }

  private func publish(
    _ frame: [UInt8], in stream: String, id: String
  ) throws -> PublishOutcome {
    let publisher = try JetStreamPublisher(address: address, name: "smartcontent-retried-frames")
    publisher.publish(stream: stream, messageID: id, frame: frame, token: 1)
    for _ in 0..<20 {
      if let completion = publisher.poll(timeoutMs: 250).first { return completion.outcome }
    }
    return .unavailable("\(stream) takes no frame")
  }

  private static func events(of frame: [UInt8]) throws -> [IncomingEvent] {
    try frame.withUnsafeBytes { bytes in
      let view = try FrameView(bytes)
      guard view.header.kind == .events else { return [] }
      return (0..<view.count).map { IncomingEvent(view, event: $0) }
    }
  }

  func stop() async { await pipeline.stop(withinMs: 2_000) }
}
