import Glibc

/// TCP ports of 127.0.0.1: finding free ones and naming who holds a taken one.
public enum LoopbackPort {
  /// Whether a server could listen there now.
  public static func isFree(_ port: UInt16) -> Bool { bind(port) != nil }

  /// `count` different free ports.
  ///
  /// Taken from below the range that the kernel uses for outgoing connections: inside it, a client
  /// that keeps connecting to a port on which nobody listens (a server being restarted) sooner or
  /// later connects to itself, and then the server can't have its port back.
  public static func free(_ count: Int, except taken: Set<UInt16> = []) throws(LocalServersError)
    -> [UInt16]
  {
    var found: [UInt16] = []
    let first: UInt16 = 10_000
    let end = outgoingRangeStart()
    if end > first + 1000 {
      for _ in 0..<400 where found.count < count {
        let port = UInt16.random(in: first..<end)
        if !taken.contains(port), !found.contains(port), isFree(port) { found.append(port) }
      }
    } else {
      for _ in 0..<400 where found.count < count {
        if let port = bind(0), !taken.contains(port), !found.contains(port) { found.append(port) }
      }
    }
    guard found.count == count else { throw .noFreePort }
    return found
  }

  /// "name (process 123)" of the program that listens on the port, nil if the system does not tell
  /// (another user's process, or nobody).
  public static func holder(of port: UInt16) -> String? {
    let inodes = listeningInodes(port)
    guard !inodes.isEmpty else { return nil }
    for name in FileSystem.names(in: "/proc") {
      guard let pid = Int32(name) else { continue }
      for file in FileSystem.names(in: "/proc/\(pid)/fd") {
        guard let target = FileSystem.linkTarget("/proc/\(pid)/fd/\(file)"),
          target.hasPrefix("socket:["), inodes.contains(String(target.dropFirst(8).dropLast()))
        else { continue }
        return "\(programName(pid)) (process \(pid))"
      }
    }
    return nil
  }

  /// The name of a running program as the kernel keeps it, "?" if it is gone.
  static func programName(_ pid: Int32) -> String {
    let file = open("/proc/\(pid)/comm", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "?" }
    defer { close(file) }
    let bytes = FileSystem.readAll(file, limit: 64) ?? []
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  /// Binds and gives back; returns the port (0 asks the kernel for one), nil if it is taken.
  private static func bind(_ port: UInt16) -> UInt16? {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { return nil }
    defer { close(socket) }
    // As the servers do: connections of the past in TIME_WAIT don't matter, a listener does.
    var on: Int32 = 1
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    var address = loopback(port)
    let length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &address) { pointer -> UInt16? in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general -> UInt16? in
        guard Glibc.bind(socket, general, length) == 0, listen(socket, 1) == 0 else { return nil }
        var got = length
        guard getsockname(socket, general, &got) == 0 else { return nil }
        return pointer.pointee.sin_port.bigEndian
      }
    }
  }

  /// A blocking connection, each step of which waits at most `timeoutMs`; nil, with `errno`, where there is
  /// none to be had.
  static func connect(_ port: UInt16, timeoutMs: Int) -> Int32? {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { return nil }
    var limit = timeval(tv_sec: timeoutMs / 1000, tv_usec: (timeoutMs % 1000) * 1000)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    var address = loopback(port)
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else {
      let reason = errno
      close(socket)
      errno = reason
      return nil
    }
    return socket
  }

  static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    return address
  }

  private static func outgoingRangeStart() -> UInt16 {
    let file = open("/proc/sys/net/ipv4/ip_local_port_range", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return 32768 }
    defer { close(file) }
    let text = String(decoding: FileSystem.readAll(file, limit: 64) ?? [], as: UTF8.self)
    return text.split(whereSeparator: \.isWhitespace).first.flatMap { UInt16($0) } ?? 32768
  }

  /// Inodes of the sockets that listen on the port; state 0A is LISTEN, see proc_net_tcp.
  private static func listeningInodes(_ port: UInt16) -> Set<String> {
    var hex = String(port, radix: 16, uppercase: true)
    hex = String(repeating: "0", count: 4 - hex.count) + hex
    var inodes: Set<String> = []
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
      let file = open(table, O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { continue }
      defer { close(file) }
      let text = String(decoding: FileSystem.readAll(file, limit: 16 << 20) ?? [], as: UTF8.self)
      for line in text.split(separator: "\n").dropFirst() {
        let fields = line.split(separator: " ", omittingEmptySubsequences: true)
        guard fields.count > 9, fields[3] == "0A", fields[1].hasSuffix(":" + hex) else { continue }
        inodes.insert(String(fields[9]))
      }
    }
    return inodes
  }
}
