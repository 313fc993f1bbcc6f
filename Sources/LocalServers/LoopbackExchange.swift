import Glibc

/// A short conversation with a server on 127.0.0.1, for asking whether it is ready. Each step waits
/// at most `timeoutMs`.
struct LoopbackExchange: ~Copyable {
  private let socket: Int32

  init?(port: UInt16, timeoutMs: Int = 250) {
    guard let socket = LoopbackPort.connect(port, timeoutMs: timeoutMs) else { return nil }
    self.socket = socket
  }

  deinit { close(socket) }

  func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  /// Reads until `isEnough` says so, the server closes, the time is over, or 64 KiB have come.
  func receive(until isEnough: ([UInt8]) -> Bool) -> [UInt8] {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4096)
    while bytes.count < 64 << 10 {
      let count = recv(socket, &block, block.count, 0)
      guard count > 0 else { break }
      bytes.append(contentsOf: block[..<count])
      if isEnough(bytes) { break }
    }
    return bytes
  }

  func receiveText(lines: Int) -> String {
    String(
      decoding: receive { $0.lazy.filter { $0 == UInt8(ascii: "\n") }.count >= lines },
      as: UTF8.self)
  }
}
