/// Chooses ports and limits before a start, and keeps them for the next.
enum PortPlan {
  static func choose(home: HomeFolder, options: LocalServersOptions) throws(LocalServersError)
    -> LocalEndpoints
  {
    var settings = try home.readSettings()
    var used: Set<UInt16> = []
    let wanted: [(String, LocalServer, UInt16?, WritableKeyPath<HomeFolder.Settings, UInt16>)] = [
      ("nats-server", .nats, options.natsPort, \.natsPort),
      ("nats-server monitoring", .nats, options.natsMonitorPort, \.natsMonitorPort),
      ("redis-server", .redis, options.redisPort, \.redisPort),
      ("postgres", .postgres, options.postgresPort, \.postgresPort),
    ]
    for (name, server, asked, keyPath) in wanted {
      let runs = options.servers.contains(server)
      if let asked {
        guard !used.contains(asked) else {
          throw .portTaken(name, port: asked, holder: "another of our own servers")
        }
        guard !runs || LoopbackPort.isFree(asked) else {
          throw .portTaken(name, port: asked, holder: LoopbackPort.holder(of: asked))
        }
        settings[keyPath: keyPath] = asked
      }
      let port = settings[keyPath: keyPath]
      if port == 0 || used.contains(port) || (runs && !LoopbackPort.isFree(port)) {
        settings[keyPath: keyPath] = try LoopbackPort.free(1, except: used)[0]
      }
      used.insert(settings[keyPath: keyPath])
    }
    if let limit = options.natsMaxFileStoreBytes {
      settings.natsMaxFileStoreBytes = limit
    } else if settings.natsMaxFileStoreBytes == 0 {
      let free = FileSystem.freeBytes(home.path) ?? 0
      settings.natsMaxFileStoreBytes = max(smallestStoreBytes, free / 10 * 8)
    }
    try home.writeSettings(settings)
    return try home.endpoints(settings)
  }

  /// A log that is smaller is of no use; on such a disk the server reports it full.
  private static let smallestStoreBytes: Int64 = 1 << 30
}
