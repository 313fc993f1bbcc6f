import Analyses
import ArgumentParser
import Dataflow
import Definitions
import Events
import Foundation
import JetStreamLog
import Learning
import LocalServers
import LogArchive
import LogFollowing
import LogScans
import Logging
import Metrics
import NATSClient
import Operators
import Ports
import Runtime
import Views

/// Questions that no read model answers, from the log: events per second for each processor, reading inside.
///
/// The log is filled with frames as a collector makes them: agents, and payloads of a browser's calls of some 600
/// bytes. Half of each stream is then moved into an archive. One thread scans; its processor time is that of the
/// whole process without the log's server, beside which the whole wall time is shown. What the first question
/// counts is compared with what the pipeline's windows hold of the same log.
struct ScanBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scan", abstract: "Scans of the log: events per second and processor.")

  @OptionGroup var report: ReportOptions

  @Option(help: "Events in the log.")
  var events = 2_000_000

  @Option(help: "Events per frame.")
  var eventsPerFrame = 500

  @Option(help: "Times that each question is asked; the median counts.")
  var rounds = 3

  @Option(help: "Folder with the definitions.")
  var streams = "Streams"

  private struct Question {
    var name: String
    var question: BreakdownQuestion
    var goal = ""
  }

  private var questions: [Question] {
    func question(
      _ dimensions: [BreakdownDimension], _ measures: BreakdownMeasures = []
    ) -> BreakdownQuestion {
      BreakdownQuestion(
        site: "default", times: .min..<Int64.max, dimensions: dimensions, measures: measures)
    }
    return [
      Question(
        name: "tuple", question: question([.campaign, .content, .variant]), goal: "2,000,000"),
      Question(name: "device", question: question([.device, .browser]), goal: "2,000,000"),
      Question(name: "utm_source", question: question([.source, .medium]), goal: "2,000,000"),
      Question(name: "country", question: question([.country]), goal: "2,000,000"),
      Question(
        name: "property", question: question([.property("position")]), goal: "2,000,000"),
      Question(name: "tuple_uniques", question: question([.campaign], .uniques)),
    ]
  }

  func run() async throws {
    keepMessageMemory()
    let definitions = try Definitions(folder: streams)
    guard var pipeline = definitions.pipeline("default") else {
      throw BenchError("pipelines.yaml has no pipeline `default`")
    }
    // Windows alone are compared.
    pipeline.persons = nil
    pipeline.trends = nil
    var options = LocalServersOptions()
    options.natsMaxFileStoreBytes = 40 << 30
    let servers = try await LocalServers.start(home: report.home, options: options)
    defer { servers.stopBlocking() }
    let address = try NATSAddress(servers.endpoints.natsURLWithToken)
    let stream = JetStreamLog(address: address, name: "bench")
    for config in definitions.streams.all {
      _ = try stream.admin.create(config.name, config: config.json)
    }
    var workload = FrameWorkload(
      eventCount: events, partitions: definitions.streams.partitions,
      eventsPerFrame: eventsPerFrame, start: benchNow() - Int64(events))
    workload.visitors = .browsers
    let runs = ProcessorRun(
      definitions: definitions, log: stream, endpoints: servers.endpoints, home: report.home,
      events: events)
    _ = try runs.fill(workload)
    let generation = LogGeneration(
      number: definitions.streams.generation, streams: definitions.streams.events.map(\.name))
    var table = Report("Scans of the log: \(events) events, one thread")
    let bytes = try definitions.streams.events.reduce(0) { sum, config in
      sum + (try stream.admin.info(config.name)?.bytes ?? 0)
    }
    table.add("log_bytes_per_event", Double(bytes) / Double(events), "bytes")
    let live = ScannedLog(spec: pipeline, generations: [generation], log: stream)
    try measure(live, "stream", &table)
    try follow(live, definitions, &table)
    let archived = ScannedLog(
      spec: pipeline, generations: [generation],
      log: ArchivedLog(stream, archive: try archive(generation, stream)))
    try measure(archived, "archive", &table)
    try compare(archived, definitions)
    table.print(json: report.json)
    servers.stopBlocking()
    try LocalServers.remove(home: report.home)
  }

  // MARK: Speed

  private func measure(_ source: ScannedLog, _ name: String, _ table: inout Report) throws {
    for asked in questions {
      var perCore: [Double] = []
      var perSecond: [Double] = []
      for _ in 0..<rounds {
        let started = (cpu: CPUTime.process(), wall: benchNow())
        let (_, reach) = try Self.scan(source, asked.question)
        guard reach.tally.events == UInt64(events) else {
          throw BenchError("read \(reach.tally.events) events of \(events)")
        }
        perCore.append(Double(events) / (CPUTime.process() - started.cpu))
        perSecond.append(Double(events) * 1_000_000 / Double(benchNow() - started.wall))
      }
      table.add(
        "\(name)_\(asked.name)_per_core", median(perCore), "events/s", goal: asked.goal)
      table.add("\(name)_\(asked.name)_wall", median(perSecond), "events/s")
    }
  }

  private static func scan(
    _ source: ScannedLog, _ question: BreakdownQuestion
  ) throws -> (Breakdown, ScanReach) {
    let (breakdown, reach) = try LogScan(
      source, try source.extent(), control: ScanControl(), threadCount: 1
    ).run { Breakdown(question) }
    return (breakdown, reach)
  }

  /// What learns from the log, from its beginning to its end, as a process that starts does: one thread judges and learns, others
  /// read ahead.
  private func follow(
    _ source: ScannedLog, _ definitions: Definitions, _ table: inout Report
  ) throws {
    let plan = DecisionPlan(
      id: "hero", site: "default", campaign: "c1", arms: ["a", "b"], memory: 365 * DecisionPlan.day)
    let decisions: @Sendable () -> any Learner = {
      DecisionLearner([plan], isAuthentic: { _, _ in true }, publish: { _ in })
    }
    try follow(source, "followed", &table) { [decisions()] }
    try follow(source, "followed_recommendations", &table) { [BookLearner()] }
    guard let profiles = definitions.profiles else { return }
    try follow(source, "followed_profiles", &table) { [ProfileLearner(profiles) { _ in }] }
    try follow(source, "followed_all", &table) {
      [
        decisions(), BookLearner(), ProfileLearner(profiles) { _ in },
        TimingLearner(memory: profiles.memory) { _ in },
      ]
    }
  }

  private func follow(
    _ source: ScannedLog, _ name: String, _ table: inout Report,
    learners: @escaping @Sendable () -> [any Learner]
  ) throws {
    let started = (cpu: CPUTime.process(), wall: benchNow())
    let registry = MetricRegistry()
    let follower = LogFollower(
      FollowedLog(spec: source.spec, generations: { source.generations }, log: source.log),
      registry: registry, clock: benchNow, logger: Logger(label: "bench"), learners: learners)
    follower.start()
    while !follower.state.isCaughtUp { usleep(1_000) }
    let spent = (cpu: CPUTime.process() - started.cpu, wall: benchNow() - started.wall)
    follower.stop()
    let read = registry.counter(FollowerMetrics.events).with().value
    guard read == events else { throw BenchError("followed \(read) events of \(events)") }
    table.add("\(name)_per_core", Double(events) / spent.cpu, "events/s")
    table.add("\(name)_wall", Double(events) * 1_000_000 / Double(spent.wall), "events/s")
  }

  /// Everything but the last frames of each stream goes into the archive.
  private func archive(_ generation: LogGeneration, _ stream: JetStreamLog) throws -> Archive {
    let archive = Archive(folder: report.home + "/archive")
    let trim = try LogTrim(archive: archive, log: stream) { name, keepFrom throws(LogError) in
      do throws(StreamAdmin.Failure) {
        _ = try stream.admin.purge(name, keepFrom: keepFrom)
      } catch {
        throw .unavailable("\(error)")
      }
    }
    for name in generation.streams {
      _ = try trim.run(stream: name, before: .max, notAfter: try stream.bounds(stream: name).last)
    }
    return archive
  }

  // MARK: The same numbers

  private func compare(_ source: ScannedLog, _ definitions: Definitions) throws {
    let replay = LogReplay(
      source.spec, generations: source.generations,
      deadLetters: definitions.streams.deadLetterPartition, log: source.log, until: .max)
    var windows: [[String]: Counts] = [:]
    for window in try replay.run().windows
    where window.measure == .activity && window.row.level == .day {
      let tuple = window.tuple
      windows[[tuple.campaign, tuple.content, tuple.variant], default: Counts()] +=
        window.row.counts
    }
    var scanned: [[String]: Counts] = [:]
    for row in try Self.scan(source, questions[0].question).0.rows() {
      for counts in row.counts.values { scanned[row.values, default: Counts()] += counts }
    }
    guard scanned == windows, !windows.isEmpty else {
      throw BenchError("a scan does not count what the windows hold")
    }
    print("The scan counts what the windows hold: \(windows.count) groups, all equal")
  }
}

/// Recommendations without who answers from them.
private final class BookLearner: Learner {
  private var book = RecommendationBook()
  let memory = RecommendationBook.memory

  func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    book.add(
      frame, counted, 0..<counted.count, at: FramePlace(stream, sequence: moment.sequence))
  }

  func forget(_ person: Key128, erasedAt: Int64) { book.forget(person) }

  func publish(_ progress: LearningProgress) {}
}
