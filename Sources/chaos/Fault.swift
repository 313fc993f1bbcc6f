/// What is done to the system, and to what part of it.
struct Fault: Sendable, CustomStringConvertible {
  enum Kind: String, CaseIterable, Sendable {
    case killCollect = "kill -9 collect"
    case killProcess = "kill -9 process"
    case killServe = "kill -9 serve"
    case killNATS = "kill -9 nats-server"
    case killRedis = "kill -9 redis-server"
    case killPostgres = "kill -9 postgres"
    case rollingRestart = "rolling restart"
    case freezeCollect = "SIGSTOP collect"
    case freezeProcess = "SIGSTOP process"
    case freezeServe = "SIGSTOP serve"
    case freezeNATS = "SIGSTOP nats-server"
    case freezeRedis = "SIGSTOP redis-server"
    case freezePostgres = "SIGSTOP postgres"
    case flushRedis = "Redis FLUSHALL"
    case oldRedis = "Redis with an old RDB"
    case immediatePostgres = "Postgres immediate stop"
    case killBackend = "Postgres backend killed in COMMIT"
    case fullLogDisk = "full disk under the log"
    case fullStateDisk = "full disk under snapshots"
    case fullTableDisk = "full disk under Postgres"
    case fullRedis = "Redis without memory"
    case cut = "connections cut"
    case halfOpen = "connections half open"
    case silent = "network silent"
    case slow = "network slow"
    case copies = "copies of old batches"
  }

  /// Kinds that fill a disk, which has to be a small one.
  static let fullDisks: Set<Kind> = [.fullLogDisk, .fullStateDisk, .fullTableDisk]

  var number: Int
  var kind: Kind
  /// Which of several equal processes, from 0.
  var index = 0
  /// The store whose lines are hit, for faults of the network.
  var store: Line.Store?
  /// The process whose lines are hit, nil for all.
  var node: String?
  /// How long it lasts where it has a duration.
  var seconds = 0.0
  var delayMs = 0
  /// Made as soon as the one before, whose end is not waited for.
  var isJoined = false

  var description: String {
    var text = (isJoined ? "and " : "") + kind.rawValue
    switch kind {
    case .killCollect, .killProcess, .freezeCollect, .freezeProcess: text += "-\(index + 1)"
    case .cut, .halfOpen, .silent, .slow:
      text += ": \(node ?? "all") – \(store?.rawValue ?? "all stores")"
    default: break
    }
    if delayMs > 0 { text += ", \(delayMs) ms" }
    if seconds > 0 { text += ", \(Self.tenths(seconds)) s" }
    return text
  }

  static func tenths(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
