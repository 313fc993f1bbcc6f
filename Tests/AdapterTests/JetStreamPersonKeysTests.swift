import Events
import Foundation
import JetStreamLog
import LocalServers
import NATSClient
import Ports
import Testing

@Suite(.serialized) struct JetStreamPersonKeysTests {
  private static let ada = Key128(low: 1, high: 100)
  private static let bob = Key128(low: 2, high: 200)

  private func keys(_ server: JetStreamTestServer) throws -> JetStreamPersonKeys {
    let connection = NATSConnection(server.address, name: "person keys")
    _ = try connection.session(timeoutMs: 5_000)
    return JetStreamPersonKeys(connection)
  }

  private func key(_ person: Key128, _ text: String) -> StoredPersonKey {
    StoredPersonKey(person: person, bytes: Array(text.utf8))
  }

  /// Whether any file of the server's store holds the text.
  private func isOnDisk(_ text: String, _ server: JetStreamTestServer) throws -> Bool {
    let home = server.servers.home
    let files = try #require(FileManager.default.enumerator(atPath: home))
    let wanted = Data(text.utf8)
    var count = 0
    for case let file as String in files where file.contains("person-keys") {
      let url = URL(fileURLWithPath: "\(home)/\(file)")
      guard try url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else {
        continue
      }
      count += 1
      if try Data(contentsOf: url).range(of: wanted) != nil { return true }
    }
    #expect(count > 0, "the stream's files are somewhere below \(home)")
    return false
  }

  @Test("A person has the key that was stored first, and each person another")
  func first() throws {
    try JetStreamTestServer.run { server in
      let keys = try keys(server)
      #expect(try keys.key(of: Self.ada) == nil)
      let made = try keys.settle([key(Self.ada, "a1"), key(Self.bob, "b1")])
      #expect(try made.map { try $0.get() } == [key(Self.ada, "a1"), key(Self.bob, "b1")])
      let again = try keys.settle([key(Self.bob, "b2"), key(Self.ada, "a2")])
      #expect(try again.map { try $0.get() } == [key(Self.bob, "b1"), key(Self.ada, "a1")])
      #expect(try keys.key(of: Self.ada) == key(Self.ada, "a1"))
      let info = try #require(try server.log.admin.info(JetStreamPersonKeys.stream))
      #expect(info.messages == 2)
    }
  }

  @Test("Of several collectors that are first at once all have the same keys in the end")
  func race() throws {
    try JetStreamTestServer.run { server in
      let persons = (0..<1_000).map { Key128(low: UInt64($0 + 1), high: 7) }
      let collectors = try (0..<4).map { _ in try keys(server) }
      let outcomes = try Self.parallel(collectors.count) { index in
        try collectors[index].settle(
          persons.map { StoredPersonKey(person: $0, bytes: Array("\(index) \($0)".utf8)) }
        ).map { try $0.get() }
      }
      for outcome in outcomes { #expect(outcome == outcomes[0]) }
      let winners = Set(outcomes[0].map { $0.bytes[0] })
      #expect(outcomes[0].map(\.person) == persons)
      print("keys of \(winners.count) of 4 collectors were first")
      let info = try #require(try server.log.admin.info(JetStreamPersonKeys.stream))
      #expect(info.messages == 1_000)
    }
  }

  /// On threads of their own, which start together.
  private static func parallel<R: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws -> R
  ) throws -> [R] {
    let results = Results<R>(count)
    DispatchQueue.concurrentPerform(iterations: count) { index in
      results.set(index, Result { try body(index) })
    }
    return try results.all.map { try $0.get() }
  }

  private final class Results<R>: @unchecked Sendable {  // Under the lock.
    private let lock = NSLock()
    private var results: [Result<R, any Error>?]

    init(_ count: Int) { results = Array(repeating: nil, count: count) }

    var all: [Result<R, any Error>] { lock.withLock { results.compactMap(\.self) } }

    func set(_ index: Int, _ result: Result<R, any Error>) {
      lock.withLock { results[index] = result }
    }
  }

  @Test("An erased key is gone from the server's files, is heard of, and makes room for a new one")
  func erased() throws {
    try JetStreamTestServer.run { server in
      let keys = try keys(server)
      let listener = try self.keys(server).erasures()
      #expect(listener.next(timeoutMs: 5_000) == .uncertain)
      let secret = "the-wrapped-key-of-ada-\(UInt64.random(in: 0 ... .max))"
      let other = "the-wrapped-key-of-bob-\(UInt64.random(in: 0 ... .max))"
      for result in try keys.settle([key(Self.ada, secret), key(Self.bob, other)]) {
        _ = try result.get()
      }
      #expect(try isOnDisk(secret, server) && isOnDisk(other, server))
      let start = ContinuousClock.now
      #expect(try keys.erase(Self.ada))
      // What was stored is heard, too, and says nothing.
      #expect(try Self.eventually { listener.next(timeoutMs: 1_000) == .erased([Self.ada]) })
      print("erased and heard of after \(ContinuousClock.now - start)")
      #expect(try keys.key(of: Self.ada) == nil)
      #expect(try !isOnDisk(secret, server))
      #expect(try isOnDisk(other, server))
      #expect(try keys.key(of: Self.bob) == key(Self.bob, other))
      #expect(try !keys.erase(Self.ada))
      #expect(try !keys.erase(Key128(low: 9, high: 9)))
      let new = try keys.settle([key(Self.ada, "a2")])
      #expect(try new.map { try $0.get() } == [key(Self.ada, "a2")])
      #expect(try keys.key(of: Self.ada) == key(Self.ada, "a2"))
      // Neither are they after the server has come back.
      server.kill()
      #expect(try Self.eventually { try keys.key(of: Self.bob) == key(Self.bob, other) })
      #expect(try keys.key(of: Self.ada) == key(Self.ada, "a2"))
      #expect(try !isOnDisk(secret, server))
    }
  }

  private static func eventually(_ condition: () throws -> Bool) throws -> Bool {
    let deadline = monotonicMs() + 20_000
    while monotonicMs() < deadline {
      do {
        if try condition() { return true }
      } catch is PersonKeyError {
        continue
      }
    }
    return false
  }

  @Test(
    "While the server is away nothing is settled; when it is back, erasures may have been missed")
  func away() throws {
    try JetStreamTestServer.run { server in
      let keys = try keys(server)
      let listener = keys.erasures()
      #expect(listener.next(timeoutMs: 5_000) == .uncertain)
      _ = try keys.settle([key(Self.ada, "a1")])
      server.kill()
      #expect(
        try Self.eventually {
          let again = try keys.settle([key(Self.ada, "a2")])
          return try again[0].get() == key(Self.ada, "a1")
        })
      var news: [PersonKeyNews] = []
      #expect(
        try Self.eventually {
          news.append(listener.next(timeoutMs: 100))
          return news.contains(.uncertain)
        })
      try server.frozen {
        let start = monotonicMs()
        do throws(PersonKeyError) {
          let results = try keys.settle([key(Self.bob, "b1")])
          guard case .failure(.unavailable)? = results.first else {
            Issue.record("\(results)")
            return
          }
        } catch {
          guard case .unavailable = error else { throw error }
        }
        #expect(monotonicMs() - start < 5_000)
      }
      #expect(
        try Self.eventually {
          try keys.settle([key(Self.bob, "b2")])[0].get().person == Self.bob
        })
    }
  }
}
