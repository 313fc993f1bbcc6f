import Glibc
import JetStreamLog
import NATSClient
import Ports
import Testing

@Suite("JetStream reader", .serialized)
struct JetStreamReaderTests {
  @Test("frames come in order with their sequence and stored time")
  func order() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      let before = Int64(time(nil)) * 1_000_000
      try server.publish(0..<1_000, to: "events-00")
      let reader = try server.log.reader(stream: "events-00", after: 0)
      var sequence: UInt64 = 0
      var time = before
      while sequence < 1_000 {
        for frame in try reader.next(timeoutMs: 1_000) {
          sequence += 1
          #expect(frame.sequence == sequence)
          #expect(number(frame) == Int(sequence - 1))
          #expect((time...time + 60_000_000).contains(frame.storedAt))
          time = frame.storedAt
        }
      }
      #expect(reader.lastKnownSequence == 1_000)
      #expect(try reader.next(timeoutMs: 20).isEmpty)
      let same = try server.log.frame(stream: "events-00", sequence: 1_000)
      #expect(same.storedAt == time)
      #expect(number(same) == 999)
    }
  }

  @Test("a reader at the end waits for the frame that does not exist yet")
  func end() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      let fresh = try server.log.reader(stream: "events-00", after: 0)
      #expect(try fresh.next(timeoutMs: 50).isEmpty)
      try server.publish(0..<10, to: "events-00")
      #expect(try fresh.numbers(count: 10) == Array(0..<10))
      let reader = try server.log.reader(stream: "events-00", after: 10)
      #expect(try reader.next(timeoutMs: 50).isEmpty)
      try server.publish(10..<12, to: "events-00")
      #expect(try reader.numbers(count: 2) == [10, 11])
    }
  }

  @Test("a position past the end of the stream is reported as going back in time")
  func pastTheEnd() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      try server.publish(0..<3, to: "events-00")
      let reader = try server.log.reader(stream: "events-00", after: 5)
      #expect(try reader.firstError() == .wentBack(stream: "events-00", wanted: 5, last: 3))
      #expect(try reader.firstError() == .wentBack(stream: "events-00", wanted: 5, last: 3))
      #expect(throws: LogError.wentBack(stream: "events-00", wanted: 9, last: 3)) {
        try server.log.frame(stream: "events-00", sequence: 9)
      }
    }
  }

  @Test("a stream that went back and has grown past the reader's place since is reported")
  func otherPast() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      try server.publish(0..<5, to: "events-00")
      let reader = try server.log.reader(stream: "events-00", after: 0)
      #expect(try reader.numbers(count: 5) == Array(0..<5))
      // One that has read nothing yet, and is connected.
      let idle = try server.log.reader(stream: "events-00", after: 5)
      #expect(try idle.next(timeoutMs: 100).isEmpty)
      #expect(try server.log.admin.delete("events-00"))
      try server.makeStream("events-00")
      try server.publish(100..<110, to: "events-00")
      for reader in [reader, idle] {
        #expect(try reader.firstError() == .wentBack(stream: "events-00", wanted: 5, last: 10))
        #expect(try reader.firstError() == .wentBack(stream: "events-00", wanted: 5, last: 10))
      }
    }
  }

  @Test("frames purged under the reader are reported, and reading goes on after them")
  func purge() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      try server.publish(0..<5, to: "events-00")
      let reader = try server.log.reader(stream: "events-00", after: 0)
      #expect(try reader.numbers(count: 5) == Array(0..<5))
      // Frames 6 to 10 are stored and purged while the server has no pull to send them to.
      let late = try server.log.reader(stream: "events-00", after: 5)
      try server.publish(5..<15, to: "events-00")
      #expect(try server.log.admin.purge("events-00", keepFrom: 11) == 10)
      #expect(try late.firstError() == .missing(stream: "events-00", from: 6, to: 10))
      #expect(try late.firstError() == .missing(stream: "events-00", from: 6, to: 10))
      let after = try server.log.reader(stream: "events-00", after: 10)
      #expect(try after.numbers(count: 5) == Array(10..<15))
      #expect(throws: LogError.missing(stream: "events-00", from: 3, to: 3)) {
        try server.log.frame(stream: "events-00", sequence: 3)
      }
    }
  }

  @Test("a frame deleted in the middle is reported after the frames before it")
  func hole() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      try server.publish(0..<9, to: "events-00")
      for sequence in [4, 5] {
        _ = try server.log.connection.request(
          "$JS.API.STREAM.MSG.DELETE.events-00", Array("{\"seq\":\(sequence)}".utf8),
          timeoutMs: 2_000)
      }
      let reader = try server.log.reader(stream: "events-00", after: 0)
      #expect(try reader.numbers(count: 3) == [0, 1, 2])
      #expect(try reader.firstError() == .missing(stream: "events-00", from: 4, to: 5))
      let after = try server.log.reader(stream: "events-00", after: 5)
      #expect(try after.numbers(count: 4) == [5, 6, 7, 8])
    }
  }

  @Test("frames as large as the server allows are read, in order, and fetched one by one")
  func large() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      let size = (1 << 20) - 1_024
      let publisher = try server.publisher()
      for number in UInt8(1)...20 {
        #expect(
          publisher.outcome(
            stream: "events-00", messageID: "\(number)",
            frame: [UInt8](repeating: number, count: size))
            == .stored(sequence: UInt64(number), duplicate: false))
      }
      let reader = try server.log.jetStreamReader(stream: "events-00", after: 0)
      var read: [UInt8] = []
      while read.count < 20 {
        for frame in try reader.next(timeoutMs: 5_000) {
          #expect(frame.bytes.count == size)
          read.append(frame.bytes[size - 1])
        }
      }
      #expect(read == Array(1...20))
      #expect(reader.consumersMade == 1)
      #expect(try server.log.frame(stream: "events-00", sequence: 7).bytes.count == size)
    }
  }

  @Test("with the server killed in the middle nothing is lost or repeated")
  func killed() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      try server.publish(0..<6_000, to: "events-00")
      let reader = try server.log.jetStreamReader(stream: "events-00", after: 0)
      var kills = 0
      let numbers = try reader.numbers(count: 6_000) { count in
        if count > 1_000 * (kills + 1), kills < 2 {
          server.kill()
          kills += 1
        }
      }
      #expect(kills == 2)
      #expect(numbers == Array(0..<6_000))
      try server.publish(6_000..<6_010, to: "events-00")
      #expect(try reader.numbers(count: 10) == Array(6_000..<6_010))
      #expect(reader.consumersMade > 1)
    }
  }

  @Test("a reader whose consumer vanishes makes another and goes on")
  func consumerDeleted() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      try server.publish(0..<10, to: "events-00")
      let reader = try server.log.jetStreamReader(stream: "events-00", after: 0)
      #expect(try reader.numbers(count: 10) == Array(0..<10))
      for name in try server.consumers(of: "events-00") {
        _ = try server.log.connection.request(
          "$JS.API.CONSUMER.DELETE.events-00.\(name)", [], timeoutMs: 2_000)
      }
      try server.publish(10..<20, to: "events-00")
      #expect(try reader.numbers(count: 10) == Array(10..<20))
      #expect(reader.consumersMade == 2)
    }
  }

  @Test("a reader that is let go leaves no consumer behind")
  func consumerRemoved() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      try server.publish(0..<1, to: "events-00")
      do {
        let reader = try server.log.reader(stream: "events-00", after: 0)
        #expect(try reader.numbers(count: 1) == [0])
        #expect(try server.consumers(of: "events-00").count == 1)
      }
      let deadline = monotonicMs() + 5_000
      while try !server.consumers(of: "events-00").isEmpty, monotonicMs() < deadline {}
      #expect(try server.consumers(of: "events-00").isEmpty)
    }
  }

  @Test("without its stream a reader says what to do, and reads once the stream is there")
  func absent() throws {
    try JetStreamTestServer.run { server in
      let reader = try server.log.reader(stream: "events-00", after: 0)
      do {
        _ = try reader.next(timeoutMs: 500)
        Issue.record("no error")
      } catch LogError.unavailable(let reason) {
        #expect(reason.contains("stream not found"))
        #expect(reason.contains("apply the stream definitions"))
      }
      try server.makeStream("events-00")
      try server.publish(0..<2, to: "events-00")
      #expect(try reader.numbers(count: 2) == [0, 1])
      #expect(throws: LogError.self) { try server.log.reader(stream: "a.b", after: 0) }
    }
  }

  @Test("a server that does not answer is unavailable within the time given, then read on")
  func frozen() throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      try server.publish(0..<10, to: "events-00")
      let reader = try server.log.reader(stream: "events-00", after: 0)
      #expect(try reader.numbers(count: 10) == Array(0..<10))
      try server.frozen {
        let deadline = monotonicMs() + 15_000
        var isNoticed = false
        while !isNoticed, monotonicMs() < deadline {
          let start = monotonicMs()
          do {
            let frames = try reader.next(timeoutMs: 200)
            #expect(frames.isEmpty)
          } catch LogError.unavailable {
            isNoticed = true
          }
          #expect(monotonicMs() - start < 2_500)
        }
        #expect(isNoticed)
      }
      try server.publish(10..<20, to: "events-00")
      #expect(try reader.numbers(count: 10) == Array(10..<20))
    }
  }
}

struct UnexpectedAnswer: Error { let text: String }

extension JetStreamTestServer {
  func consumers(of stream: String) throws -> [String] {
    let answer = try log.connection.request(
      "$JS.API.CONSUMER.NAMES.\(stream)", [], timeoutMs: 2_000)
    let text = String(decoding: answer, as: UTF8.self)
    guard let start = text.firstRange(of: "\"consumers\":[")?.upperBound,
      let end = text[start...].firstIndex(of: "]")
    else { throw UnexpectedAnswer(text: text) }
    return text[start..<end].split(separator: ",").map { String($0.dropFirst().dropLast()) }
  }
}
