import LocalServers

/// Real servers for tests: what `smartcontent dev` runs on, in a temporary folder on free ports.
enum TestServers {
  /// One set for the whole test process, started at its first use and stopped at its end. Tests that
  /// share it must use names of their own (streams, schemas, key prefixes).
  static func shared() async throws -> LocalServers { try await sharedTask.value }

  private static let sharedTask = Task.detached { try await start("shared") }

  /// A set of its own, for tests that end servers. Stopped with its test where that says so, at the
  /// process's end at the latest.
  static func start(
    _ purpose: String, home: String? = nil, options: LocalServersOptions = LocalServersOptions()
  ) async throws -> LocalServers {
    let servers = try await LocalServers.start(
      home: try home ?? TemporaryFolder.make(purpose), options: options)
    TestExit.atEnd { servers.stopBlocking() }
    return servers
  }

  /// A port that is free now, outside of the range of outgoing connections.
  static func freePort() throws -> UInt16 { try LoopbackPort.free(1)[0] }
}
