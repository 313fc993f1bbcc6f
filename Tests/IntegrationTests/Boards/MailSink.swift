import Foundation
import Glibc
import Synchronization

/// A mail server that takes every mail: RFC 5321 as far as Alertmanager speaks it, without TLS.
final class MailSink: Sendable {
  struct Mail {
    /// Of AUTH PLAIN (RFC 4616): user and password.
    var credentials: [String]
    var recipients: [String]
    var text: String
  }

  let port: UInt16
  private let received = Mutex<[Mail]>([])

  var mails: [Mail] { received.withLock { $0 } }

  init() throws {
    let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listening, $0, length) == 0 && listen(listening, 16) == 0
          && getsockname(listening, $0, &length) == 0
      }
    }
    guard listening >= 0, isBound else { throw HarnessError("there is no port for mails") }
    port = UInt16(bigEndian: address.sin_port)
    TestExit.atEnd { shutdown(listening, Int32(SHUT_RDWR)) }
    Thread.detachNewThread { [weak self] in
      while true {
        let connection = accept(listening, nil, nil)
        guard connection >= 0 else { break }
        self?.talk(connection)
        close(connection)
      }
      close(listening)
    }
  }

  private func talk(_ connection: Int32) {
    var rest: [UInt8] = []
    /// The next line without its end; nil where the client is gone.
    func line() -> String? {
      while true {
        if let end = rest.firstIndex(of: 10) {
          defer { rest.removeFirst(end + 1) }
          return String(decoding: rest[..<end], as: UTF8.self)
            .trimmingCharacters(in: .controlCharacters)
        }
        var block = [UInt8](repeating: 0, count: 4_096)
        let count = recv(connection, &block, block.count, 0)
        guard count > 0 else { return nil }
        rest += block[..<count]
      }
    }
    func say(_ text: String) {
      let bytes = Array((text + "\r\n").utf8)
      _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
    var mail = Mail(credentials: [], recipients: [], text: "")
    say("220 sink ESMTP")
    while let command = line() {
      let words = command.split(separator: " ")
      switch words.first?.uppercased() {
      case "EHLO": say("250-sink\r\n250 AUTH PLAIN")
      case "AUTH":
        let decoded = Data(base64Encoded: String(words.last ?? "")) ?? Data()
        mail.credentials = decoded.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        say("235 2.7.0 ok")
      case "RCPT":
        mail.recipients.append(String(command.dropFirst("RCPT TO:".count)))
        say("250 ok")
      case "DATA":
        say("354 go on")
        while let text = line(), text != "." { mail.text += text + "\n" }
        received.withLock { $0.append(mail) }
        say("250 ok")
      case "QUIT":
        say("221 bye")
        return
      default: say("250 ok")
      }
    }
  }
}
