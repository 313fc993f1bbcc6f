import Glibc
import Synchronization

/// A server that reads each request whole and answers with given bytes: for answers that no proper
/// server gives. Serves one connection after the other.
///
/// `@unchecked Sendable`: the descriptor is written in `init` only; the rest is in a mutex.
final class ScriptedServer: @unchecked Sendable {
  /// What to do after a request.
  enum Answer: Sendable {
    case bytes(String)
    /// Sends the bytes, then closes the connection.
    case bytesThenClose(String)
    /// Never answers.
    case silence
  }

  private struct State {
    var answers: [Answer]
    var requests: [String] = []
    var connectionCount = 0
  }

  private let listener: Int32
  private let state: Mutex<State>
  let port: Int

  init(_ answers: [Answer]) throws {
    state = Mutex(State(answers: answers))
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 8) == 0
          && getsockname(listener, $0, &length) == 0
      }
    }
    guard isBound else { throw SocketError(code: errno) }
    port = Int(UInt16(bigEndian: address.sin_port))
    var thread = pthread_t()
    let own = Unmanaged.passRetained(self).toOpaque()
    pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<ScriptedServer>.fromOpaque(context).takeRetainedValue().serve()
        return nil
      }, own)
    pthread_detach(thread)
  }

  struct SocketError: Error { var code: Int32 }

  var url: String { "http://127.0.0.1:\(port)" }
  var requests: [String] { state.withLock(\.requests) }
  var connectionCount: Int { state.withLock(\.connectionCount) }

  /// No more connections; lets the thread end.
  func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func serve() {
    while true {
      let connection = accept(listener, nil, nil)
      guard connection >= 0 else { break }
      state.withLock { $0.connectionCount += 1 }
      while let request = Self.read(connection) {
        let answer = state.withLock { state -> Answer in
          state.requests.append(request)
          return state.answers.isEmpty ? .silence : state.answers.removeFirst()
        }
        if !perform(answer, on: connection) { break }
      }
      close(connection)
    }
    close(listener)
  }

  /// - Returns: whether the connection is to be kept.
  private func perform(_ answer: Answer, on connection: Int32) -> Bool {
    switch answer {
    case .bytes(let text):
      Self.write(text, to: connection)
      return true
    case .bytesThenClose(let text):
      Self.write(text, to: connection)
      return false
    case .silence:
      // Until the client goes away.
      var byte: UInt8 = 0
      _ = recv(connection, &byte, 1, 0)
      return false
    }
  }

  private static func write(_ text: String, to connection: Int32) {
    let bytes = Array(text.utf8)
    var start = 0
    while start < bytes.count {
      let count = bytes[start...].withUnsafeBytes {
        send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      start += count
    }
  }

  /// One request with its body, or nil where the connection has ended.
  private static func read(_ connection: Int32) -> String? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let text = String(decoding: bytes, as: UTF8.self)
      if let end = text.range(of: "\r\n\r\n") {
        let length = text[..<end.lowerBound].lowercased().split(separator: "\r\n")
          .first { $0.hasPrefix("content-length:") }
          .flatMap { Int($0.dropFirst("content-length:".count).drop { $0 == " " }) }
        if text[end.upperBound...].utf8.count >= length ?? 0 { return text }
      }
      let count = recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      bytes += buffer[..<count]
    }
  }
}

extension String {
  fileprivate func range(of part: String) -> Range<String.Index>? {
    utf8.indices.first { self[$0...].utf8.starts(with: part.utf8) }.map { start in
      start..<utf8.index(start, offsetBy: part.utf8.count)
    }
  }
}
