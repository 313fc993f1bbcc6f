import Glibc

/// What a NATS server says of itself to everybody who connects: its `INFO` line. The C library reads
/// it and doesn't pass it on, so this asks anew, over a plain socket, without credentials.
///
/// Source: docs.nats.io, "Client protocol", INFO.
public struct ServerGreeting: Sendable, Equatable {
  /// Such as `2.15.1`.
  public var version: String
  public var serverName: String
  public var hasJetStream: Bool
  public var requiresCredentials: Bool
  /// Bytes of headers and payload that a message may have.
  public var maxPayload: Int

  /// From the text of an INFO line; nil when it isn't one.
  init?(line: String) {
    guard line.hasPrefix("INFO "), let version = Self.text("version", in: line) else { return nil }
    self.version = version
    serverName = Self.text("server_name", in: line) ?? ""
    hasJetStream = line.contains(#""jetstream":true"#)
    requiresCredentials = line.contains(#""auth_required":true"#)
    maxPayload =
      Self.after(#""max_payload":"#, in: line).flatMap { Int($0.prefix(while: \.isNumber)) } ?? 0
  }

  // The server writes its JSON without spaces, and quotes inside values with a backslash, so a quoted
  // name followed by a colon is always a field.
  private static func text(_ field: String, in line: String) -> String? {
    after("\"\(field)\":\"", in: line).map { String($0.prefix { $0 != "\"" }) }
  }

  private static func after(_ text: String, in line: String) -> Substring? {
    line.firstRange(of: text).map { line[$0.upperBound...] }
  }

  /// Asks the first server of the list that answers within `timeoutMs`.
  public static func ask(
    _ address: NATSAddress, timeoutMs: Int = 2_000
  ) throws(NATSError) -> ServerGreeting {
    var reason = "no server is named"
    for server in address.servers {
      let socket = PlainSocket(server.host, server.port, timeoutMs: timeoutMs)
      if let line = socket.readLine(bytesMax: 32 * 1024) {
        if let greeting = ServerGreeting(line: line) { return greeting }
        reason = "\(server.host):\(server.port) is not a NATS server"
      } else {
        reason = socket.failure
      }
    }
    throw .cannotConnect(servers: address.description, reason: reason)
  }
}

/// A TCP connection from which one line is read.
private struct PlainSocket: ~Copyable {
  private var descriptor: Int32 = -1
  private(set) var failure = "no NATS greeting came in time"

  init(_ host: String, _ port: UInt16, timeoutMs: Int) {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let name = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
    let status = getaddrinfo(name, "\(port)", &hints, &found)
    defer { if let found { freeaddrinfo(found) } }
    guard status == 0 else {
      failure = "\(host): \(String(cString: gai_strerror(status)))"
      return
    }
    var next = found
    while let candidate = next?.pointee {
      next = candidate.ai_next
      let opened = socket(candidate.ai_family, candidate.ai_socktype, candidate.ai_protocol)
      guard opened >= 0 else { continue }
      var limit = timeval(tv_sec: timeoutMs / 1_000, tv_usec: timeoutMs % 1_000 * 1_000)
      let size = socklen_t(MemoryLayout<timeval>.size)
      setsockopt(opened, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
      setsockopt(opened, SOL_SOCKET, SO_SNDTIMEO, &limit, size)  // Also of connect, on Linux.
      if connect(opened, candidate.ai_addr, candidate.ai_addrlen) == 0 {
        descriptor = opened
        return
      }
      failure = "\(host):\(port): \(String(cString: strerror(errno)))"
      close(opened)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  func readLine(bytesMax: Int) -> String? {
    guard descriptor >= 0 else { return nil }
    var line: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4_096)
    while line.count < bytesMax {
      let count = read(descriptor, &buffer, buffer.count)
      guard count > 0 else { return nil }
      line += buffer[..<count]
      if let end = line.firstIndex(of: UInt8(ascii: "\r")) {
        return String(decoding: line[..<end], as: UTF8.self)
      }
    }
    return nil
  }
}
