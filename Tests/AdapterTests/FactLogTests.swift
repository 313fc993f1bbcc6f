import Events
import JetStreamLog
import LocalServers
import MemoryPorts
import NATSClient
import Ports
import Testing

/// What every log of facts holds to; run against memory and a real nats-server.
private enum FactLogContract {
  static func fact(_ number: Int, of id: String = "spring", kind: String = "experiment") -> Fact {
    Fact(
      kind: kind, id: id, type: "experiment.changed", eventID: "event-\(kind)-\(id)-\(number)",
      time: 1_764_489_600_123_456 + Int64(number),
      data: Array(#"{"number":\#(number),"é":"ü\n"}"#.utf8))
  }

  static func holds(_ log: any FactLog) async throws {
    #expect(try await log.read(kind: "experiment", after: 0).isEmpty)
    let first = try await log.append(fact(1), expecting: 0)
    let other = try await log.append(fact(1, of: "autumn"), expecting: 0)
    _ = try await log.append(fact(1, of: "spring", kind: "incident"), expecting: nil)
    let second = try await log.append(fact(2), expecting: first)
    // Somebody who still believes in the first is told of the second.
    await #expect(throws: FactError.conflict(last: second)) {
      _ = try await log.append(fact(3), expecting: first)
    }
    await #expect(throws: FactError.conflict(last: second)) {
      _ = try await log.append(fact(3), expecting: 0)
    }
    await #expect(throws: FactError.conflict(last: 0)) {
      _ = try await log.append(fact(1, of: "winter"), expecting: 7)
    }
    // A retried append gives the sequence of the copy that is there.
    #expect(try await log.append(fact(2), expecting: first) == second)
    #expect(try await log.append(fact(1, of: "autumn"), expecting: 0) == other)
    let all = try await log.read(kind: "experiment", after: 0)
    #expect(all.map(\.sequence) == [first, other, second])
    #expect(all.map(\.fact) == [fact(1), fact(1, of: "autumn"), fact(2)])
    #expect(try await log.read(kind: "experiment", after: other).map(\.fact) == [fact(2)])
    #expect(try await log.read(kind: "incident", after: 0).count == 1)
    for name in ["", "a.b", "a b", "*", String(repeating: "x", count: 65)] {
      await #expect(throws: FactError.self) {
        _ = try await log.append(fact(1, of: name), expecting: nil)
      }
    }
  }

  /// Each of several writers adds one number after the other, and begins again where another was first.
  static func race(_ logs: [any FactLog], rounds: Int) async throws {
    try await withThrowingTaskGroup(of: Int.self) { group in
      for (writer, log) in logs.enumerated() {
        group.addTask {
          var lost = 0
          for round in 0..<rounds {
            var fact = fact(round)
            fact.eventID = "writer-\(writer)-\(round)"
            var last = try await log.read(kind: fact.kind, after: 0).last?.sequence ?? 0
            while true {
              do throws(FactError) {
                _ = try await log.append(fact, expecting: last)
                break
              } catch {
                guard case .conflict(let newest) = error else { throw error }
                lost += 1
                last = newest
              }
            }
          }
          return lost
        }
      }
      let lost = try await group.reduce(0, +)
      print("\(lost) appends came second and were made again")
    }
    let facts = try await logs[0].read(kind: "experiment", after: 0)
    #expect(facts.count == logs.count * rounds)
    for writer in logs.indices {
      let own = facts.filter { $0.fact.eventID.hasPrefix("writer-\(writer)-") }
      #expect(
        own.map(\.fact.time) == (0..<rounds).map { fact($0).time }, "in its own order, each once")
    }
  }
}

@Suite(.serialized) struct FactLogTests {
  private func withServer(
    _ body: @Sendable @escaping (JetStreamTestServer) async throws -> Void
  ) async throws {
    try await JetStreamTestServer.runAsync { server in
      _ = try server.log.admin.create(
        "facts",
        config: """
          {"name":"facts","subjects":["facts.>"],"storage":"file","retention":"limits",\
          "discard":"new","max_bytes":\(64 << 20),"duplicate_window":120000000000}
          """)
      try await body(server)
    }
  }

