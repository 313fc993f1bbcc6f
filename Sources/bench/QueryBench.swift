import ArgumentParser
import Events
import Foundation
import HTTPClient
import LocalServers
import PostgresClient
import Runtime
import Synchronization

/// Queries of the whole program over HTTP, beside ingest: its stores are filled with a history of many contents, each of
/// which has something in every minute of a day and every day of a month.
///
/// Queries come at `--rate` a second, however long answers take: a latency counts from the time at which its query
/// was due. Each kind is asked by itself: as one question that all ask, whose answers are shared; as questions of
/// which no two that come together are the same (`_each`: they differ in their limit), so that each is computed; and as
/// such that also count other contents (`_apart`: all but one or another), so that each has sums of its own. The
/// program, its log, Postgres, Redis and who asks share the machine; `_cpu_ms` is the processor time of the program
/// for an answer, with what else it does meanwhile.
struct QueryBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "query", abstract: "Latency of queries over a history, beside ingest.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Contents of the history.") var contents = 1_000
  @Option(help: "Queries per second.") var rate = 200
  @Option(help: "Events per second that come meanwhile.") var ingest = 1_000
  @Option(help: "Seconds of each kind of query.") var seconds = 10
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  /// Those who ask, each with a connection.
  private static let clients = 32

  private static let history = #"["is","campaign",["history"]]"#
  /// Selections of questions that are apart.
  private static let selectionCount: Int64 = 8

  private enum Ways: String, CaseIterable {
    case same = ""
    case each = "_each"
    case apart = "_apart"
  }

  private static let kinds = [
    Kind(
      name: "days", goal: 20, limit: 1_000,
      filter: history, body: #""date_range":"30d","granularity":"day""#),
    Kind(
      name: "days_of_contents", goal: 20, limit: 100,
      filter: history,
      body: #""dimensions":["content"],"date_range":"30d","order_by":[["clicks","desc"]]"#),
    Kind(
      name: "minutes", goal: 20, limit: 1_500,
      filter: history, body: #""date_range":"24h","granularity":"minute""#),
    Kind(
      name: "hot", goal: 5, limit: 1_000,
      filter: nil,
      body: #""dimensions":["campaign","variant"],"date_range":"1m","granularity":"10s""#),
  ]

  private struct Kind {
    let name: String
    /// Milliseconds.
    let goal: Int
    let limit: Int
    let filter: String?
    let body: String

    /// - Parameter number: of the query.
    func query(_ number: Int64, _ ways: Ways) -> [UInt8] {
      let limit = ways == .same ? limit : limit + Int(number % 128)
      let other = #"["is_not","content",["post-\#(number % QueryBench.selectionCount)"]]"#
      let filters = [filter, ways == .apart ? other : nil].compactMap { $0 }
      let text =
        #"{"metrics":["impressions","clicks","ctr"],"limit":\#(limit),\#(body),"#
        + #""filters":[\#(filters.joined(separator: ","))]}"#
      return Array(text.utf8)
    }
  }

  func run() async throws {
    let served = try await ServedProgram.start(
      ["dev", "--home", report.home, "--streams", streams, "--demo", "\(ingest)"],
      folder: report.home + "-dev")
    try await fill()
    // The newest windows have something to be hot of.
    try await Task.sleep(for: .seconds(15))
    var table = Report(
      "Queries over \(contents) contents at \(rate)/s beside \(ingest) events/s of ingest")
    for kind in Self.kinds {
      // What is asked for the first time is read from rows, once.
      let first = try ask(served, kind, .same, every: nil, seconds: 0)
      table.add("\(kind.name)_first_ms", first.percentile(1), "ms")
      for ways in Ways.allCases {
        if ways == .apart {
          for number in 0..<Self.selectionCount {
            _ = try ask(served, kind, ways, from: number, every: nil, seconds: 0)
          }
        }
        let alone = try ask(served, kind, ways, every: nil, seconds: max(2, seconds / 3))
        let asked = try ask(served, kind, ways, every: 1_000_000 / Int64(rate), seconds: seconds)
        let name = kind.name + ways.rawValue
        table.add("\(name)_alone_ms", alone.percentile(0.5), "ms")
        table.add("\(name)_p50_ms", asked.percentile(0.5), "ms")
        table.add("\(name)_p99_ms", asked.percentile(0.99), "ms", goal: "≤ \(kind.goal)")
        table.add("\(name)_cpu_ms", asked.cpuMs, "ms")
        table.add("\(name)_answers", Double(asked.latencies.count) / Double(seconds), "/s")
        table.add("\(name)_failed", Double(asked.failed), "")
        table.add("\(name)_bytes", Double(asked.bytes), "bytes")
      }
    }
    table.print(json: report.json)
    await served.stop()
    try LocalServers.remove(home: report.home)
  }

  // MARK: Asking

  private struct Answers {
    /// Microseconds.
    var latencies: [Int64] = []
    var bytes = 0
    var failed = 0
    var problem: String?
    /// Processor time of the program for an answer.
    var cpuMs = 0.0

    func percentile(_ share: Double) -> Double {
      let sorted = latencies.sorted()
      if sorted.isEmpty { return .infinity }
      return Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1_000
    }
  }

  private final class Shared: Sendable {
    let answers = Mutex(Answers())
    let next = Mutex<Int64>(0)
  }

  /// - Parameters:
  ///   - number: of the first query.
  ///   - every: microseconds from one query to the next; nil for one after the other.
  ///   - seconds: how long; 0 for one query.
  private func ask(
    _ served: ServedProgram, _ kind: Kind, _ ways: Ways, from number: Int64 = 0, every: Int64?,
    seconds: Int
  ) throws -> Answers {
    let shared = Shared()
    let url = served.url
    let cpu = try CPUTime.process(served.program.pid)
    let clock = LoopClock.system.monotonic
    let begin = clock()
    let end = begin + Int64(seconds) * 1_000_000
    let group = DispatchGroup()
    let threads = (0..<(every == nil ? 1 : Self.clients)).map { _ in
      group.enter()
      return Thread {
        defer { group.leave() }
        do {
          let client = try HTTPClient(
            HTTPClientSettings(connectTimeoutMs: 5_000, timeoutMs: 60_000))
          while true {
            var due = clock()
            let place = shared.next.withLock { next in
              defer { next += 1 }
              return next
            }
            if let every {
              due = begin + place * every
              let wait = due - clock()
              if wait > 0 { usleep(UInt32(wait)) }
            }
            if seconds > 0 && (due >= end || clock() >= end) { return }
            let answer = try client.post(
              url + "/v1/query", headers: [HTTPHeader("Content-Type", "application/json")],
              body: kind.query(number + place, ways))
            let latency = clock() - due
            shared.answers.withLock { answers in
              if answer.status != 200 {
                answers.failed += 1
                answers.problem = answer.text
              }
              answers.latencies.append(latency)
              answers.bytes = answer.body.count
            }
            if seconds == 0 { return }
          }
        } catch {
          shared.answers.withLock {
            $0.failed += 1
            $0.problem = "\(error)"
          }
        }
      }
    }
    for thread in threads { thread.start() }
    group.wait()
    var answers = shared.answers.withLock { $0 }
    answers.cpuMs =
      1_000 * (try CPUTime.process(served.program.pid) - cpu)
      / Double(max(1, answers.latencies.count))
    if answers.latencies.isEmpty {
      throw BenchError("no query was answered: \(answers.problem ?? "")")
    }
    return answers
  }

  // MARK: The history

  /// Rows as commits write them, of times before every seam, in the name of a stream that has committed.
  private func fill() async throws {
    let text = try String(contentsOfFile: report.home + "/env", encoding: .utf8)
    let url = text.split(separator: "\n").compactMap { line -> String? in
      guard let name = line.range(of: "SMARTCONTENT_POSTGRES=") else { return nil }
      return String(line[name.upperBound...]).trimmingCharacters(
        in: CharacterSet(charactersIn: "'\""))
    }.first
    guard let url else { throw BenchError("\(report.home)/env names no Postgres") }
    var settings = PostgresSettings(connection: url)
    settings.statementTimeoutMs = 600_000
    settings.answerTimeoutMs = 660_000
    let session = try PostgresConnection(settings)
    let schema = "p_default_1"
    for content in 0..<contents {
      let tuple = DimensionTuple(
        site: "default", campaign: "history", content: "post-\(content)", variant: "a",
        channel: "web")
      let id = tuple.encoded.withUnsafeBytes { DimensionTuple.identifier(encoded: $0) }
      try session.execute(
        """
        insert into \(schema).dimensions (id, site, campaign, content, variant, channel, currency)
        values (\(id), 'default', 'history', 'post-\(content)', 'a', 'web', '')
        """)
    }
    for (level, step, days) in [("1m", "1 minute", 2), ("1h", "1 hour", 3), ("1d", "1 day", 40)] {
      try makePartitions(level, days: days, schema, session)
      try session.execute(
        """
        insert into \(schema).metrics_\(level) (window_start, dimension_id, source, impressions,
          views, clicks, engagements, conversions, revenue_micros, revision, final)
        select t, d.id, (select min(source) from \(schema).checkpoints where source > 0),
          100, 80, 5, 3, 1, 0, 0, true
        from generate_series(date_trunc('day', now()) - interval '\(days) days',
          now() - interval '\(level == "1m" ? "10 minutes" : step)', interval '\(step)') t,
          (select id from \(schema).dimensions where campaign = 'history') d
        """)
    }
    try session.execute("analyze \(schema).dimensions")
  }

  /// Those that the store makes once it has rows of these times.
  private func makePartitions(
    _ level: String, days: Int, _ schema: String, _ session: PostgresConnection
  ) throws {
    let (unit, format) = level == "1m" ? ("month", "YYYYMM") : ("year", "YYYY")
    try session.execute(
      """
      do $$ declare start timestamptz; begin
        for start in select distinct date_trunc('\(unit)', t) from generate_series(
          now() - interval '\(days + 1) days', now(), interval '1 day') t
        loop
          execute format('create table if not exists \(schema).metrics_\(level)_%s partition of '
            || '\(schema).metrics_\(level) for values from (%L) to (%L)',
            to_char(start, '\(format)'), start, start + interval '1 \(unit)');
        end loop;
      end $$
      """)
  }
}
