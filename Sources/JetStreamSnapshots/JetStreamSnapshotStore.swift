import Events
import JetStreamLog
public import NATSClient
public import Ports

/// Snapshots in one JetStream stream, so that another machine can start from them.
///
/// A blob has a subject of its own, `snapshots.<pipeline>.<stream>.<name>`: its chunks in order, then
/// a manifest. Without its manifest it is not there: whatever a crash or a full stream left of it is
/// no blob. Removing it purges the subject. The stream discards its oldest messages when it is full:
/// it is a cache, and the oldest are those that will be missed least.
///
///     chunk:    "SCC1" | number from 0 (4) | CRC-32C of the bytes (4) | bytes
///     manifest: "SCM1" | chunks (4) | CRC-32C of all bytes (4) | length of all bytes (8)
///
/// Cost: a request per chunk of 512 KiB, one after the other, each of which waits for the disk.
public final class JetStreamSnapshotStore: SnapshotStore {
  /// The stream of all snapshots.
  public static let stream = "snapshots"
  /// Room for all pipelines and partitions, 1 GiB.
  public static let byteCountMax = 1 << 30

  private static let chunkMagic: UInt32 = 0x3143_4353
  private static let manifestMagic: UInt32 = 0x314d_4353
  private static let headByteCount = 12
  /// With its head half of the server's default largest message.
  private static let chunkByteCount = 512 * 1024 - headByteCount

  private let admin: StreamAdmin
  private let prefix: String

  /// - Parameters:
  ///   - pipeline: its name and version, such as `default_1`; part of subjects.
  ///   - stream: whose state the snapshots are.
  public init(_ connection: NATSConnection, pipeline: String, stream: String) {
    admin = StreamAdmin(connection)
    prefix = "snapshots.\(pipeline).\(stream)"
  }

  public func names() throws(SnapshotError) -> [String] {
    do throws(StreamAdmin.Failure) {
      let subjects = try admin.subjects(Self.stream, filter: "\(prefix).*") ?? [:]
      return subjects.keys.map { String($0.dropFirst(prefix.utf8.count + 1)) }.sorted()
    } catch {
      throw .io("\(error)")
    }
  }

  public func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError) {
    do throws(StreamAdmin.Failure) {
      try makeStream()
      let subject = subject(name)
      try admin.purge(Self.stream, subject: subject)
      var number: UInt32 = 0
      var rest = bytes[...]
      while !rest.isEmpty {
        let part = rest.prefix(Self.chunkByteCount)
        rest = rest.dropFirst(part.count)
        var chunk = Self.head(Self.chunkMagic, number, Self.checksum(part))
        chunk.append(contentsOf: part)
        try admin.store(subject, chunk)
        number += 1
      }
      var manifest = Self.head(Self.manifestMagic, number, Self.checksum(bytes[...]))
      Self.put(UInt64(bytes.count), &manifest)
      try admin.store(subject, manifest)
    } catch {
      throw .io("\(error)")
    }
  }

  public func read(_ name: String) throws(SnapshotError) -> [UInt8]? {
    do throws(StreamAdmin.Failure) {
      var bytes: [UInt8] = []
      var number: UInt32 = 0
      var sequence: UInt64 = 1
      while let message = try admin.next(Self.stream, subject: subject(name), from: sequence) {
        sequence = message.sequence + 1
        let content = message.bytes
        guard content.count >= Self.headByteCount, Self.get(content, 4, UInt32.self) == number
        else { return nil }
        let checksum = Self.get(content, 8, UInt32.self)
        switch Self.get(content, 0, UInt32.self) {
        case Self.chunkMagic:
          let part = content.dropFirst(Self.headByteCount)
          guard Self.checksum(part) == checksum else { return nil }
          bytes.append(contentsOf: part)
          number += 1
        case Self.manifestMagic:
          guard content.count == Self.headByteCount + 8,
            Self.get(content, Self.headByteCount, UInt64.self) == UInt64(bytes.count),
            Self.checksum(bytes[...]) == checksum
          else { return nil }
          return bytes
        default: return nil
        }
      }
      return nil
    } catch {
      if case .unreachable(.noResponders) = error { return nil }
      throw .io("\(error)")
    }
  }

  public func remove(_ name: String) throws(SnapshotError) {
    do throws(StreamAdmin.Failure) {
      try admin.purge(Self.stream, subject: subject(name))
    } catch {
      throw .io("\(error)")
    }
  }

  // MARK: Stream and bytes

  private func subject(_ name: String) -> String { "\(prefix).\(name)" }

  private func makeStream() throws(StreamAdmin.Failure) {
    if try admin.info(Self.stream) != nil { return }
    _ = try admin.create(
      Self.stream,
      config: """
        {"name":"\(Self.stream)","subjects":["snapshots.>"],"storage":"file","retention":"limits",\
        "discard":"old","max_bytes":\(Self.byteCountMax),"max_msgs":-1,"max_age":0,\
        "max_msg_size":1048576,"num_replicas":1,"allow_direct":true}
        """)
  }

  private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    bytes.withUnsafeBytes { CRC32C.checksum($0) }
  }

  private static func head(_ magic: UInt32, _ number: UInt32, _ checksum: UInt32) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(chunkByteCount + headByteCount)
    for value in [magic, number, checksum] { put(value, &bytes) }
    return bytes
  }

  private static func put<T: FixedWidthInteger>(_ value: T, _ bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  private static func get<T: FixedWidthInteger>(
    _ bytes: [UInt8], _ offset: Int, _ type: T.Type
  ) -> T {
    (0..<MemoryLayout<T>.size).reversed().reduce(0) { $0 << 8 | T(bytes[offset + $1]) }
  }
}
