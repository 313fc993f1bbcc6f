import ArgumentParser
import Glibc

/// Where the three servers are. Each may also come from the environment, secrets only from there.
struct ServerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "URL of NATS with JetStream, several with commas, such as nats://TOKEN@127.0.0.1:4222"
        + " [env SMARTCONTENT_NATS].", valueName: "url"))
  var nats: String?

  @Option(
    help: ArgumentHelp(
      "URL of Redis, such as redis://:PASSWORD@127.0.0.1:6379/0 [env SMARTCONTENT_REDIS].",
      valueName: "url"))
  var redis: String?

  @Option(
    help: ArgumentHelp(
      "URL of Postgres, such as postgresql://USER:PASSWORD@127.0.0.1:5432/smartcontent"
        + " [env SMARTCONTENT_POSTGRES].", valueName: "url"))
  var postgres: String?

  func natsURL() throws -> String { try Self.required(nats, "SMARTCONTENT_NATS", "--nats") }

  var natsURLIfNamed: String? { nats ?? Environment["SMARTCONTENT_NATS"] }

  func redisURL() throws -> String { try Self.required(redis, "SMARTCONTENT_REDIS", "--redis") }

  func postgresURL() throws -> String {
    try Self.required(postgres, "SMARTCONTENT_POSTGRES", "--postgres")
  }

  private static func required(
    _ option: String?, _ variable: String, _ name: String
  ) throws -> String {
    guard let value = option ?? Environment[variable] else {
      throw ValidationError("\(name) is missing: give it, or set \(variable)")
    }
    return value
  }
}

/// Where the definitions of streams, pipelines and event mappings are.
struct StreamsFolderOption: ParsableArguments {
  @Option(
    name: .customLong("streams"),
    help: ArgumentHelp(
      "Folder with streams.yaml, pipelines.yaml, event-mapping.yaml, bots.yaml and notifications.yaml"
        + " [env SMARTCONTENT_STREAMS]."
        + " Default: ./Streams, else Streams beside the executable.", valueName: "folder"))
  var folder: String?
}

/// Where a process keeps what it would have to compute from the log again.
struct StateFolderOption: ParsableArguments {
  @Option(
    name: .customLong("state"),
    help: ArgumentHelp(
      "Folder for snapshots of state, a cache of the log [env SMARTCONTENT_STATE].",
      valueName: "folder"))
  var folder: String = Environment["SMARTCONTENT_STATE"] ?? ".smartcontent/state"
}

/// Where a role answers HTTP.
struct HTTPOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Address and port to answer HTTP on [env SMARTCONTENT_HTTP].", valueName: "host:port"))
  var http: String = Environment["SMARTCONTENT_HTTP"] ?? "127.0.0.1:8080"

  @Option(
    help: ArgumentHelp(
      "Threads that serve connections [env SMARTCONTENT_HTTP_THREADS].", valueName: "count"))
  var httpThreads: Int = Environment["SMARTCONTENT_HTTP_THREADS"].flatMap(Int.init) ?? 2

  func address() throws -> (host: String, port: Int) {
    guard let colon = http.lastIndex(of: ":"), let port = Int(http[http.index(after: colon)...]),
      (0...65_535).contains(port)
    else {
      throw ValidationError("--http takes HOST:PORT with a port up to 65535, not '\(http)'")
    }
    let host = http[..<colon].trimmingBrackets
    return (host.isEmpty ? "0.0.0.0" : host, port)
  }
}

/// The process environment, read once per variable.
enum Environment {
  static subscript(name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
  }
}

extension Substring {
  /// Without the brackets around an IPv6 address.
  fileprivate var trimmingBrackets: String {
    hasPrefix("[") && hasSuffix("]") ? String(dropFirst().dropLast()) : String(self)
  }
}
