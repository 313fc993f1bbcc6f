import Dispatch
import Events
import JetStreamLog
import Logging
import Metrics
import NATSClient
import Synchronization

/// How full the streams of the log are, as the server says it, so that somebody is told long before
/// it refuses events.
///
/// Asks twice a minute on a queue of its own, because asking blocks. While the server is away the
/// last figures stand; that it is away is said by other metrics.
final class LogMetrics: Sendable {
  static let bytes = MetricDeclaration(
    "smartcontent_log_stored_bytes", "Bytes that a stream of the log has stored.", .gauge,
    labels: ["stream"])
  static let limit = MetricDeclaration(
    "smartcontent_log_limit_bytes", "Bytes at which a stream of the log refuses more.", .gauge,
    labels: ["stream"])

  static let catalog = [bytes, limit]

  private static let intervalSeconds = 30
  private static let timeoutMs = 2_000

  private let connection: NATSConnection
  private let streams: [String]
  private let bytes: MetricFamily<Gauge>
  private let limit: MetricFamily<Gauge>
  private let logger: Logger
  private let queue = DispatchQueue(label: "smartcontent.log-metrics")
  private let isStopped = Atomic<Bool>(false)

  init(_ address: NATSAddress, streams: [String], registry: MetricRegistry, logger: Logger) {
    connection = NATSConnection(address, name: "smartcontent-log-metrics")
    self.streams = streams
    self.logger = logger
    bytes = registry.gauge(Self.bytes)
    limit = registry.gauge(Self.limit)
  }

  func start() {
    queue.async { self.refreshForEver() }
  }

  func stop() { isStopped.store(true, ordering: .relaxed) }

  private func refreshForEver() {
    guard !isStopped.load(ordering: .relaxed) else { return }
    do throws(StreamAdmin.Failure) {
      try refresh()
    } catch {
      logger.debug("the log's sizes are not to be had now", metadata: ["error": "\(error)"])
    }
    queue.asyncAfter(deadline: .now() + .seconds(Self.intervalSeconds)) { [weak self] in
      self?.refreshForEver()
    }
  }

  private func refresh() throws(StreamAdmin.Failure) {
    let admin = StreamAdmin(connection, timeoutMs: Self.timeoutMs)
    for stream in streams {
      guard let info = try admin.info(stream) else { continue }
      bytes.with(stream).set(Double(info.bytes))
      if let max = Self.maxBytes(info.config) { limit.with(stream).set(Double(max)) }
    }
  }

  /// `max_bytes` of a stream's configuration; nil where it has none.
  static func maxBytes(_ config: String) -> Int64? {
    var config = config
    return config.withUTF8 { bytes in
      var json = JSONScanner(UnsafeRawBufferPointer(bytes))
      do throws(JSONError) {
        try json.beginObject()
        while let name = try json.nextKey() {
          guard name == "max_bytes" else {
            try json.skipValue()
            continue
          }
          let value = try json.int64()
          return value > 0 ? value : nil
        }
      } catch {
        // A server that answers something else has no limit that is known.
      }
      return nil
    }
  }
}
