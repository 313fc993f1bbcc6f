import ArgumentParser
import Dataflow
import Definitions
import Events
import Foundation
import JetStreamLog
import LocalServers
import NATSClient
import Operators
import Ports
import Runtime

/// From the log to committed read models, beside a loop that only reads.
///
/// The log is filled first. Then, in turn: the bare loop (fetch, checksum, decode, look each id up in
/// the dedupe table), the whole processor (operators, hot copy, commits, snapshots; sinks and their
/// fsync inside), and the bare loop again. The ratio is taken against the mean of the two.
struct EngineBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "engine", abstract: "From the log to committed read models, events per second.")

  @OptionGroup var report: ReportOptions

  @Option(help: "Events in the log.")
  var events = 8_000_000

  @Option(help: "Events per frame.")
  var eventsPerFrame = 500

  @Option(help: "Folder with the definitions.")
  var streams = "Streams"

  func run() async throws {
    keepMessageMemory()
    let definitions = try Definitions(folder: streams)
    guard let pipeline = definitions.pipeline("default") else {
      throw BenchError("pipelines.yaml has no pipeline `default`")
    }
    var options = LocalServersOptions()
    options.natsMaxFileStoreBytes = 40 << 30
    let servers = try await LocalServers.start(home: report.home, options: options)
    defer { servers.stopBlocking() }
    let address = try NATSAddress(servers.endpoints.natsURLWithToken)
    let log = JetStreamLog(address: address, name: "bench")
    for config in definitions.streams.all {
      _ = try log.admin.create(config.name, config: config.json)
    }
    let runs = ProcessorRun(
      definitions: definitions, log: log, endpoints: servers.endpoints, home: report.home,
      events: events)
    let filled = try runs.fill(eventsPerFrame: eventsPerFrame)
    var table = Report("Log to committed read models: \(events) events, 2 cores, 4 partitions")
    table.add("fill_events_per_second", Double(events) / filled, "events/s")
    table.add("log_bytes_per_event", Double(try bytes(definitions, log)) / Double(events), "bytes")

    UsedMemory.touch(mebibytes: 2048)
    let before = try await bare(definitions, pipeline, log)
    let (whole, processor) = try await runs.process(pipeline)
    let after = try await bare(definitions, pipeline, log)
    processor.stop()
    let loop = (before + after) / 2
    table.add("bare_loop_events_per_second", loop, "events/s")
    table.add("processor_events_per_second", whole, "events/s", goal: "1,000,000")
    table.add("processor_to_bare_loop_ratio", whole / loop, "", goal: "0.5")
    table.print(json: report.json)
    servers.stopBlocking()
    try LocalServers.remove(home: report.home)
  }

  private func bytes(_ definitions: Definitions, _ log: JetStreamLog) throws -> UInt64 {
    try definitions.streams.events.reduce(0) { sum, config in
      sum + (try log.admin.info(config.name)?.bytes ?? 0)
    }
  }

  /// The bare loop over all partitions, one thread each.
  private func bare(
    _ definitions: Definitions, _ pipeline: PipelineSpec, _ log: JetStreamLog
  ) async throws -> Double {
    let streams = definitions.streams
    let started = Self.now()
    try await withThrowingTaskGroup(of: Int.self) { group in
      for stream in streams.streamPartitions where stream.role == .events {
        group.addTask {
          try await withCheckedThrowingContinuation { continuation in
            let thread = Thread {
              continuation.resume(
                with: Result {
                  try Self.readOnly(stream, pipeline, streams.partitions, log)
                })
            }
            thread.stackSize = 1 << 20
            thread.start()
          }
        }
      }
      let read = try await group.reduce(0, +)
      guard read == events else { throw BenchError("read \(read) events of \(events)") }
    }
    return Double(events) / (Double(Self.now() - started) / 1_000_000)
  }

  private static func readOnly(
    _ stream: StreamPartition, _ pipeline: PipelineSpec, _ partitions: Int, _ log: JetStreamLog
  ) throws -> Int {
    let last = try log.bounds(stream: stream.stream).last
    let reader = try log.reader(stream: stream.stream, after: 0)
    var dedupe = Deduplicator(
      groups: KeyGroup.groups(of: stream.partition, partitions: partitions),
      horizon: pipeline.dedupeHorizon, countMax: pipeline.dedupeCountMax)
    var verdicts = Verdicts()
    var sequence: UInt64 = 0
    var count = 0
    while sequence < last {
      for frame in try reader.next(timeoutMs: 1000) where frame.sequence <= last {
        let view = try FrameView(frame.bytes)
        sequence = frame.sequence
        let moment = FrameMoment(
          sequence: sequence, logTime: frame.storedAt,
          watermark: frame.storedAt - pipeline.allowedDisorder, isSilent: false)
        dedupe.advance(to: moment)
        verdicts.reset(count: view.count)
        try dedupe.process(view, at: moment, verdicts: &verdicts)
        count += view.count
      }
    }
    return count
  }

  private static func now() -> Int64 { LoopClock.system.monotonic() }
}
