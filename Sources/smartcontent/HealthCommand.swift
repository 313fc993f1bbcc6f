import ArgumentParser
import HTTPClient

/// `smartcontent health`: for health checks of containers, which have no curl.
struct HealthCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "health",
    abstract: "Ask a running role whether it is ready. Exit code 0 if so, 1 if not.")

  @Option(help: "Where the role answers HTTP.")
  var url = "http://127.0.0.1:8080"

  @Flag(help: "Only ask whether the process lives, not whether it is ready.")
  var live = false

  func run() throws {
    let client = try HTTPClient()
    let answer = try client.get(url + (live ? "/health/live" : "/health/ready"))
    print(String(decoding: answer.body, as: UTF8.self))
    if answer.status != 200 { throw ExitCode(1) }
  }
}
