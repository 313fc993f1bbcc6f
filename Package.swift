// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target of the project is compiled the same way: Swift 6 mode, warnings are errors.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

func module(
  _ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil
) -> Target {
  .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []
) -> Target {
  .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let lifecycle: Target.Dependency = .product(
  name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(
  name: "UnixSignals", package: "swift-service-lifecycle")
let arguments: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

let package = Package(
  name: "smartcontent",
  products: [
    .executable(name: "smartcontent", targets: ["smartcontent"]),
    .executable(name: "bench", targets: ["bench"]),
    .executable(name: "chaos", targets: ["chaos"]),
    .executable(name: "quality", targets: ["quality"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
  ],
  targets: [
    // C libraries, one module each.
    .systemLibrary(name: "CNats", pkgConfig: "libnats", providers: [.apt(["libnats-dev"])]),
    .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
    .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(
      name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "CShims"),
    .target(name: "CChecksum"),
    .target(name: "CMemory"),

    // Below the line: pure functions; no async, clock, random source, I/O or Foundation, and of C the
    // checksum instruction and hints about memory alone.
    module("Events", ["CChecksum"]),
    module("States"),
    module("Statistics", ["States"]),
    module("Views", ["Events"]),
    module("Operators", ["Events", "Statistics", "Views", "CMemory"]),
    module("Dataflow", ["Events", "Views", "Operators"]),
    module("Analyses", ["Events", "Statistics", "Views", "Operators", "Dataflow"]),
    module(
      "Learning", ["States", "Events", "Statistics", "Views", "Operators", "Dataflow", "Analyses"]),

    // Contracts between the core and the outside.
    module("Ports", ["Events", "Views", "Dataflow"]),

    // Clients that know no analytics.
    module("NATSClient", ["CNats"]),
    module("RedisClient", ["CHiredis"]),
    module("PostgresClient", ["CLibPQ"]),
    module("HTTPClient", ["CCurl"]),
    module("Cryptography", ["COpenSSL"]),
    module("HTTPServer", ["CZlib", log, nioCore, nioPosix]),
    module("Metrics"),
    module("Threads"),

    // Adapters: the ports on real servers.
    module("JetStreamLog", ["Events", "Ports", "NATSClient", "SessionPool"]),
    module("SessionPool"),
    module(
      "PostgresViews", ["Events", "Views", "Dataflow", "Ports", "PostgresClient", "SessionPool"]),
    module("RedisViews", ["Events", "Views", "Dataflow", "Ports", "RedisClient", "SessionPool"]),
    module("FileSnapshots", ["Ports"]),
    module("JetStreamSnapshots", ["Events", "Ports", "NATSClient", "JetStreamLog"]),
    module("LogArchive", ["Events", "Ports"]),

    // Application.
    module("Experiments", ["Events", "Statistics", "Views", "Ports"]),
    module("Definitions", ["Events", "Views", "Dataflow", "Experiments", "Learning", yams]),
    module(
      "Collector",
      ["Events", "Ports", "Cryptography", "HTTPServer", "Metrics", "Threads", "CMemory", log]),
    module(
      "Runtime", ["Events", "Views", "Operators", "Dataflow", "Ports", "Metrics", "Threads", log]),
    module(
      "LogScans",
      ["Events", "Operators", "Dataflow", "Analyses", "Ports", "Metrics", "Threads", log]),
    module(
      "LogFollowing",
      [
        "States", "Events", "Operators", "Dataflow", "Analyses", "Learning", "Ports", "Metrics",
        "Threads",
        log,
      ]),
    module(
      "DecisionAPI",
      [
        "Events", "Statistics", "Views", "Operators", "Dataflow", "Analyses", "Learning", "Ports",
        "Cryptography", "HTTPClient", "HTTPServer", "Metrics", "SessionPool", "Threads", log,
      ]),
    module(
      "QueryAPI",
      [
        "Events", "Statistics", "Views", "Dataflow", "Analyses", "Ports", "Experiments", "LogScans",
        "HTTPServer", "Metrics", "Threads", log,
      ]),
    module(
      "Notifications",
      [
        "Events", "Views", "Ports", "HTTPClient", "Cryptography", "Metrics", "Threads", log,
      ]),
    module("Verification", ["Events", "Statistics", "Views", "Dataflow", "Ports"]),
    module("Console", ["HTTPServer"], resources: [.embedInCode("Pages")]),
    module("BrowserTracker", ["Events", "HTTPServer"], resources: [.embedInCode("Script")]),
    module("LocalServers", ["CShims", log]),
    module("DemoTraffic", ["Events", "HTTPClient"]),

    // Composition roots.
    .executableTarget(
      name: "smartcontent",
      dependencies: [
        "Events", "Views", "Operators", "Dataflow", "Ports", "NATSClient", "RedisClient",
        "PostgresClient", "HTTPClient", "HTTPServer", "Metrics", "Cryptography", "JetStreamLog",
        "PostgresViews", "RedisViews", "FileSnapshots", "JetStreamSnapshots", "LogArchive",
        "Definitions", "Experiments", "Statistics",
        "Collector", "Runtime", "LogScans", "Learning", "LogFollowing", "DecisionAPI",
        "QueryAPI", "Notifications", "Verification", "Console", "BrowserTracker", "LocalServers",
        "DemoTraffic",
        "SessionPool", "CShims", log,
        lifecycle, signals, arguments,
      ], swiftSettings: strict),
    .executableTarget(
      name: "bench",
      dependencies: [
        "Events", "Statistics", "Views", "Operators", "Dataflow", "Analyses", "Ports", "LogScans",
        "Learning", "LogFollowing", "LogArchive", "NATSClient", "JetStreamLog",
        "PostgresViews", "RedisViews", "FileSnapshots", "Definitions", "Experiments", "Collector",
        "Runtime",
        "LocalServers", "PostgresClient", "RedisClient", "HTTPClient", "HTTPServer", "Metrics",
        "CShims", "CMemory", log, nioCore, nioPosix, nioHTTP1, arguments,
      ], swiftSettings: strict),

    .executableTarget(
      name: "chaos",
      dependencies: [
        "Events", "Views", "Dataflow", "Ports", "NATSClient", "RedisClient", "PostgresClient",
        "HTTPClient", "JetStreamLog", "Definitions", "LocalServers", "DemoTraffic", log, arguments,
      ], swiftSettings: strict),
    .executableTarget(
      name: "quality", dependencies: ["Statistics", "CZlib", arguments], swiftSettings: strict),

    // Tests.
    tests("EventsTests", ["Events"]),
    tests("StatisticsTests", ["Statistics", "quality", "Oracles"]),
    .target(
      name: "Oracles", path: "Tests/Oracles",
      swiftSettings: strict),
    .target(
      name: "MemoryPorts", dependencies: ["Events", "Ports", "Threads"], path: "Tests/MemoryPorts",
      swiftSettings: strict),
    tests(
      "AnalysesTests",
      [
        "Events", "Statistics", "Views", "Operators", "Dataflow", "Analyses", "Oracles",
      ]),
    tests(
      "OperatorsTests",
      ["Events", "Views", "Operators", "Dataflow", "Analyses", "Verification", "Oracles"]),
    .target(name: "CAllocations", path: "Tests/CAllocations"),
    tests(
      "AllocationTests",
      [
        "CAllocations", "Collector", "Events", "Views", "Operators", "Dataflow", "Ports", "Metrics",
        log,
      ],
      exclude: ["thresholds.txt"]),
    tests(
      "ClientTests",
      [
        "LocalServers", log, "CZlib", "NATSClient", "RedisClient", "PostgresClient", "HTTPServer",
        "HTTPClient", "Metrics", "Cryptography", "SessionPool", nioCore,
      ]),
    tests(
      "AdapterTests",
      [
        "Events", "Views", "Operators", "Dataflow", "Ports", "NATSClient", "RedisClient",
        "PostgresClient", "JetStreamLog", "PostgresViews", "RedisViews", "FileSnapshots",
        "JetStreamSnapshots",
        "LogArchive", "Definitions", "LocalServers", "SessionPool", "MemoryPorts", "Oracles", log,
      ]),
    tests(
      "CollectorTests",
      [
        "Events", "Ports", "Collector", "BrowserTracker", "HTTPServer", "Metrics", "Cryptography",
        "CZlib", log,
      ]),
    tests(
      "QueryTests",
      [
        "Events", "Views", "Dataflow", "Analyses", "Ports", "Experiments", "LogScans", "Collector",
        "QueryAPI",
        "HTTPServer", "Metrics", "MemoryPorts", log,
      ]),
    tests(
      "ExperimentTests",
      ["Events", "Statistics", "Views", "Ports", "Experiments", "MemoryPorts", "Oracles"]),
    tests(
      "RuntimeTests",
      [
        "Events", "Statistics", "Views", "Operators", "Dataflow", "Analyses", "Ports", "Metrics",
        "Threads", "Runtime", "LogScans", "Verification", "FileSnapshots", "LogArchive", "Oracles",
        log,
      ]),
    tests(
      "NotificationTests",
      [
        "Events", "Views", "Ports", "Notifications", "Metrics", "HTTPClient", "Threads",
        "MemoryPorts", log,
      ]),
    tests(
      "LearningTests",
      [
        "States", "Events", "Statistics", "Views", "Operators", "Dataflow", "Analyses", "Learning",
        "Oracles",
      ]),
    tests(
      "DecisionTests",
      [
        "States", "Events", "Statistics", "Views", "Operators", "Dataflow", "Analyses", "Learning",
        "LogFollowing", "DecisionAPI", "QueryAPI", "Collector", "Cryptography", "Ports",
        "HTTPServer", "HTTPClient", "Metrics", "FileSnapshots", "MemoryPorts", log,
      ]),
    tests("DefinitionsTests", ["Events", "Views", "Dataflow", "Learning", "Definitions"]),
    tests("DemoTrafficTests", ["Events", "HTTPClient", "DemoTraffic"]),
    tests(
      "CommandTests", ["smartcontent", "Events", "Views", "Dataflow", "Runtime", "PostgresViews"]),
    tests("TidyTests", []),
    // Opens internals: a build that has them closed does not build it.
    .target(
      name: "FuzzTargets",
      dependencies: [
        "Events", "Views", "Statistics", "Operators", "Analyses", "Learning", "Ports",
        "Experiments", "HTTPServer",
        "Collector",
        "QueryAPI", nioCore,
      ],
      path: "Tests/FuzzTargets", swiftSettings: strict),
    tests("FuzzTests", ["FuzzTargets", "Oracles"]),
    tests(
      "IntegrationTests",
      [
        "Events", "LocalServers", "HTTPClient", "PostgresClient", "NATSClient", "RedisClient",
        "JetStreamLog", "Ports", "Definitions", "Views", "Dataflow", "HTTPServer", "Cryptography",
        "MemoryPorts", "PostgresViews", "Runtime", log,
      ],
      exclude: ["Clients", "Pages"]),
  ]
)

// It is there only for Scripts/fuzz. Coverage is counted in the modules with parsers alone, as each counter is
// looked at after each input. `-zmuldefs`: libFuzzer brings a `main` of its own, which comes after this one.
if let sanitizers = Context.environment["SMARTCONTENT_FUZZ"] {
  let flags = ["-sanitize=\(sanitizers)"]
  let parsers: Set = [
    "Events", "Operators", "Analyses", "Experiments", "HTTPServer", "Collector", "QueryAPI",
  ]
  for target in package.targets where parsers.contains(target.name) {
    target.swiftSettings = strict + [.unsafeFlags(flags)]
  }
  package.targets.append(
    .executableTarget(
      name: "fuzz", dependencies: ["FuzzTargets"], path: "Tests/Fuzz", swiftSettings: strict,
      linkerSettings: [.unsafeFlags(flags + ["-use-ld=lld", "-Xlinker", "-zmuldefs"])]))
}