  private static func facts(_ server: JetStreamTestServer) -> JetStreamFacts {
    JetStreamFacts(NATSConnection(server.address, name: "facts"), stream: "facts")
  }

  @Test("facts in memory keep the contract of the log of facts")
  func memory() async throws {
    try await FactLogContract.holds(MemoryFacts())
    let log = MemoryFacts()
    try await FactLogContract.race([log, log], rounds: 20)
  }

  @Test("facts in a stream of a real server keep the same contract")
  func stream() async throws {
    try await withServer { try await FactLogContract.holds(Self.facts($0)) }
  }

  @Test("of two writers that race one wins each time, and nothing is lost or doubled")
  func race() async throws {
    try await withServer { server in
      try await FactLogContract.race([Self.facts(server), Self.facts(server)], rounds: 50)
    }
  }

  @Test("a fact is a CloudEvent in the stream, of a subject of its own")
  func wire() async throws {
    try await withServer { server in
      let fact = Fact(
        kind: "experiment", id: "spring", type: "experiment.started", eventID: "e1",
        time: 1_764_489_600_000_001, data: Array(#"{"by":"ann"}"#.utf8))
      let sequence = try await Self.facts(server).append(fact, expecting: 0)
      let stored = try #require(try server.log.admin.message("facts", sequence: sequence))
      #expect(stored.subject == "facts.experiment.spring")
      #expect(
        String(decoding: stored.bytes, as: UTF8.self)
          == #"{"specversion":"1.0","id":"e1","source":"/facts/experiment","type":"smartcontent.experiment.started","subject":"spring","time":"2025-11-30T08:00:00.000001Z","datacontenttype":"application/json","data":{"by":"ann"}}"#
      )
    }
  }

  @Test(
    "who follows gets all facts from the beginning and then new ones, over a crash of the server")
  func follows() async throws {
    try await withServer { server in
      let log = Self.facts(server)
      for number in 0..<300 {
        _ = try await log.append(FactLogContract.fact(number), expecting: nil)
      }
      let (numbers, told) = AsyncStream.makeStream(of: Int64.self)
      let follower = Task {
        await Self.facts(server).follow(kind: "experiment", pause: .milliseconds(10)) { facts in
          for (_, fact) in facts { told.yield(fact.time - 1_764_489_600_123_456) }
        } failed: { _ in
        }
      }
      var seen: [Int64] = []
      for await number in numbers {
        seen.append(number)
        if seen.count == 300 {
          server.kill()
          var next = 300
          while next < 310 {
            do throws(FactError) {
              _ = try await log.append(FactLogContract.fact(next), expecting: nil)
              next += 1
            } catch {
              guard case .unavailable = error else { throw error }
            }
          }
        }
        if seen.count == 310 { break }
      }
      follower.cancel()
      #expect(seen == Array(0..<310))
    }
  }

  @Test("without a stream, or with something else in it, it says so")
  func unusable() async throws {
    try await JetStreamTestServer.runAsync { server in
      let log = Self.facts(server)
      await #expect(throws: FactError.self) {
        _ = try await log.append(FactLogContract.fact(1), expecting: 0)
      }
      await #expect(throws: FactError.self) { _ = try await log.read(kind: "experiment", after: 0) }
    }
    try await withServer { server in
      try server.log.admin.store("facts.experiment.x", Array("no JSON".utf8))
      let error = await #expect(throws: FactError.self) {
        _ = try await Self.facts(server).read(kind: "experiment", after: 0)
      }
      #expect(error?.description.contains("message 1 of stream facts is no fact") == true)
    }
  }
}

extension JetStreamTestServer {
  /// As ``run(_:)``, for what waits without a thread.
  static func runAsync(_ body: (JetStreamTestServer) async throws -> Void) async throws {
    let server = try start()
    let result: Result<Void, any Error>
    do {
      result = .success(try await body(server))
    } catch {
      result = .failure(error)
    }
    try server.stop()
    try result.get()
  }
}
