import Glibc
import Synchronization

/// A TCP client that sends and reads bytes exactly as told, to see what the server does with
/// requests that no library would send. Blocking calls run on threads of their own, because the
/// server's asynchronous routes need Swift's pool.
final class RawConnection: @unchecked Sendable {  // Used by one task at a time.
  private let descriptor: Int32
  private var buffered: [UInt8] = []

  struct Response: Sendable {
    var status: Int
    var headers: [(name: String, value: String)]
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }

    func header(_ name: String) -> String? {
      headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
  }

  enum Failure: Error {
    case connect(Int32)
    case send(Int32)
    case closed
    case reset(Int32)
    case timeout
    case malformed(String)
  }

  static let timeoutSeconds = 10

  init(port: Int, receiveBufferBytes: Int32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var timeout = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    if var bytes = receiveBufferBytes {
      setsockopt(
        descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if result != 0 { throw Failure.connect(errno) }
  }

  deinit { close(descriptor) }

  func send(_ text: String) async throws { try await send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) async throws {
    try await Self.blocking {
      var sent = 0
      while sent < bytes.count {
        let count = bytes.withUnsafeBytes {
          Glibc.send(
            self.descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent,
            Int32(MSG_NOSIGNAL))
        }
        if count <= 0 { throw Failure.send(errno) }
        sent += count
      }
    }
  }

  func halfClose() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Reads one whole answer.
  func response(toHead: Bool = false) async throws -> Response {
    try await Self.blocking {
      var response = try self.head()
      if toHead || response.status == 204 || response.status == 304 || response.status == 100 {
        return response
      }
      if response.header("transfer-encoding") == "chunked" {
        while let chunk = try self.chunk() { response.body += chunk }
      } else if let length = response.header("content-length").flatMap({ Int($0) }) {
        response.body = try self.take(length)
      } else {
        response.body = try self.rest()
      }
      return response
    }
  }

  /// Reads only the header of an answer.
  func responseHead() async throws -> Response { try await Self.blocking { try self.head() } }

  /// Reads the next chunk of a streamed answer; nil at its end.
  func nextChunk() async throws -> [UInt8]? { try await Self.blocking { try self.chunk() } }

  /// Reads until the server closes; what comes before.
  func untilClosed() async throws -> [UInt8] { try await Self.blocking { try self.rest() } }

  private func head() throws -> Response {
    var lines: [String] = []
    while true {
      let line = try line()
      if line.isEmpty { break }
      lines.append(line)
    }
    let words = lines.first?.split(separator: " ") ?? []
    guard words.count >= 2, let status = Int(words[1]) else {
      throw Failure.malformed(lines.joined(separator: "\n"))
    }
    let headers = lines.dropFirst().map { line -> (name: String, value: String) in
      let parts = line.split(separator: ":", maxSplits: 1)
      return (String(parts[0]), parts.count > 1 ? String(parts[1].dropFirst()) : "")
    }
    return Response(status: status, headers: headers, body: [])
  }

  private func chunk() throws -> [UInt8]? {
    let line = try line()
    guard let length = Int(line, radix: 16) else { throw Failure.malformed(line) }
    let bytes = try take(length)
    _ = try take(2)
    return length == 0 ? nil : bytes
  }

  private func line() throws -> String {
    while true {
      if let end = buffered.firstIndex(of: 0x0a) {
        let line = buffered[..<end].filter { $0 != 0x0d }
        buffered.removeFirst(end + 1)
        return String(decoding: line, as: UTF8.self)
      }
      try fill()
    }
  }

  private func take(_ count: Int) throws -> [UInt8] {
    while buffered.count < count { try fill() }
    defer { buffered.removeFirst(count) }
    return Array(buffered.prefix(count))
  }

  private func rest() throws -> [UInt8] {
    do {
      while true { try fill() }
    } catch Failure.closed {
      defer { buffered = [] }
      return buffered
    }
  }

  private func fill() throws {
    var chunk = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &chunk, chunk.count, 0)
    if count == 0 { throw Failure.closed }
    if count < 0 { throw errno == EAGAIN ? Failure.timeout : Failure.reset(errno) }
    buffered += chunk.prefix(count)
  }

  /// Runs a blocking call on a new thread.
  static func blocking<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<T, any Error>) in
      let work = Work { continuation.resume(with: Result { try body() }) }
      var thread = pthread_t()
      let failure = pthread_create(
        &thread, nil,
        { context in
          guard let context else { return nil }
          Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
          return nil
        }, Unmanaged.passRetained(work).toOpaque())
      precondition(failure == 0)
      pthread_detach(thread)
    }
  }

  private final class Work: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
