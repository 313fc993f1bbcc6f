import Glibc

/// A program of one of the servers, found on this machine.
public struct ServerProgram: Sendable, Equatable {
  public let server: LocalServer
  public let path: String
  public let version: ProgramVersion

  /// The first usable one of: the environment variable (then only that one), `.venv/bin` in the
  /// project (of this program and of the current folder), PATH, and Debian's folders for servers.
  /// `path` is the only one that is looked at, where it is given.
  /// `postgresMajor` is the version that made an existing data folder: no other can read it.
  public static func find(
    _ server: LocalServer, path: String? = nil, postgresMajor: Int? = nil
  ) throws(LocalServersError) -> ServerProgram {
    var rejected: [String] = []
    let folders: [String]
    let candidates: [String]
    if let named = path ?? environmentVariable(server.pathVariable) {
      folders = [server.pathVariable]
      candidates = [FileSystem.absolute(named)]
    } else {
      folders = searchFolders(server)
      candidates = folders.map { $0 + "/" + server.program }
    }
    for path in candidates {
      guard FileSystem.isExecutable(path) else {
        if folders == [server.pathVariable] { rejected.append("\(path) (not a program)") }
        continue
      }
      guard let version = try version(of: path) else {
        rejected.append("\(path) (does not tell its version)")
        continue
      }
      if version < server.minimumVersion {
        rejected.append("\(path) (\(version))")
      } else if server == .postgres, let postgresMajor, version.major != postgresMajor {
        rejected.append("\(path) (\(version), but the data were made by \(postgresMajor))")
      } else {
        return ServerProgram(server: server, path: path, version: version)
      }
    }
    throw .programMissing(server, looked: folders, rejected: rejected)
  }

  private static func version(of path: String) throws(LocalServersError) -> ProgramVersion? {
    guard let (ending, output) = try ChildProcess.run(path, ["--version"]), ending == .exited(0)
    else { return nil }
    return ProgramVersion(firstIn: output)
  }

  private static func environmentVariable(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }

  private static func searchFolders(_ server: LocalServer) -> [String] {
    var folders: [String] = []
    if server == .nats {
      folders += projectFolders().map { $0 + "/.venv/bin" }
    }
    folders += (environmentVariable("PATH") ?? "").split(separator: ":").map(String.init)
    if server == .postgres {
      let versions = FileSystem.names(in: "/usr/lib/postgresql")
      folders += versions.sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }
        .map { "/usr/lib/postgresql/\($0)/bin" }
    }
    folders += ["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"]
    var seen: Set<String> = []
    return folders.filter { seen.insert($0).inserted }
  }

  /// Folders above the program and above the current folder that have a `.venv`.
  private static func projectFolders() -> [String] {
    var folders: [String] = []
    let program = FileSystem.linkTarget("/proc/self/exe") ?? "/"
    for start in [program, FileSystem.absolute(".")] {
      var folder = Substring(start)
      while !folder.isEmpty {
        if FileSystem.exists(folder + "/.venv/bin"), !folders.contains(String(folder)) {
          folders.append(String(folder))
        }
        guard let slash = folder.lastIndex(of: "/") else { break }
        folder = folder[..<slash]
      }
    }
    return folders
  }
}
