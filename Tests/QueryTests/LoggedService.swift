import Analyses
import Dataflow
import Events
import HTTPServer
import LogScans
import Logging
import MemoryPorts
import Metrics
import Views

@testable import QueryAPI

/// The query API over a log in memory, asked through its routes' handlers.
struct LoggedService {
  let log = MemoryEventLog()
  let view: SimulatedSecondStage
  /// Microseconds since the epoch.
  let now: Int64

  static let streams = ["events-00", "events-01"]

  var service: QueryService {
    let (log, now) = (log, now)
    return QueryService(
      views: [ReadViewSource(view.view)], registry: MetricRegistry(), limits: QueryRoutes.Limits(),
      logHeads: nil,
      scans: ScanSource(
        table: ScanTable(
          limits: ScanTable.Limits(threadCount: 2), registry: MetricRegistry(),
          logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      ) { name throws(ScanError) in
        ScannedLog(
          spec: PipelineSpec(name: name),
          generations: [LogGeneration(number: 1, streams: Self.streams)], log: log)
      }, clock: { now })
  }

  /// What a device does, in a frame of its own. Times rise within a stream, which is the device's.
  func put(
    _ kind: EventKind, _ device: UInt64, at time: Int64,
    tuple: DimensionTuple = DimensionTuple(site: "default"), payload: String = "{}",
    agent: String = "", name: String = "name", revenue: Int64 = 0
  ) {
    log.append(
      IncomingEvent(
        kind: kind,
        key: Key128(low: UInt64(bitPattern: time &* 31) &+ device, high: UInt64(kind.rawValue)),
        person: Key128(low: device, high: 9), eventTime: time, receivedAt: time,
        dimensions: tuple.encoded, revenueMicros: revenue, id: "\(time) \(device)", name: name,
        source: "test", payload: Array(payload.utf8), agent: agent),
      to: Self.streams[Int(device % 2)])
  }

  /// - Parameter route: the last part of the path, such as `query` or `funnels`.
  func ask(_ route: String, _ json: String) async throws -> String {
    let http = HTTPRequest(
      method: .post, path: "/v1/\(route)", query: "wait=30", body: Array(json.utf8))
    let response =
      if let kind = PersonRequest.Kind(rawValue: route) {
        try await service.persons(kind, http)
      } else {
        try await service.query(http)
      }
    guard case .bytes(let bytes) = response.body else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The rows of a table, each with the columns that are asked for, joined by blanks.
  static func rows(_ table: String, columns: [String]) -> [String] {
    let lines = table.split(separator: "\r\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    let places = columns.map { column in lines.first?.firstIndex { $0 == column } }
    return lines.dropFirst().map { line in
      places.map { $0.map { String(line[$0]) } ?? "?" }.joined(separator: " ")
    }
  }
}
