import JetStreamLog
import JetStreamSnapshots
import NATSClient
import Ports
import Testing

@Suite(.serialized) struct JetStreamSnapshotStoreTests {
  private func store(
    _ server: JetStreamTestServer, stream: String = "events-00"
  ) throws -> JetStreamSnapshotStore {
    let connection = NATSConnection(server.address, name: "snapshots")
    _ = try connection.session(timeoutMs: 5_000)
    return JetStreamSnapshotStore(connection, pipeline: "default_1", stream: stream)
  }

  @Test("A blob of any size is read as it was written, by another connection too")
  func roundTrip() throws {
    try JetStreamTestServer.run { server in
      let store = try store(server)
      #expect(try store.names() == [])
      #expect(try store.read("base-1") == nil)
      let sizes = [0, 1, 512 * 1024 - 12, 512 * 1024 - 11, 3_000_000]
      for size in sizes {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ size) }
        try store.write("blob-\(size)", bytes)
        #expect((try self.store(server).read("blob-\(size)") == bytes) == true, "\(size) bytes")
      }
      #expect(try store.names() == sizes.map { "blob-\($0)" }.sorted())
      try store.write("blob-1", [7, 8])
      #expect(try store.read("blob-1") == [7, 8])
      // Another partition has names of its own.
      let other = try self.store(server, stream: "events-01")
      #expect(try other.names() == [])
      try other.write("blob-1", [9])
      try store.remove("blob-1")
      #expect(try store.read("blob-1") == nil)
      #expect(try other.read("blob-1") == [9])
      try store.remove("blob-1")
      #expect(try store.names().contains("blob-1") == false)
    }
  }

  @Test("Many blobs are read at once as they were written, without those that are missing or torn")
  func many() throws {
    try JetStreamTestServer.run { server in
      let store = try store(server)
      #expect(try store.read(["a", "b"]).isEmpty)
      var written: [String: [UInt8]] = [:]
      // More than are on their way at once, some of several chunks.
      for number in 0..<70 {
        let size = number % 9 == 0 ? 1_100_000 : 1 + number * 13
        written["blob-\(number)"] = (0..<size).map { UInt8(truncatingIfNeeded: $0 ^ number) }
      }
      for (name, bytes) in written { try store.write(name, bytes) }
      try store.write("torn", [1, 2, 3])
      let info = try #require(try server.log.admin.info(JetStreamSnapshotStore.stream))
      _ = try server.log.connection.request(
        "$JS.API.STREAM.MSG.DELETE.\(JetStreamSnapshotStore.stream)",
        Array("{\"seq\":\(info.lastSequence)}".utf8), timeoutMs: 5_000)
      let read = try store.read(["torn", "missing"] + written.keys)
      #expect((read == written) == true)
    }
  }

  @Test("What a crash left of a blob, or a server that lost a chunk, is no blob")
  func torn() throws {
    try JetStreamTestServer.run { server in
      let store = try store(server)
      let bytes = (0..<1_300_000).map { UInt8(truncatingIfNeeded: $0) }
      let name = JetStreamSnapshotStore.stream
      for lost in 0..<4 {
        try store.write("blob", bytes)
        let info = try #require(try server.log.admin.info(name))
        // Three chunks and the manifest.
        let sequence = info.lastSequence - 3 + UInt64(lost)
        _ = try server.log.connection.request(
          "$JS.API.STREAM.MSG.DELETE.\(name)", Array("{\"seq\":\(sequence)}".utf8),
          timeoutMs: 5_000)
        #expect(try store.read("blob") == nil, "message \(lost)")
      }
      try store.write("blob", bytes)
      #expect((try store.read("blob") == bytes) == true)
    }
  }

  @Test("A server that does not answer is an error, not a missing blob")
  func away() throws {
    try JetStreamTestServer.run { server in
      let store = try store(server)
      try store.write("blob", [1])
      try server.frozen {
        #expect(throws: SnapshotError.self) { _ = try store.read("blob") }
        #expect(throws: SnapshotError.self) { _ = try store.names() }
        #expect(throws: SnapshotError.self) { try store.write("blob", [2]) }
      }
    }
  }
}
