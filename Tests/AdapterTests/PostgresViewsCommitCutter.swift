import Glibc
import Synchronization

/// Passes bytes between a client and a server on loopback; once armed it ends both connections
/// around the client's next `COMMIT`: the commit whose answer is lost, made at will.
///
/// One connection at a time. Knows of Postgres's protocol only that `commit` is a statement's text.
final class CommitCutter: Sendable {
  enum Cut {
    /// The server never gets the COMMIT.
    case before
    /// The server commits, and its answer never gets to the client.
    case after
    /// The COMMIT waits on its way until it is let go: the client stands still before it.
    case hold
  }

  private let isHeld = Atomic(false)
  private let isLetGo = Atomic(false)

  /// Waits until a COMMIT is being held.
  func waitUntilHeld() async {
    while !isHeld.load(ordering: .acquiring) { await Task.yield() }
  }

  func letGo() { isLetGo.store(true, ordering: .releasing) }

  /// Where clients connect.
  let port: UInt16
  private let listener: Int32
  private let serverPort: UInt16
  private let armed = Mutex<(cut: Cut, thenAway: Bool)?>(nil)
  private let isAway = Atomic(false)

  /// Cuts the next COMMIT, once.
  ///
  /// - Parameter thenAway: nobody gets a connection afterwards, until ``comeBack()``.
  func arm(_ cut: Cut, thenAway: Bool = false) { armed.withLock { $0 = (cut, thenAway) } }

  func comeBack() { isAway.store(false, ordering: .releasing) }

  init(serverPort: UInt16) {
    self.serverPort = serverPort
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = CommitCutter.loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(listener, $0, length)
        _ = listen(listener, 8)
        _ = getsockname(listener, $0, &length)
      }
    }
    self.listener = listener
    port = UInt16(bigEndian: address.sin_port)
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<CommitCutter>.fromOpaque(argument).takeRetainedValue().serve()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    pthread_detach(thread)
  }

  private static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    address.sin_port = port.bigEndian
    return address
  }

  private func serve() {
    while true {
      let client = accept(listener, nil, nil)
      guard client >= 0 else { return }
      if isAway.load(ordering: .acquiring) {
        close(client)
        continue
      }
      let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var address = CommitCutter.loopback(serverPort)
      withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          _ = connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      pass(client, server)
      close(client)
      close(server)
    }
  }

  private func pass(_ client: Int32, _ server: Int32) {
    while true {
      var descriptors = [
        pollfd(fd: client, events: Int16(POLLIN), revents: 0),
        pollfd(fd: server, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&descriptors, 2, -1) > 0 else { return }
      if descriptors[0].revents != 0 {
        guard let bytes = receive(client) else { return }
        let cut = cut(around: bytes)
        if cut == .before { return }
        if cut == .hold {
          isHeld.store(true, ordering: .releasing)
          while !isLetGo.load(ordering: .acquiring) { poll(nil, 0, 1) }
        }
        send(bytes, server)
        if cut == .after {
          _ = receive(server)
          return
        }
      }
      if descriptors[1].revents != 0 {
        guard let bytes = receive(server) else { return }
        send(bytes, client)
      }
    }
  }

  private func cut(around bytes: [UInt8]) -> Cut? {
    // Many rows are to pass within the second for which the server lets a transaction stand still.
    guard armed.withLock({ $0 != nil }),
      bytes.firstRange(of: Array("\0commit\0".utf8)) != nil
    else { return nil }
    return armed.withLock { armed in
      defer { armed = nil }
      if armed?.thenAway == true { isAway.store(true, ordering: .releasing) }
      return armed?.cut
    }
  }

  private func receive(_ descriptor: Int32) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(descriptor, &bytes, bytes.count, 0)
    return count > 0 ? Array(bytes.prefix(count)) : nil
  }

  private func send(_ bytes: [UInt8], _ descriptor: Int32) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      sent += count
    }
  }
}
