import Definitions
import Events
import JetStreamLog
import NATSClient
import Ports
import Synchronization
import Testing

@Suite("JetStream generations")
struct JetStreamGenerationTests {
  /// As the server has it, with the closed size.
  private static func close(_ stream: String, _ server: JetStreamTestServer) throws {
    _ = try server.log.admin.update(
      stream,
      config: JetStreamTestServer.config(stream).dropLast()
        + ",\"max_msg_size\":\(StreamAdmin.sealedMessageSize)}")
  }

  private static let probe = FrameEncoder.heartbeat(
    FrameHeader(
      kind: .heartbeat, generation: 1, partition: 0, producer: Key128(low: 1, high: 0), epoch: 0,
      producerSequence: 1))

  @Test("A closed stream refuses every frame, says so, and is read and trimmed as before")
  func closed() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      try server.publish(1..<11, to: "events-00")
      #expect(try !server.log.admin.isClosed("events-00", probe: Self.probe))
      try Self.close("events-00", server)
      #expect(try server.log.admin.isClosed("events-00", probe: Self.probe))
      let publisher = try server.publisher()
      let outcome = publisher.outcome(
        stream: "events-00", messageID: "late", frame: [UInt8](repeating: 7, count: 5000))
      guard case .sealed(let reason) = outcome else {
        Issue.record("\(outcome)")
        return
      }
      #expect(reason.contains("message size"))
      #expect(try server.log.bounds(stream: "events-00") == (1, 11))
      let reader = try server.log.reader(stream: "events-00", after: 9)
      #expect(try reader.next(timeoutMs: 5000).map(\.sequence) == [10, 11])
      #expect(try server.log.admin.purge("events-00", keepFrom: 11) == 10)
    }
  }

  @Test("After a refusal nothing more is stored, whatever was on its way", .timeLimit(.minutes(2)))
  func exactCut() throws {
    try JetStreamTestServer.run { server in
      for round in 0..<10 {
        let stream = "cut-\(round)"
        try server.makeStream(stream)
        let publisher = try server.publisher()
        var token: UInt64 = 0
        var stored: UInt64 = 0
        var refused = 0
        var end: UInt64?
        func take(_ timeoutMs: Int) {
          for (_, outcome) in publisher.poll(timeoutMs: timeoutMs) {
            switch outcome {
            case .stored(let sequence, _):
              stored = max(stored, sequence)
              if let end { #expect(sequence <= end) }
            case .sealed: refused += 1
            case .unavailable(let reason), .full(let reason): Issue.record("\(reason)")
            }
          }
        }
        while refused == 0 || publisher.inFlight > 0 {
          while refused == 0, publisher.inFlight < publisher.windowMax {
            token += 1
            publisher.publish(
              stream: stream, messageID: "\(round)-\(token)",
              frame: [UInt8](repeating: 1, count: 20_000), token: token)
          }
          if stored > 20, end == nil {
            try Self.close(stream, server)
            #expect(try server.log.admin.isClosed(stream, probe: Self.probe))
            end = try server.log.bounds(stream: stream).last
          }
          take(20)
        }
        #expect(refused > 0)
        #expect(try server.log.bounds(stream: stream).last == end)
        #expect(end == stored)
      }
    }
  }

  @Test("The generations are those of the server's streams; a change is carried out step by step")
  func repartition() throws {
    try JetStreamTestServer.run { server in
      let admin = server.log.admin
      func generations() throws -> StreamGenerations {
        try StreamGenerations(actual: try admin.names().compactMap { try admin.info($0)?.config })
      }
      for partition in 0..<2 {
        let config = StreamConfig(
          name: "events-0\(partition)", subjects: ["events-0\(partition)"], storage: "file",
          retention: "limits", discard: "new", bytesMax: 100 << 20, messageBytesMax: 1 << 20,
          duplicateWindow: 120_000_000, replicas: 1,
          metadata: [
            "smartcontent.generation": "1", "smartcontent.partitions": "2",
            "smartcontent.partition": "\(partition)",
          ])
        _ = try admin.create(config.name, config: config.json)
      }
      try server.publish(1..<4, to: "events-01")
      var isDone = false
      while !isDone {
        switch try Repartition.next(try generations(), to: 3, usedBytes: [:]) {
        case .shrink(let config), .close(let config):
          _ = try admin.update(config.name, config: config.json)
        case .create(let config): _ = try admin.create(config.name, config: config.json)
        case .writeEnd(var config):
          #expect(try admin.isClosed(config.name, probe: Self.probe))
          config.end = try admin.info(config.name)?.lastSequence
          _ = try admin.update(config.name, config: config.json)
        case .done: isDone = true
        }
      }
      let all = try generations().all
      #expect(all.map(\.number) == [1, 2])
      #expect(all.map(\.isSealed) == [true, false])
      #expect(all[0].streams.map(\.end) == [0, 3])
      #expect(all[1].streams.map(\.name) == ["events-g2-00", "events-g2-01", "events-g2-02"])
      try server.publish(1..<2, to: "events-g2-02")
    }
  }
}
