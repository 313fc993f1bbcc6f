import Collector
import HTTPServer
import Ports
import QueryAPI
import Runtime

/// When a process is ready, and what is wrong with it otherwise.
extension System {
  /// With room in the spool the collector is ready, though the log is away.
  static func state(ofLogOf ingest: IngestPipeline) -> HealthCheck.State {
    guard let spool = ingest.spoolState else {
      return ingest.logProblem.map { .failing("\($0); its events get 503") } ?? .ok
    }
    let waiting = "\(spool.frames) frames, \(spool.bytes) bytes"
    if let problem = ingest.logProblem {
      return spool.takesFrames
        ? .degraded("\(problem); its events go to the spool (\(waiting))")
        : .failing("\(problem), and the spool is full or cannot be written (\(waiting))")
    }
    return spool.frames == 0 ? .ok : .degraded("the spool is being drained (\(waiting))")
  }

  /// One that owns nothing because others own all is as ready as they are.
  static func state(of processor: VersionedProcessor) -> HealthCheck.State {
    switch processor.group?.contact {
    case nil: return .failing("the processor is starting")
    case .joining: return .failing("joining the processes that share the streams")
    case .away(let reason) where processor.statuses.isEmpty:
      return .failing("the processes that share the streams cannot be reached: \(reason)")
    case .away, .reached: break
    }
    return PartitionStatus.worstProblem(of: processor.statuses).map { .failing($0) } ?? .ok
  }

  static func checks(of source: ReadViewSource) -> [HealthCheck] {
    [
      HealthCheck(name: "postgres") {
        do throws(ViewReadError) {
          let known = try await source.current().durable.checkpoints()
          return known.isEmpty ? .failing("no partition has been taken over yet") : .ok
        } catch {
          return .failing("\(error)")
        }
      },
      HealthCheck(name: "redis") {
        do throws(ViewReadError) {
          let missing = try await source.current().missingCopies()
          return missing.isEmpty
            ? .ok
            : .failing(
              "the hot copy of \(missing.joined(separator: ", ")) is missing; the processor writes it"
                + " anew")
        } catch {
          return .failing("\(error)")
        }
      },
    ]
  }
}
