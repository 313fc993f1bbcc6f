import Glibc
import JetStreamLog
import LocalServers
import Logging
import NATSClient
import Ports
import Testing

/// A private nats-server for one test, with the durable settings of the product, in a folder that
/// goes away with it.
struct JetStreamTestServer {
  let servers: LocalServers
  let address: NATSAddress
  let log: JetStreamLog

  static func run(_ body: (JetStreamTestServer) throws -> Void) throws {
    let server = try start()
    let result = Result { try body(server) }
    try server.stop()
    try result.get()
  }

  static func start() throws -> JetStreamTestServer {
    let home = "/tmp/smartcontent-jetstream-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    var options = LocalServersOptions()
    options.servers = [.nats]
    options.natsMaxFileStoreBytes = 1 << 30
    var logger = Logger(label: "test")
    logger.logLevel = .error
    let servers = try LocalServers.startBlocking(home: home, options: options, logger: logger)
    do {
      let address = try NATSAddress(servers.endpoints.natsURLWithToken)
      return JetStreamTestServer(
        servers: servers, address: address, log: JetStreamLog(address: address, name: "test"))
    } catch {
      servers.stopBlocking()
      throw error
    }
  }

  func stop() throws {
    servers.stopBlocking()
    try LocalServers.remove(home: servers.home)
  }

  // MARK: The server's life

  /// As a crash; it starts again by itself.
  func kill() { servers.kill(.nats) }

  /// Runs `body` while the server is frozen: connected, but deaf.
  func frozen<R>(_ body: () throws -> R) throws -> R {
    let process = try #require(servers.processID(of: .nats))
    Glibc.kill(process, SIGSTOP)
    defer { Glibc.kill(process, SIGCONT) }
    // The signal takes effect a little later, thread by thread.
    let deadline = monotonicMs() + 5_000
    while try !Self.isStopped(process), monotonicMs() < deadline {}
    return try body()
  }

  private static func isStopped(_ process: Int32) throws -> Bool {
    let folder = try #require(opendir("/proc/\(process)/task"))
    defer { closedir(folder) }
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard name.first != ".", let file = fopen("/proc/\(process)/task/\(name)/stat", "r") else {
        continue
      }
      defer { fclose(file) }
      var line = [CChar](repeating: 0, count: 512)
      guard fgets(&line, 512, file) != nil else { continue }
      let text = line.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
      // "pid (name) state …"
      guard let end = text.lastIndex(of: ")"), text[end...].dropFirst(2).first == "T" else {
        return false
      }
    }
    return true
  }

  // MARK: Streams

  func makeStream(_ name: String, maxBytes: Int = 100 << 20) throws {
    _ = try log.admin.create(name, config: Self.config(name, maxBytes: maxBytes))
  }

  static func config(_ name: String, maxBytes: Int = 100 << 20) -> String {
    """
    {"name":"\(name)","subjects":["\(name)"],"storage":"file","retention":"limits",\
    "discard":"new","max_bytes":\(maxBytes),"duplicate_window":120000000000}
    """
  }

  func publisher(
    _ settings: JetStreamPublisher.Settings = .init()
  ) throws -> JetStreamPublisher {
    try JetStreamPublisher(address: address, name: "test publisher", settings: settings)
  }

  /// Publishes frames `range` to one stream and waits for all; the frame's number is its content.
  func publish(_ range: Range<Int>, to stream: String) throws {
    let publisher = try publisher()
    let outcomes = publisher.publishAll(range.map { (stream, $0) })
    for outcome in outcomes {
      guard case .stored = outcome else { throw PublishFailure(outcome: outcome) }
    }
  }

  struct PublishFailure: Error { let outcome: PublishOutcome }

  /// The numbers of all frames in a stream, read from its beginning.
  func numbers(in stream: String, count: Int) throws -> [Int] {
    let reader = try log.reader(stream: stream, after: 0)
    return try reader.numbers(count: count)
  }
}

func frame(_ number: Int) -> [UInt8] { Array("frame \(number)".utf8) }

func number(_ frame: any StoredFrame) -> Int? {
  Int(String(decoding: frame.bytes, as: UTF8.self).dropFirst("frame ".count))
}

extension FramePublisher {
  /// Publishes numbered frames with a full window; calls `each` after every poll with the number of
  /// outcomes so far.
  func publishAll(
    _ frames: [(stream: String, number: Int)], each: (Int) -> Void = { _ in }
  ) -> [PublishOutcome] {
    var outcomes = [PublishOutcome?](repeating: nil, count: frames.count)
    var sent = 0
    var done = 0
    while done < frames.count {
      while sent < frames.count, inFlight < windowMax {
        let (stream, number) = frames[sent]
        publish(
          stream: stream, messageID: "\(stream) \(number)", frame: frame(number),
          token: UInt64(sent))
        sent += 1
      }
      for (token, outcome) in poll(timeoutMs: 100) {
        #expect(outcomes[Int(token)] == nil, "a second outcome for frame \(token)")
        outcomes[Int(token)] = outcome
        done += 1
      }
      each(done)
    }
    return outcomes.map { $0! }
  }

  /// The outcome of one frame.
  func outcome(stream: String, messageID: String, frame: [UInt8]) -> PublishOutcome {
    publish(stream: stream, messageID: messageID, frame: frame, token: 1)
    while true {
      if let (_, outcome) = poll(timeoutMs: 1_000).first { return outcome }
    }
  }
}

extension FrameReader {
  /// Reads until there are `count` frames; errors that pass by themselves are waited out for 20 s.
  func numbers(count: Int, each: (Int) throws -> Void = { _ in }) throws -> [Int] {
    var numbers: [Int] = []
    let deadline = monotonicMs() + 20_000
    while numbers.count < count, monotonicMs() < deadline {
      do {
        for frame in try next(timeoutMs: 250) { numbers.append(try #require(number(frame))) }
      } catch LogError.unavailable {
        continue
      }
      try each(numbers.count)
    }
    return numbers
  }

  /// The first error that does not pass by itself, within 5 s.
  func firstError() throws -> LogError {
    let deadline = monotonicMs() + 5_000
    while monotonicMs() < deadline {
      do {
        for frame in try next(timeoutMs: 100) {
          throw UnexpectedFrame(sequence: frame.sequence)
        }
      } catch LogError.unavailable {
        continue
      } catch let error as LogError {
        return error
      }
    }
    throw UnexpectedFrame(sequence: 0)
  }
}

struct UnexpectedFrame: Error { let sequence: UInt64 }
