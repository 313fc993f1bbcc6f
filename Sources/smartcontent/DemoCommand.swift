import ArgumentParser
import DemoTraffic
import Glibc

/// `smartcontent demo`: sends what a real site would, then compares the truth with the answers.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Send demo traffic, then compare its truth with what the query API answers.",
    discussion: """
      The traffic has campaigns with variants of different hidden click rates, returning people, bots, \
      retries, late, out-of-order and malformed events. At the end the truth of all acknowledged \
      events is printed beside the answer of the query API.

      Exit codes: 0 equal, 1 different, 3 server not reachable or key refused.
      """)

  @Option(help: "Events per second; 0 for as fast as possible.")
  var rate: Double = 200

  @Option(help: "The same seed makes the same people do the same things.")
  var seed: UInt64 = 1

  @Option(help: "How long, such as 500ms, 30s, 5m or 1h.")
  var duration: DemoDuration = DemoDuration(seconds: 30)

  @Option(help: "At most this many events.")
  var events: Int?

  @Flag(help: "Send until it is interrupted.")
  var forever = false

  @Option(help: "Where the collector answers.")
  var url = "http://127.0.0.1:8080"

  @Option(
    help: """
      Where the query API answers, if not at --url. The bearer token that it may want is taken from \
      the environment [env SMARTCONTENT_TOKEN].
      """)
  var queryURL: String?

  @Option(help: "Write key.")
  var key = "dev"

  @Option(
    help: """
      Ends the campaigns' names, so that runs at the same time don't mix; seed followed by its \
      number by default.
      """)
  var label: String?

  @Flag(help: "Declare and start an experiment on the newsletter's variants.")
  var experiment = false

  @Option(help: "HTTP connections, 1 to 64.")
  var connections = 4

  func validate() throws {
    guard rate >= 0, rate <= 1_000_000 else {
      throw ValidationError("--rate is \(rate); it may be 0 to 1000000 events per second")
    }
    guard (1...64).contains(connections) else {
      throw ValidationError("--connections is \(connections); it may be 1 to 64")
    }
    guard events ?? 1 > 0 else {
      throw ValidationError("--events is \(events ?? 0); it must be at least 1")
    }
    guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
      throw ValidationError("--url is \"\(url)\"; it must start with http:// or https://")
    }
  }

  func run() throws {
    let options = DemoOptions(
      url: Self.withoutSlash(url), writeKey: key, queryURL: queryURL.map(Self.withoutSlash),
      queryToken: Environment["SMARTCONTENT_TOKEN"], rate: rate, seed: seed,
      durationSeconds: forever ? nil : duration.seconds, eventCountMax: events,
      label: label ?? "seed\(seed)", connectionCount: connections, hasExperiment: experiment)
    do {
      let observer = try DemoObserver(options)
      let runner = DemoRunner(options)
      runner.stopOnInterrupt()
      print("sending to \(options.url); Ctrl-C ends early and compares what was sent")
      fflush(nil)
      let outcome = try runner.run()
      let report = DemoReport(outcome: outcome, comparison: try observer.compare(outcome))
      print(report.text, terminator: "")
      if !report.isEqual { throw ExitCode.failure }
    } catch let error as DemoError {
      StandardError.say("smartcontent demo: \(error)\n")
      throw ExitCode(3)
    }
  }

  private static func withoutSlash(_ url: String) -> String {
    url.hasSuffix("/") ? String(url.dropLast()) : url
  }
}

/// A length of time on the command line.
struct DemoDuration: ExpressibleByArgument {
  var seconds: Double

  init(seconds: Double) { self.seconds = seconds }

  init?(argument: String) {
    let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3_600)]
    for (unit, factor) in units where argument.hasSuffix(unit) {
      guard let value = Double(argument.dropLast(unit.count)), value > 0, value.isFinite else {
        return nil
      }
      seconds = value * factor
      return
    }
    return nil
  }

  var defaultValueDescription: String { "\(Int(seconds))s" }
}
