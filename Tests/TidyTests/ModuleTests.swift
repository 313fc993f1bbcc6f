import Testing

/// The arrows between modules, as Docs/codemap.md draws them.
@Suite("Modules")
struct ModuleTests {
  /// From the core outwards; a module depends on its own layer and on lower ones.
  private enum Layer: Int, Comparable {
    case core, ports, client, adapter, application, root

    static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
  }

  private static let layers: [String: Layer] = [
    "States": .core, "Events": .core, "Statistics": .core, "Views": .core, "Operators": .core,
    "Dataflow": .core, "Analyses": .core, "Learning": .core,
    "Ports": .ports,
    "NATSClient": .client, "RedisClient": .client, "PostgresClient": .client,
    "HTTPClient": .client, "HTTPServer": .client, "Metrics": .client, "SessionPool": .client,
    "Cryptography": .client, "Threads": .client,
    "JetStreamLog": .adapter, "PostgresViews": .adapter, "RedisViews": .adapter,
    "FileSnapshots": .adapter, "JetStreamSnapshots": .adapter, "LogArchive": .adapter,
    "Experiments": .application, "Definitions": .application, "Collector": .application,
    "Runtime": .application,
    "QueryAPI": .application, "LogScans": .application, "LogFollowing": .application,
    "DecisionAPI": .application, "Console": .application,
    "BrowserTracker": .application,
    "LocalServers": .application,
    "DemoTraffic": .application, "Verification": .application,
    "Notifications": .application,
    "smartcontent": .root, "bench": .root, "chaos": .root, "quality": .root,
  ]

  /// C libraries, one module each.
  private static let cModules: Set<String> = [
    "CNats", "CHiredis", "CLibPQ", "CCurl", "CZlib", "COpenSSL", "CShims", "CChecksum",
    "CMemory",
  ]

  /// The C modules below the line, and who may use them: a checksum instruction is a pure function, and on
  /// hints about memory no result depends.
  private static let pureC = ["CChecksum": "Events", "CMemory": "Operators"]

  /// Modules of the toolchain, by the lowest layer that may use them.
  private static let toolchain: [String: Layer] = [
    "Glibc": .ports, "Synchronization": .ports, "Dispatch": .root,
    "FoundationEssentials": .application, "Foundation": .root,
  ]

  /// Modules that have no need of Foundation and start faster and stay smaller without it.
  private static let withoutFoundation: Set<String> = [
    "Collector", "Runtime", "Notifications", "Console", "BrowserTracker", "LocalServers",
    "DemoTraffic",
  ]

  private static func declared() throws -> [String: Set<String>] {
    let package = try Repository.read("Package.swift").text
    let text = package.replacing("\n", with: " ")
    var result: [String: Set<String>] = [:]
    let simple = /(?:module|tests)\(\s*"(\w+)"(?:,\s*\[([^\]]*)\])?/
    for match in text.matches(of: simple) {
      result[String(match.1)] = names(match.2 ?? "")
    }
    let executable = /\.executableTarget\(\s*name:\s*"(\w+)",\s*dependencies:\s*\[([^\]]*)\]/
    for match in text.matches(of: executable) { result[String(match.1)] = names(match.2) }
    return result
  }

  private static func names(_ list: Substring) -> Set<String> {
    let products = [
      "log": ["Logging"], "nioCore": ["NIOCore"], "nioPosix": ["NIOPosix"],
      "nioHTTP1": ["NIOHTTP1"], "lifecycle": ["ServiceLifecycle", "UnixSignals"],
      "arguments": ["ArgumentParser"], "yams": ["Yams"],
    ]
    var result: Set<String> = []
    for item in list.split(separator: ",") {
      let word = item.trimmingPrefix(while: \.isWhitespace).prefix { !$0.isWhitespace }
      if word.hasPrefix("\"") {
        result.insert(String(word.dropFirst().dropLast()))
      } else {
        result.formUnion(products[String(word)] ?? [String(word)])
      }
    }
    return result
  }

  @Test("each folder of Sources is a module with a layer")
  func everyModuleHasALayer() throws {
    for folder in try Repository.folders(in: "Sources") where !Self.cModules.contains(folder) {
      #expect(
        Self.layers[folder] != nil,
        "Sources/\(folder) has no layer: add it to `layers` here and to Docs/codemap.md")
    }
  }

  @Test("each module depends only on its own layer and on lower ones")
  func dependenciesPointDown() throws {
    let declared = try Self.declared()
    for (module, layer) in Self.layers {
      let dependencies = try #require(declared[module], "\(module) is not in Package.swift")
      for dependency in dependencies {
        guard let other = Self.layers[dependency] else { continue }
        #expect(
          other <= layer, "\(module) must not depend on \(dependency): it is a layer further out")
        if layer == .client {
          #expect(other == .client, "\(module) is a client and knows no analytics")
        }
      }
      if layer <= .ports {
        #expect(
          dependencies.allSatisfy {
            Self.layers[$0] != nil || Self.pureC[$0] == module
          },
          "\(module) is below the line and has no dependencies outside of it")
      }
    }
  }

  @Test("each file imports only what Package.swift gives its module and its layer may use")
  func importsAreDeclared() throws {
    let declared = try Self.declared()
    for file in try Repository.files(below: "Sources", ending: ".swift") {
      let module = String(file.path.split(separator: "/")[1])
      guard let layer = Self.layers[module], let dependencies = declared[module] else { continue }
      for imported in SwiftSource.imports(file.code) {
        if let lowest = Self.toolchain[imported] {
          #expect(
            layer >= lowest,
            "\(file) imports \(imported): below that layer there are no clocks, files or C")
          if imported.hasPrefix("Foundation") {
            #expect(!Self.withoutFoundation.contains(module), "\(file) imports \(imported)")
          }
        } else {
          #expect(
            dependencies.contains(imported),
            "\(file) imports \(imported), which Package.swift does not give to \(module)")
        }
      }
    }
  }

  @Test("below the line there is no clock, chance, concurrency or output")
  func coreIsPure() throws {
    let banned: [Substring] = [
      "async", "await", "Task", "actor", "DispatchQueue", "Thread", "pthread_create", "Mutex",
      "Atomic", "ContinuousClock", "SuspendingClock", "clock_gettime", "gettimeofday", "Date",
      "random", "SystemRandomNumberGenerator", "arc4random", "hashValue", "Hasher", "print",
      "debugPrint", "fopen", "getenv", "FileManager",
    ]
    for (module, layer) in Self.layers where layer == .core {
      for file in try Repository.files(below: "Sources/\(module)", ending: ".swift") {
        let found = banned.filter(file.words.contains)
        #expect(
          found.isEmpty,
          """
          \(file) uses \(found.joined(separator: ", ")): operators are pure functions of the log; \
          take it as an argument from above the line
          """)
      }
    }
  }
}
