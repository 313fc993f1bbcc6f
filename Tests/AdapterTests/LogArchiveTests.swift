import Glibc
import JetStreamLog
import LocalServers
import LogArchive
import NATSClient
import Ports
import Testing

@Suite("The archive and the stream are one log")
struct LogArchiveTests {
  @Test("Frames that were trimmed are read from the archive, then the stream goes on")
  func oneLog() throws {
    try withArchive { server, archive in
      let report = try trim(server, archive, notAfter: 60, fileBytesMax: 500)
      #expect(report.frameCount == 60 && report.first == 61 && report.last == 100)
      let bounds = try server.log.bounds(stream: "events-00")
      #expect(bounds.first == 61 && bounds.last == 100)
      #expect(try archive.files(of: "events-00").count > 1)
      let log = ArchivedLog(server.log, archive: archive)
      #expect(try log.bounds(stream: "events-00") == (1, 100))
      for after in [0, 1, 40, 59, 60, 61, 99] {
        let reader = try log.reader(stream: "events-00", after: UInt64(after))
        #expect(try reader.numbers(count: 100 - after) == Array(after..<100))
      }
      for sequence in [1, 33, 60, 61, 100] {
        let frame = try log.frame(stream: "events-00", sequence: UInt64(sequence))
        #expect(number(frame) == sequence - 1)
        #expect(frame.sequence == UInt64(sequence))
      }
      // What is published later comes too.
      let reader = try log.reader(stream: "events-00", after: 0)
      try server.publish(100..<110, to: "events-00")
      #expect(try reader.numbers(count: 110) == Array(0..<110))
    }
  }

  @Test("Stored times come back as they were")
  func storedTimes() throws {
    try withArchive { server, archive in
      let before = try (1...100).map {
        try server.log.frame(stream: "events-00", sequence: $0).storedAt
      }
      _ = try trim(server, archive, notAfter: 50)
      let log = ArchivedLog(server.log, archive: archive)
      let after = try (1...100).map {
        try log.frame(stream: "events-00", sequence: $0).storedAt
      }
      #expect(before == after)
      // Of frames stored at or after the given time none is touched.
      let limit = after[79]
      let report = try trim(server, archive, before: limit)
      let kept = after.firstIndex { $0 >= limit } ?? 0
      #expect(report.first == UInt64(kept + 1) && report.frameCount == UInt64(kept - 50))
    }
  }

