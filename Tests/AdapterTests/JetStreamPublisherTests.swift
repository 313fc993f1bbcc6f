import JetStreamLog
import NATSClient
import Ports
import Testing

@Suite("JetStream publisher", .serialized)
struct JetStreamPublisherTests {
  private static func isStored(_ outcome: PublishOutcome) -> Bool {
    if case .stored = outcome { true } else { false }
  }

  @Test("a thousand frames over four streams are stored in exact order")
  func order() throws {
    try JetStreamTestServer.run { server in
      let streams = (0..<4).map { "events-0\($0)" }
      for stream in streams { try server.makeStream(stream) }
      let outcomes = try server.publisher().publishAll((0..<1_000).map { (streams[$0 % 4], $0) })
      for (number, outcome) in outcomes.enumerated() {
        #expect(outcome == .stored(sequence: UInt64(number / 4 + 1), duplicate: false))
      }
      for (index, stream) in streams.enumerated() {
        let numbers = try server.numbers(in: stream, count: 250)
        #expect(numbers == (0..<250).map { 4 * $0 + index })
      }
    }
  }

  @Test("a second copy of a frame is not stored and gets the sequence of the first")
  func duplicate() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      let first = try server.publisher()
      #expect(
        first.outcome(stream: "events-00", messageID: "a", frame: frame(1))
          == .stored(sequence: 1, duplicate: false))
      #expect(
        first.outcome(stream: "events-00", messageID: "b", frame: frame(2))
          == .stored(sequence: 2, duplicate: false))
      let second = try server.publisher()
      #expect(
        second.outcome(stream: "events-00", messageID: "a", frame: frame(1))
          == .stored(sequence: 1, duplicate: true))
      #expect(try server.log.bounds(stream: "events-00") == (1, 2))
    }
  }

  @Test("a full stream says so at once and takes frames again after a purge")
  func full() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00", maxBytes: 8_192)
      let publisher = try server.publisher()
      let big = [UInt8](repeating: 7, count: 3_000)
      #expect(
        publisher.outcome(stream: "events-00", messageID: "1", frame: big)
          == .stored(sequence: 1, duplicate: false))
      #expect(
        publisher.outcome(stream: "events-00", messageID: "2", frame: big)
          == .stored(sequence: 2, duplicate: false))
      let outcome = publisher.outcome(stream: "events-00", messageID: "3", frame: big)
      guard case .full(let reason) = outcome else {
        Issue.record("not full but \(outcome)")
        return
      }
      #expect(reason.contains("maximum bytes exceeded"))
      #expect(try server.log.admin.purge("events-00") == 2)
      #expect(
        publisher.outcome(stream: "events-00", messageID: "4", frame: big)
          == .stored(sequence: 3, duplicate: false))
    }
  }

  @Test("a stream that does not exist is unavailable after the deadline, then works once made")
  func absent() throws {
    try JetStreamTestServer.run { server in
      var settings = JetStreamPublisher.Settings()
      settings.ackTimeoutMs = 200
      settings.deadlineMs = 400
      let publisher = try server.publisher(settings)
      let start = monotonicMs()
      let outcome = publisher.outcome(stream: "events-00", messageID: "1", frame: frame(1))
      guard case .unavailable(let reason) = outcome else {
        Issue.record("not unavailable but \(outcome)")
        return
      }
      #expect(reason.contains("no stream has this subject"))
      #expect((400..<3_000).contains(monotonicMs() - start))
      try server.makeStream("events-00")
      #expect(
        publisher.outcome(stream: "events-00", messageID: "2", frame: frame(2))
          == .stored(sequence: 1, duplicate: false))
    }
  }

  @Test("with the server killed in the middle nothing is lost, doubled or out of order")
  func killed() throws {
    try JetStreamTestServer.run { server in
      let streams = ["events-00", "events-01"]
      for stream in streams { try server.makeStream(stream) }
      var settings = JetStreamPublisher.Settings()
      settings.deadlineMs = 20_000
      let publisher = try server.publisher(settings)
      var kills = 0
      let outcomes = publisher.publishAll((0..<6_000).map { (streams[$0 % 2], $0) }) { done in
        if done > 2_000 * (kills + 1), kills < 2 {
          server.kill()
          kills += 1
        }
      }
      #expect(kills == 2)
      #expect(outcomes.allSatisfy(Self.isStored))
      for (index, stream) in streams.enumerated() {
        #expect(try server.log.bounds(stream: stream) == (1, 3_000))
        let numbers = try server.numbers(in: stream, count: 3_000)
        #expect(numbers == (0..<3_000).map { 2 * $0 + index })
      }
    }
  }

  @Test("a server that does not answer makes frames unavailable by their deadline")
  func frozen() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      var settings = JetStreamPublisher.Settings()
      settings.ackTimeoutMs = 200
      settings.deadlineMs = 600
      let publisher = try server.publisher(settings)
      #expect(
        publisher.outcome(stream: "events-00", messageID: "1", frame: frame(1))
          == .stored(sequence: 1, duplicate: false))
      try server.frozen {
        let start = monotonicMs()
        let outcome = publisher.outcome(stream: "events-00", messageID: "2", frame: frame(2))
        guard case .unavailable = outcome else {
          Issue.record("not unavailable but \(outcome)")
          return
        }
        #expect((600..<3_000).contains(monotonicMs() - start))
      }
      // The frozen server had the frame in its socket; the same id is stored once.
      var outcome = PublishOutcome.unavailable("")
      while case .unavailable = outcome {
        outcome = publisher.outcome(stream: "events-00", messageID: "2", frame: frame(2))
      }
      #expect(outcome == .stored(sequence: 2, duplicate: true))
    }
  }

  @Test("a frame above the server's max_payload is unavailable at once with the reason")
  func tooLarge() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      let outcome = try server.publisher().outcome(
        stream: "events-00", messageID: "1", frame: [UInt8](repeating: 0, count: 2 << 20))
      guard case .unavailable(let reason) = outcome else {
        Issue.record("not unavailable but \(outcome)")
        return
      }
      #expect(reason.contains("max_payload"))
    }
  }

  @Test("wake ends a poll that would wait long")
  func wake() throws {
    try JetStreamTestServer.run { server in
      let publisher = try server.publisher()
      publisher.wake()
      let start = monotonicMs()
      #expect(publisher.poll(timeoutMs: 10_000).isEmpty)
      #expect(monotonicMs() - start < 5_000)
    }
  }
}
