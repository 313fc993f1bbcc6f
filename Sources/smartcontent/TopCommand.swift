import ArgumentParser
import Glibc
import HTTPClient
import Runtime

/// `smartcontent top`: what every loop does now.
struct TopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Show per partition and operator: rate, lag, where the time goes, state.",
    discussion: """
      Reads /metrics of one or more processes, over a second or --interval. busy is processing, idle \
      is waiting for frames, stores is being held up by Postgres and Redis, away is waiting for \
      something that cannot be reached; together they are the loop's whole time. Below each loop its \
      operators: what they remember, how much of what they may, and about how many bytes that takes.

      Exit codes: 0 done, 3 no process answers.
      """)

  @Option(
    help: ArgumentHelp(
      "A process that answers /metrics; may be repeated [env SMARTCONTENT_URL]."
        + " Default: http://127.0.0.1:8080.", valueName: "url"))
  var url: [String] = []

  @Flag(help: "Print one table and end.")
  var once = false

  @Option(help: ArgumentHelp("Seconds between two tables.", valueName: "seconds"))
  var interval = 1.0

  func validate() throws {
    guard interval >= 0.1, interval <= 3600 else {
      throw ValidationError("--interval is \(interval); it may be 0.1 to 3600 seconds")
    }
  }

  func run() throws {
    let urls = url.isEmpty ? [Environment["SMARTCONTENT_URL"] ?? "http://127.0.0.1:8080"] : url
    let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 1_000, timeoutMs: 5_000))
    var before = try Self.scrape(urls, client)
    while true {
      poll(nil, 0, Int32(interval * 1000))
      let after = try Self.scrape(urls, client)
      let table = LoopTable(before: before, after: after).text
      if once || isatty(STDOUT_FILENO) == 0 {
        print(table)
        fflush(nil)
        if once { return }
      } else {
        // Home, the table, and nothing below it.
        print("\u{1B}[H\u{1B}[2J" + table)
        fflush(nil)
      }
      before = after
    }
  }

  private static func scrape(_ urls: [String], _ client: HTTPClient) throws -> MetricScrape {
    var scrape = MetricScrape(at: LoopClock.system.monotonic())
    var failures: [String] = []
    for url in urls {
      do {
        let answer = try client.get(
          (url.hasSuffix("/") ? String(url.dropLast()) : url) + "/metrics")
        scrape.add(answer.text)
      } catch {
        failures.append("\(url): \(error)")
      }
    }
    guard failures.count < urls.count else {
      StandardError.say("smartcontent top: \(failures.joined(separator: "; "))\n")
      throw ExitCode(3)
    }
    return scrape
  }
}
