import Glibc
import LocalServers
import Logging
import NATSClient
import Testing

@Suite("NATS connection", .serialized)
struct NATSConnectionTests {
  /// A private nats-server for one test.
  private func withServer(_ body: (LocalServers, NATSConnection) throws -> Void) throws {
    let home = "/tmp/smartcontent-nats-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    var options = LocalServersOptions()
    options.servers = [.nats]
    options.natsMaxFileStoreBytes = 1 << 30
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let servers = try LocalServers.startBlocking(home: home, options: options, logger: logger)
    let result = Result {
      try body(
        servers,
        try NATSConnection.connect(url: servers.endpoints.natsURLWithToken, name: "test"))
    }
    servers.stopBlocking()
    try LocalServers.remove(home: home)
    try result.get()
  }

  @Test("a message arrives with subject, reply, headers and payload")
  func publish() throws {
    try withServer { _, connection in
      #expect(connection.isConnected)
      let subscription = try connection.subscribe("a.*")
      try Array("hello".utf8).withUnsafeBytes { bytes in
        try connection.publish(
          "a.b", reply: "answers", headers: [("Nats-Msg-Id", "x 1"), ("Other", "y")],
          payload: bytes)
      }
      let message = try #require(try subscription.next(timeoutMs: 5_000))
      #expect(message.subject == "a.b")
      #expect(message.reply == "answers")
      #expect(message.header("Nats-Msg-Id") == "x 1")
      #expect(message.header("Other") == "y")
      #expect(message.header("Absent") == nil)
      #expect(message.status == nil)
      #expect(String(decoding: message.payload, as: UTF8.self) == "hello")
      #expect(try subscription.next(timeoutMs: 0) == nil)
    }
  }

  @Test("subscriptions may go while their messages are still coming")
  func goneWhileReceiving() throws {
    try withServer { _, connection in
      let flood = try connection.session(timeoutMs: 5_000)
      for round in 0..<2_000 {
        let subscription = try connection.subscribe("flood.*")
        for index in 0..<20 {
          try flood.publish("flood.\(index)", [UInt8](repeating: 1, count: 64))
        }
        if round % 2 == 0 { #expect(try subscription.next(timeoutMs: 5_000) != nil) }
      }
      #expect(connection.sessionsOpened == 1)
    }
  }

  @Test("a request gets its answer; without a listener or an answer it says so")
  func request() throws {
    try withServer { _, connection in
      let answer = try connection.request("$JS.API.INFO", [], timeoutMs: 5_000)
      #expect(String(decoding: answer, as: UTF8.self).contains("account_info_response"))
      #expect(throws: NATSError.noResponders(subject: "nobody")) {
        try connection.request("nobody", [], timeoutMs: 5_000)
      }
      let silent = try connection.subscribe("silent")
      #expect(throws: NATSError.self) { try connection.request("silent", [], timeoutMs: 50) }
      #expect(silent.pendingMessages == 1)
    }
  }