  @Test("The last frame stays in the stream, and a trimmed stream is trimmed again further on")
  func lastStays() throws {
    try withArchive { server, archive in
      let report = try trim(server, archive)
      #expect(report.frameCount == 99 && report.first == 100)
      #expect(try trim(server, archive).frameCount == 0)
      try server.publish(100..<120, to: "events-00")
      #expect(try trim(server, archive).frameCount == 20)
      let log = ArchivedLog(server.log, archive: archive)
      #expect(
        try log.reader(stream: "events-00", after: 0).numbers(count: 120) == Array(0..<120))
    }
  }

  @Test("A trim that ends at any point is carried on by the next one", arguments: [false, true])
  func crashes(afterPurge: Bool) throws {
    try withArchive { server, archive in
      var purges = 0
      var crashes = 0
      while crashes < 60 {
        let crashAt = purges + 1 + crashes % 2
        do {
          let purge: (String, UInt64) throws(LogError) -> Void = {
            stream, keepFrom throws(LogError) in
            purges += 1
            if purges == crashAt, !afterPurge { throw LogError.unavailable("crash") }
            try purgeStream(server, stream, keepFrom)
            if purges == crashAt { throw LogError.unavailable("crash") }
          }
          let trim = try LogTrim(
            archive: archive, log: server.log, fileBytesMax: 300, purge: purge)
          _ = try trim.run(stream: "events-00", before: .max, notAfter: 90)
          break
        } catch LogError.unavailable {
          crashes += 1
        }
        // What a killed writer leaves is no file.
        let left = archive.folder + "/.unfinished-events-00"
        try write([1, 2, 3], to: left)
        let log = ArchivedLog(server.log, archive: archive)
        #expect(
          try log.reader(stream: "events-00", after: 0).numbers(count: 100) == Array(0..<100))
      }
      #expect(crashes > 3)
      #expect(try server.log.bounds(stream: "events-00").first == 91)
      let log = ArchivedLog(server.log, archive: archive)
      #expect(
        try log.reader(stream: "events-00", after: 0).numbers(count: 100) == Array(0..<100))
    }
  }

  @Test("Every changed byte of an archive file is found, and no number is wrong because of it")
  func damage() throws {
    try withArchive { server, archive in
      _ = try trim(server, archive, notAfter: 3)
      let file = try #require(try archive.files(of: "events-00").first)
      let path = archive.folder + "/" + file.name
      let bytes = try read(path)
      let log = ArchivedLog(server.log, archive: archive)
      for index in bytes.indices {
        var changed = bytes
        changed[index] ^= 0x41
        try write(changed, to: path)
        let error = try log.reader(stream: "events-00", after: 0).firstFailure()
        guard case .refused(let text) = error else {
          Issue.record("byte \(index): \(error)")
          continue
        }
        #expect(text.contains(file.name))
      }
      for length in bytes.indices {
        try write(Array(bytes[..<length]), to: path)
        let error = try log.reader(stream: "events-00", after: 0).firstFailure()
        guard case .refused = error else {
          Issue.record("cut to \(length): \(error)")
          continue
        }
      }
      try write(bytes, to: path)
      #expect(
        try log.reader(stream: "events-00", after: 0).numbers(count: 100) == Array(0..<100))
    }
  }

  @Test("A damaged file that was not purged yet stops the trim before the purge")
  func damageBeforePurge() throws {
    try withArchive { server, archive in
      let trim = try LogTrim(archive: archive, log: server.log) { _, _ throws(LogError) in
        throw .unavailable("crash")
      }
      #expect(throws: LogError.unavailable("crash")) {
        try trim.run(stream: "events-00", before: .max, notAfter: 50)
      }
      let file = try #require(try archive.files(of: "events-00").first)
      let path = archive.folder + "/" + file.name
      var bytes = try read(path)
      bytes[bytes.count / 2] ^= 1
      try write(bytes, to: path)
      #expect(throws: LogError.self) {
        try LogArchiveTests.run(server, archive, trim)
      }
      #expect(try server.log.bounds(stream: "events-00").first == 1)
    }
  }

  @Test("A gap between archive and stream is an error that names it")
  func gap() throws {
    try withArchive { server, archive in
      _ = try trim(server, archive, notAfter: 20)
      _ = try server.log.admin.purge("events-00", keepFrom: 31)
      let log = ArchivedLog(server.log, archive: archive)
      let reader = try log.reader(stream: "events-00", after: 10)
      #expect(try reader.numbers(count: 10) == Array(10..<20))
      #expect(throws: LogError.missing(stream: "events-00", from: 21, to: 30)) {
        try reader.next(timeoutMs: 100)
      }
      #expect(throws: LogError.missing(stream: "events-00", from: 21, to: 30)) {
        try trim(server, archive)
      }
      // And one inside of the archive.
      let other = Archive(folder: archive.folder + "/inner")
      try server.makeStream("events-01")
      try server.publish(0..<20, to: "events-01")
      let inner = try LogTrim(archive: other, log: server.log, fileBytesMax: 1) {
        stream, keepFrom throws(LogError) in
        try purgeStream(server, stream, keepFrom)
      }
      _ = try inner.run(stream: "events-01", before: .max, notAfter: 10)
      let file = try #require(try other.files(of: "events-01").dropFirst(4).first)
      #expect(file.first == 5 && file.last == 5)
      unlink(other.folder + "/" + file.name)
      #expect(throws: LogError.missing(stream: "events-01", from: 5, to: 5)) {
        try ArchivedLog(server.log, archive: other).reader(stream: "events-01", after: 0)
          .next(timeoutMs: 100)
      }
    }
  }

  @Test("An archive of another log is refused, also once the new log has grown past it")
  func otherLog() throws {
    try withArchive { server, archive in
      _ = try trim(server, archive, notAfter: 50)
      _ = try server.log.admin.delete("events-00")
      try server.makeStream("events-00")
      try server.publish(1_000..<1_020, to: "events-00")
      let log = ArchivedLog(server.log, archive: archive)
      #expect(throws: LogError.wentBack(stream: "events-00", wanted: 50, last: 20)) {
        try log.bounds(stream: "events-00")
      }
      try server.publish(1_020..<1_100, to: "events-00")
      #expect(throws: LogError.self) { try log.bounds(stream: "events-00") }
      #expect(throws: LogError.self) { try trim(server, archive) }
      #expect(try server.log.bounds(stream: "events-00").first == 1)
    }
  }

  @Test("A reader that a trim overtakes goes on in the archive")
  func overtaken() throws {
    try withArchive { server, archive in
      let log = ArchivedLog(server.log, archive: archive)
      let readers = try [0, 30].map { try log.reader(stream: "events-00", after: UInt64($0)) }
      _ = try trim(server, archive, notAfter: 70, fileBytesMax: 200)
      for (reader, after) in zip(readers, [0, 30]) {
        #expect(try reader.numbers(count: 100 - after) == Array(after..<100))
      }
    }
  }

  @Test("Two trims of one archive do not run at once")
  func busy() throws {
    try withArchive { server, archive in
      let first = try LogTrim(archive: archive, log: server.log) { _, _ in }
      #expect(throws: ArchiveError.busy(folder: archive.folder)) {
        try LogTrim(archive: archive, log: server.log) { _, _ in }
      }
      withExtendedLifetime(first) {}
    }
  }

  // MARK: Helpers

  /// A stream of 100 frames, and an archive folder that does not exist yet.
  private func withArchive(_ body: (JetStreamTestServer, Archive) throws -> Void) throws {
    try JetStreamTestServer.run { server in
      try server.makeStream("events-00")
      try server.publish(0..<100, to: "events-00")
      try body(server, Archive(folder: server.servers.home + "/some/archive"))
    }
  }

  @discardableResult
  private func trim(
    _ server: JetStreamTestServer, _ archive: Archive, before: Int64 = .max,
    notAfter: UInt64 = .max, fileBytesMax: Int = 64 << 20
  ) throws -> LogTrim.Report {
    let trim = try LogTrim(archive: archive, log: server.log, fileBytesMax: fileBytesMax) {
      stream, keepFrom throws(LogError) in
      try purgeStream(server, stream, keepFrom)
    }
    return try trim.run(stream: "events-00", before: before, notAfter: notAfter)
  }

  private static func run(
    _ server: JetStreamTestServer, _ archive: Archive, _ trim: LogTrim
  ) throws {
    _ = try trim.run(stream: "events-00", before: .max, notAfter: 50)
  }

  private func read(_ path: String) throws -> [UInt8] {
    let file = open(path, O_RDONLY)
    try #require(file >= 0)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = Glibc.read(file, &bytes, bytes.count)
    return Array(bytes[..<count])
  }

  private func write(_ bytes: [UInt8], to path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(file >= 0)
    defer { close(file) }
    #expect(Glibc.write(file, bytes, bytes.count) == bytes.count)
  }
}

private func purgeStream(
  _ server: JetStreamTestServer, _ stream: String, _ keepFrom: UInt64
) throws(LogError) {
  do throws(StreamAdmin.Failure) {
    _ = try server.log.admin.purge(stream, keepFrom: keepFrom)
  } catch {
    throw .unavailable("\(error)")
  }
}

extension FrameReader {
  /// Reads until there is an error.
  fileprivate func firstFailure() throws -> LogError {
    var count = 0
    do {
      while count < 200 { count += try next(timeoutMs: 10).count }
    } catch {
      return error
    }
    throw UnexpectedFrame(sequence: UInt64(count))
  }
}
