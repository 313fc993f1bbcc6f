import JetStreamLog
import NATSClient
import Ports
import Testing

@Suite("JetStream administration", .serialized)
struct JetStreamAdminTests {
  @Test("a stream is created, described, changed, purged and deleted")
  func life() throws {
    try JetStreamTestServer.run { server in
      let admin = server.log.admin
      #expect(try admin.names().isEmpty)
      #expect(try admin.info("events-00") == nil)
      #expect(try admin.delete("events-00") == false)

      let config = JetStreamTestServer.config("events-00")
      let made = try admin.create("events-00", config: config)
      #expect(made.name == "events-00")
      #expect(made.lastSequence == 0)
      #expect(try admin.create("events-00", config: config).config == made.config)
      #expect(try admin.names() == ["events-00"])

      try server.publish(0..<10, to: "events-00")
      let full = try #require(try admin.info("events-00"))
      #expect(full.messages == 10)
      #expect(full.firstSequence == 1)
      #expect(full.lastSequence == 10)
      #expect(full.bytes > 100)

      let changed = try admin.update(
        "events-00", config: JetStreamTestServer.config("events-00", maxBytes: 50 << 20))
      #expect(changed.config.contains("\"max_bytes\":52428800"))

      #expect(try admin.purge("events-00", keepFrom: 5) == 4)
      let purged = try #require(try admin.info("events-00"))
      #expect(purged.firstSequence == 5)
      #expect(try admin.message("events-00", sequence: 4) == nil)
      let message = try #require(try admin.message("events-00", sequence: 5))
      #expect(number(message) == 4)
      #expect(message.subject == "events-00")

      let account = try admin.account()
      #expect(account.streams == 1)
      #expect(account.storage > 0)
      #expect(account.maxStorage == -1 || account.maxStorage > 0)

      #expect(try admin.delete("events-00"))
      #expect(try admin.names().isEmpty)
    }
  }

  @Test("fields of a configuration that the client does not know pass through both ways")
  func unknownFields() throws {
    try JetStreamTestServer.run { server in
      let config =
        #"{"name":"archive","subjects":["archive.>"],"storage":"file","compression":"s2","#
        + #""metadata":{"owner":"a \"quoted\" team"},"first_seq":41}"#
      let made = try server.log.admin.create("archive", config: config)
      #expect(made.config.contains(#""compression":"s2""#))
      #expect(made.config.contains(#""owner":"a \"quoted\" team""#))
      #expect(try server.log.admin.info("archive")?.config == made.config)
      #expect(made.firstSequence == 41)
    }
  }

  @Test("what the server refuses carries its reason and number")
  func refusal() throws {
    try JetStreamTestServer.run { server in
      do {
        _ = try server.log.admin.create("other", config: JetStreamTestServer.config("events-00"))
        Issue.record("no error")
      } catch StreamAdmin.Failure.refused(let operation, let error) {
        #expect(operation == "create stream other")
        #expect(error.number == 10_004 || error.code == 400, "\(error)")
      }
      _ = try server.log.admin.create("a", config: JetStreamTestServer.config("a"))
      #expect(throws: StreamAdmin.Failure.self) {
        try server.log.admin.update(
          "a", config: #"{"name":"a","subjects":["a"],"storage":"memory"}"#)
      }
    }
  }

  @Test("more streams than one answer holds are all listed")
  func paging() throws {
    try JetStreamTestServer.run { server in
      let names = (0..<20).map { "s-\($0)" }.sorted()
      for name in names { try server.makeStream(name, maxBytes: 1 << 20) }
      #expect(try server.log.admin.names() == names)
    }
  }
}
