import Foundation
import Testing

/// Sends one request's bytes over TCP and reads the answer, on a thread of its own.
enum RawRequest {
  struct Answer: Sendable {
    let status: Int
    let head: String
    let body: String
  }

  static func send(_ bytes: [UInt8], port: Int) async throws -> Answer {
    let answer: [UInt8] = try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread { continuation.resume(with: Result { try exchange(bytes, port) }) }
    }
    let all = String(decoding: answer, as: UTF8.self)
    let parts = all.components(separatedBy: "\r\n\r\n")
    let status = Int(all.split(separator: " ").dropFirst().first ?? "") ?? 0
    return Answer(
      status: status, head: parts[0].lowercased(), body: parts.dropFirst().joined())
  }

  /// - Parameter headers: lines that each end with CR LF.
  static func send(
    _ method: String, _ target: String, headers: String = "", body: [UInt8] = [], port: Int
  ) async throws -> Answer {
    let head =
      "\(method) \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\(headers)"
      + "Content-Length: \(body.count)\r\n\r\n"
    return try await send(Array(head.utf8) + body, port: port)
  }

  private struct Failure: Error { let call: String, code: Int32 }

  private static func exchange(_ bytes: [UInt8], _ port: Int) throws -> [UInt8] {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else { throw Failure(call: "connect", code: errno) }
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Foundation.send(
          descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Failure(call: "send", code: errno) }
      sent += count
    }
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count < 0 { throw Failure(call: "recv", code: errno) }
      if count == 0 { return answer }
      answer += chunk.prefix(count)
    }
  }
}
