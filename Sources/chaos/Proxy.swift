import DemoTraffic
import Glibc
import LocalServers
import Synchronization

/// A small TCP proxy between every process and every store, for faults that only a network makes:
/// connections that are reset, that swallow everything, or that are slow.
///
/// One thread polls all sockets. Lines are added before it starts; afterwards other threads only
/// hand it commands.
final class Proxy: @unchecked Sendable {
  // All but `commands` and `shallStop` belongs to the thread once it runs.

  private enum Command {
    case set(Line.Mode, Set<Line>)
    case reset(Set<Line>)
    /// Leaves the open connections silent; new ones work.
    case abandon(Set<Line>)
  }

  /// How long a dead connection stays unnoticed by a server: what TCP keepalives of 5 s and 3
  /// probes of 2 s would do, which a proxy on the same machine answers itself.
  private static let keepaliveMicros: Int64 = 11_000_000

  private var listeners: [(socket: Int32, line: Line, target: UInt16)] = []
  private var modes: [Line: Line.Mode] = [:]
  private var pipes: [ProxyPipe] = []
  private let commands = Mutex<[Command]>([])
  private let shallStop = Atomic(false)
  private let thread = Mutex<WorkerThread?>(nil)

  /// - Returns: the port on 127.0.0.1 on which the line begins.
  func add(_ line: Line, to target: UInt16) throws -> UInt16 {
    let port = try LoopbackPort.free(1)[0]
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard listener >= 0 else { throw ChaosError.system("no socket for the proxy") }
    var on: Int32 = 1
    setsockopt(
      listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    let isListening =
      Self.withLoopback(port) { bind(listener, $0, $1) } == 0
      && listen(listener, 128) == 0
    guard isListening else { throw ChaosError.system("the proxy can't listen on port \(port)") }
    listeners.append((listener, line, target))
    return port
  }

  var lines: [Line] { listeners.map(\.line) }

  func start() {
    let worker = WorkerThread { [self] in
      while !shallStop.load(ordering: .acquiring) { turn() }
      for pipe in pipes { pipe.reset() }
      for listener in listeners { close(listener.socket) }
    }
    thread.withLock { $0 = worker }
  }

  func stop() {
    shallStop.store(true, ordering: .releasing)
    thread.withLock { $0.take() }?.join()
  }

  func set(_ mode: Line.Mode, _ lines: Set<Line>) { send(.set(mode, lines)) }
  func reset(_ lines: Set<Line>) { send(.reset(lines)) }
  func abandon(_ lines: Set<Line>) { send(.abandon(lines)) }

  private func send(_ command: Command) { commands.withLock { $0.append(command) } }

  // MARK: The thread

  private func turn() {
    obey()
    let now = Clock.steady()
    expire(now)
    var polled = listeners.map { pollfd(fd: $0.socket, events: Int16(POLLIN), revents: 0) }
    let first = polled.count
    var wait: Int32 = 5
    for pipe in pipes {
      for side in 0...1 {
        var events: Int32 = 0
        if !pipe.flows[side].hasEnded, !pipe.flows[side].isFull { events |= POLLIN }
        // Towards this socket flows what comes from the other.
        if let next = pipe.flows[1 - side].pending.first, pipe.silentUntilMicros == nil {
          if next.dueMicros <= now {
            events |= POLLOUT
          } else {
            wait = min(wait, Int32(clamping: (next.dueMicros - now) / 1000 + 1))
          }
        }
        polled.append(pollfd(fd: pipe.sockets[side], events: Int16(events), revents: 0))
      }
    }
    guard poll(&polled, nfds_t(polled.count), wait) >= 0 else { return }
    let after = Clock.steady()
    for index in pipes.indices {
      for side in 0...1 {
        let ready = Int32(polled[first + 2 * index + side].revents)
        if ready & (POLLIN | POLLHUP | POLLERR) != 0 {
          pipes[index].receive(side, mode: modes[pipes[index].line] ?? .open, now: after)
        }
      }
      for side in 0...1 { pipes[index].deliver(side, now: after) }
    }
    for index in 0..<first where polled[index].revents != 0 { accept(listeners[index]) }
    removeOver()
  }

  private func obey() {
    let due = commands.withLock { commands in
      defer { commands = [] }
      return commands
    }
    for command in due {
      switch command {
      case .set(let mode, let lines):
        for line in lines { modes[line] = mode }
        if mode == .refused { resetPipes(of: lines) }
        if mode == .silent { silence(lines) }
      case .reset(let lines): resetPipes(of: lines)
      case .abandon(let lines): silence(lines)
      }
    }
  }

  private func silence(_ lines: Set<Line>) {
    for index in pipes.indices where lines.contains(pipes[index].line) {
      guard pipes[index].silentUntilMicros == nil else { continue }
      pipes[index].silentUntilMicros = Clock.steady() + Self.keepaliveMicros
    }
  }

  private func resetPipes(of lines: Set<Line>) {
    for index in pipes.indices where lines.contains(pipes[index].line) {
      pipes[index].isBroken = true
    }
    removeOver()
  }

  private func expire(_ now: Int64) {
    for index in pipes.indices {
      if let until = pipes[index].silentUntilMicros, until <= now { pipes[index].isBroken = true }
    }
    removeOver()
  }

  private func removeOver() {
    guard pipes.contains(where: \.isOver) else { return }
    for pipe in pipes where pipe.isOver { pipe.reset() }
    pipes.removeAll(where: \.isOver)
  }

  private func accept(_ listener: (socket: Int32, line: Line, target: UInt16)) {
    let client = Glibc.accept(listener.socket, nil, nil)
    guard client >= 0 else { return }
    let mode = modes[listener.line] ?? .open
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    // On loopback a connection is made or refused at once.
    let isConnected =
      server >= 0 && mode != .refused
      && Self.withLoopback(listener.target) { connect(server, $0, $1) } == 0
    var pipe = ProxyPipe(line: listener.line, client: client, server: server)
    guard isConnected else { return pipe.reset() }
    for socket in pipe.sockets {
      var on: Int32 = 1
      setsockopt(
        socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    if mode == .silent { pipe.silentUntilMicros = Clock.steady() + Self.keepaliveMicros }
    pipes.append(pipe)
  }

  private static func withLoopback(
    _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}
