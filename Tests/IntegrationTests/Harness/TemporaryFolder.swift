import Glibc
import LocalServers
import Synchronization

/// A folder of this test run, removed when the test process ends (unless
/// `SMARTCONTENT_KEEP_TEST_FOLDERS` is set, for looking at the logs afterwards).
///
/// The name holds the process, so that the next run can remove what a killed one left.
enum TemporaryFolder {
  private static let prefix = "smartcontent-test"
  private static let made = Mutex<[String]>([])
  private static let count = Atomic<Int>(0)

  /// Makes a folder that another user may pass through (postgres, when the tests run as root).
  static func make(_ purpose: String) throws -> String {
    _ = sweepOnce
    guard let identity = ProcessIdentity(running: getpid()) else {
      throw HarnessError("/proc does not show this process")
    }
    let number = count.add(1, ordering: .relaxed).newValue
    let path = "\(parent)/\(prefix)-\(identity.pid)-\(identity.startTicks)-\(number)-\(purpose)"
    guard mkdir(path, 0o711) == 0, chmod(path, 0o711) == 0 else {
      throw HarnessError("can't make \(path): \(String(cString: strerror(errno)))")
    }
    made.withLock { $0.append(path) }
    return path
  }

  private static let parent = "/tmp"

  private static let sweepOnce: Bool = {
    removeLeftovers()
    TestExit.atProcessEnd {
      guard getenv("SMARTCONTENT_KEEP_TEST_FOLDERS") == nil else { return }
      for path in made.withLock({ $0 }) { remove(path) }
    }
    return true
  }()

  private static func removeLeftovers() {
    guard let handle = opendir(parent) else { return }
    defer { closedir(handle) }
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      let parts = name.split(separator: "-")
      guard name.hasPrefix(prefix), parts.count >= 4, let pid = Int32(parts[2]),
        let ticks = UInt64(parts[3]), ProcessIdentity(running: pid)?.startTicks != ticks
      else { continue }
      remove("\(parent)/\(name)")
    }
  }

  private static func remove(_ path: String) {
    do {
      try LocalServers.remove(home: path)
    } catch {
      print("harness: \(error)")
    }
  }
}