  @Test("a full inbound queue drops and reports it")
  func slowConsumer() throws {
    try withServer { _, connection in
      let subscription = try connection.subscribe("a", maxMessages: 3)
      let session = try connection.session(timeoutMs: 0)
      for number in UInt8(0)..<5 { try session.publish("a", [number]) }
      // The answer comes after the five messages on the same connection.
      _ = try connection.request("$JS.API.INFO", [], timeoutMs: 5_000)
      #expect(throws: NATSError.slowConsumer(subject: "a")) {
        try subscription.next(timeoutMs: 1_000)
      }
      for number in UInt8(0)..<3 {
        #expect(try subscription.next(timeoutMs: 1_000)?.copiedPayload() == [number])
      }
      #expect(try subscription.next(timeoutMs: 0) == nil)
    }
  }

  @Test("after the server's death the session ends and the next one is opened by itself")
  func reconnect() throws {
    try withServer { servers, connection in
      let first = try connection.session(timeoutMs: 0)
      let subscription = try first.subscribe("a", maxMessages: 10, maxBytes: 1_000)
      #expect(first.number == 1)
      servers.kill(.nats)
      do {
        while try subscription.next(timeoutMs: 10_000) == nil {}
        Issue.record("no error")
      } catch NATSError.disconnected {
      }
      #expect(!first.isOpen)
      #expect(throws: NATSError.self) { try first.publish("a") }
      let second = try connection.session(timeoutMs: 20_000)
      #expect(second.isOpen)
      #expect(second.number == 2)
      #expect(connection.sessionsOpened == 2)
      _ = try connection.request("$JS.API.INFO", [], timeoutMs: 5_000)
    }
  }

  @Test("a write that a frozen server does not take ends the session within seconds")
  func frozen() throws {
    try withServer { servers, connection in
      let process = try #require(servers.processID(of: .nats))
      let session = try connection.session(timeoutMs: 0)
      let message = try OutgoingMessage(
        subject: "a", payload: [UInt8](repeating: 1, count: 1_000_000))
      kill(process, SIGSTOP)
      defer { kill(process, SIGCONT) }
      let start = monotonicMs()
      #expect(throws: NATSError.self) {
        for _ in 0..<1_000 { try session.publish(message) }
      }
      #expect(!session.isOpen)
      #expect(monotonicMs() - start < 10_000)
    }
  }

  @Test("a server that is asked whether it lives keeps its session if it does, and only then")
  func asked() throws {
    try withServer { servers, connection in
      let process = try #require(servers.processID(of: .nats))
      let session = try connection.session(timeoutMs: 0)
      session.closeUnlessAnswering(withinMs: 5_000)
      #expect(session.isOpen)
      kill(process, SIGSTOP)
      defer { kill(process, SIGCONT) }
      // The signal takes effect a little later; the library's own pings would need three seconds.
      let deadline = monotonicMs() + 2_500
      while session.isOpen, monotonicMs() < deadline { session.closeUnlessAnswering(withinMs: 50) }
      #expect(!session.isOpen)
    }
  }

  @Test("a message above max_payload is refused and the session lives on")
  func payloadTooLarge() throws {
    try withServer { _, connection in
      let session = try connection.session(timeoutMs: 0)
      #expect(session.maxPayload == 1 << 20)
      let message = try OutgoingMessage(
        subject: "a", payload: [UInt8](repeating: 1, count: 2 << 20))
      #expect(throws: NATSError.payloadTooLarge(bytes: 2 << 20, allowed: 1 << 20)) {
        try session.publish(message)
      }
      #expect(session.isOpen)
    }
  }

  @Test("wrong credentials are named as the cause, and no text has the secret")
  func credentials() throws {
    try withServer { servers, _ in
      let url = "nats://wr0ngsecret@127.0.0.1:\(servers.endpoints.natsPort)"
      do {
        _ = try NATSConnection.connect(url: url, name: "test", timeoutMs: 1_000)
        Issue.record("no error")
      } catch let error as NATSError {
        guard case .cannotConnect(_, let reason) = error else {
          Issue.record("\(error)")
          return
        }
        #expect(reason.contains("credentials"))
        #expect("\(error)".contains("127.0.0.1:\(servers.endpoints.natsPort)"))
        #expect(!"\(error)".contains("wr0ngsecret"))
      }
    }
  }

  @Test("without a server connecting fails in time and says what to do")
  func noServer() throws {
    let start = monotonicMs()
    do {
      _ = try NATSConnection.connect(url: "nats://127.0.0.1:1", name: "test", timeoutMs: 300)
      Issue.record("no error")
    } catch {
      #expect("\(error)".contains("127.0.0.1:1"))
      #expect("\(error)".contains("start nats-server"))
    }
    #expect(monotonicMs() - start < 5_000)
  }

  @Test("the greeting tells the server's version and abilities")
  func greeting() throws {
    try withServer { servers, _ in
      let greeting = try ServerGreeting.ask(NATSAddress(servers.endpoints.natsURL))
      #expect(greeting.version.split(separator: ".").count == 3)
      #expect(greeting.hasJetStream)
      #expect(greeting.requiresCredentials)
      #expect(greeting.maxPayload == 1 << 20)
    }
    #expect(throws: NATSError.self) {
      try ServerGreeting.ask(NATSAddress("nats://127.0.0.1:1"), timeoutMs: 300)
    }
  }
}
