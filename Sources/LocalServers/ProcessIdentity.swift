import Glibc

/// A process that can't be mistaken for a later one with the same number: its pid, its start time
/// and the boot in which it runs.
///
/// Pids are used again, so a pid file alone could make us kill a stranger after a crash.
public struct ProcessIdentity: Sendable, Hashable {
  public let pid: Int32
  /// Clock ticks since boot: field 22 of /proc/<pid>/stat, see proc(5).
  public let startTicks: UInt64
  let boot: String

  /// The running process with this pid, nil if there is none (zombies count as ended).
  public init?(running pid: Int32) {
    guard pid > 0, let fields = Self.statFields(pid), fields.count > 19,
      fields[0] != "Z", fields[0] != "X", let ticks = UInt64(fields[19])
    else { return nil }
    self.pid = pid
    startTicks = ticks
    boot = Self.currentBoot
  }

  /// A process of this boot, whether it runs or not.
  public init(pid: Int32, startTicks: UInt64) {
    self.pid = pid
    self.startTicks = startTicks
    boot = Self.currentBoot
  }

  /// What `fileText` wrote.
  init?(fileText: String) {
    let words = fileText.split(whereSeparator: \.isWhitespace)
    guard words.count == 3, let pid = Int32(words[0]), let ticks = UInt64(words[1]) else {
      return nil
    }
    self.pid = pid
    startTicks = ticks
    boot = String(words[2])
  }

  /// The content of a pid file.
  public var fileText: String { "\(pid) \(startTicks) \(boot)\n" }

  /// Whether this very process still runs.
  public var isRunning: Bool { ProcessIdentity(running: pid) == self }

  /// Where pids mean the same processes as here: this boot, and this space of process ids (a container
  /// has its own). Nil where the system does not tell.
  public static var host: String? {
    var link = [CChar](repeating: 0, count: 64)
    let count = readlink("/proc/self/ns/pid", &link, link.count)
    guard count > 0, currentBoot != unknownBoot else { return nil }
    let space = String(decoding: link[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    return "\(currentBoot) \(space)"
  }

  /// Ends a process that is not our child: `signal`, then SIGKILL after `graceMs`; returns whether it
  /// is gone.
  func end(signal: Int32, graceMs: Int) -> Bool {
    guard isRunning else { return true }
    kill(pid, signal)
    if waitUntilGone(ms: graceMs) { return true }
    kill(pid, SIGKILL)
    return waitUntilGone(ms: 2000)
  }

  func waitUntilGone(ms: Int) -> Bool {
    let deadline = MonotonicClock.nowUs() + Int64(ms) * 1000
    while isRunning {
      if MonotonicClock.nowUs() >= deadline { return false }
      poll(nil, 0, 5)
    }
    return true
  }

  /// The fields of /proc/<pid>/stat after the name (which may hold spaces and brackets): state first.
  private static func statFields(_ pid: Int32) -> [Substring]? {
    let file = open("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    guard let bytes = FileSystem.readAll(file, limit: 4096),
      let bracket = bytes.lastIndex(of: UInt8(ascii: ")"))
    else { return nil }
    let rest = String(decoding: bytes[(bracket + 1)...], as: UTF8.self)
    return rest.split(whereSeparator: \.isWhitespace)
  }

  private static let unknownBoot = "unknown"

  private static let currentBoot: String = {
    let file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return unknownBoot }
    defer { close(file) }
    let bytes = FileSystem.readAll(file, limit: 64) ?? []
    let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    return text.first.map(String.init) ?? unknownBoot
  }()
}

/// Time that never jumps, in microseconds from an arbitrary start.
enum MonotonicClock {
  static func nowUs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}
