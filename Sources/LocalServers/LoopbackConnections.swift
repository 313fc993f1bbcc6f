import Glibc

/// Many blocking connections to one port of 127.0.0.1, each byte of which the caller decides: for what a
/// server does with clients that are many, slow or silent.
public final class LoopbackConnections {
  public struct Failure: Error, CustomStringConvertible {
    public let description: String
  }

  private var sockets: [Int32] = []
  private var buffer = [UInt8](repeating: 0, count: 1 << 16)

  /// - Parameter timeoutMs: how long one step, such as waiting for an answer, may take.
  public init(count: Int, port: UInt16, timeoutMs: Int = 20_000) throws(Failure) {
    for number in 0..<count {
      guard let socket = LoopbackPort.connect(port, timeoutMs: timeoutMs) else {
        let reason = String(cString: strerror(errno))
        close()
        throw Failure(
          description: "connection \(number) of \(count) to port \(port): \(reason)")
      }
      sockets.append(socket)
    }
  }

  deinit { close() }

  public var indices: Range<Int> { sockets.indices }

  public func close() {
    for socket in sockets { Glibc.close(socket) }
    sockets = []
  }

  public func send(_ bytes: [UInt8], on index: Int) throws(Failure) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(
          sockets[index], $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Failure(description: "connection \(index) was cut") }
      sent += count
    }
  }

  /// Reads until `text`, whose first character stands in it once, has come so many times.
  public func wait(for text: String, times: Int, on index: Int) throws(Failure) {
    let wanted = Array(text.utf8)
    var seen = 0
    // Of the text, what came last.
    var matched = 0
    while seen < times {
      let count = recv(sockets[index], &buffer, buffer.count, 0)
      guard count > 0 else {
        throw Failure(description: "connection \(index) ended after \(seen) answers")
      }
      for byte in buffer[..<count] {
        matched = byte == wanted[matched] ? matched + 1 : byte == wanted[0] ? 1 : 0
        if matched == wanted.count {
          seen += 1
          matched = 0
        }
      }
    }
  }

  /// Lets this process have as many connections as the system allows.
  ///
  /// - Returns: how many files may be open; 1,024 where the system does not tell.
  public static func raiseLimit() -> Int {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { return 1024 }
    limit.rlim_cur = limit.rlim_max
    guard setrlimit(resource, &limit) == 0 else { return 1024 }
    return Int(clamping: limit.rlim_max)
  }
}
