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
/// Cost: a request per chunk of 512 KiB and per manifest. Writes go one after the other, and each waits for
/// the disk; of several blobs that are read at once, each has one request on its way.
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

  /// Blobs that are read at once.
  private static let outstandingMax = 32

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

  public func read(_ name: String) throws(SnapshotError) -> [UInt8]? { try read([name])[name] }

  public func read(_ names: [String]) throws(SnapshotError) -> [String: [UInt8]] {
    var whole: [String: [UInt8]] = [:]
    do throws(StreamAdmin.Failure) {
      let reads = try SubjectReads(
        admin, stream: Self.stream, outstandingMax: Self.outstandingMax)
      var blobs = names.map { _ in ReadBlob() }
      var begun = 0
      var outstanding = 0
      while true {
        while begun < names.count, outstanding < Self.outstandingMax {
          try reads.ask(begun, subject: subject(names[begun]), from: 1)
          begun += 1
          outstanding += 1
        }
        if outstanding == 0 { return whole }
        let (index, message) = try reads.next()
        guard blobs.indices.contains(index) else { continue }
        switch message.map({ blobs[index].take($0.bytes) }) ?? .torn {
        case .more:
          try reads.ask(
            index, subject: subject(names[index]), from: (message?.sequence ?? 0) + 1)
          continue
        case .whole: whole[names[index]] = blobs[index].bytes
        case .torn: break
        }
        blobs[index] = ReadBlob()
        outstanding -= 1
      }
    } catch {
      // Without the stream there is none.
      if case .unreachable(.noResponders) = error { return whole }
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

extension JetStreamSnapshotStore {
  /// A blob that is being read, message by message.
  private struct ReadBlob {
    enum Step {
      case more, whole, torn
    }

    private(set) var bytes: [UInt8] = []
    private var number: UInt32 = 0

    mutating func take(_ content: [UInt8]) -> Step {
      guard content.count >= headByteCount, get(content, 4, UInt32.self) == number
      else { return .torn }
      let stated = get(content, 8, UInt32.self)
      switch get(content, 0, UInt32.self) {
      case chunkMagic:
        let part = content.dropFirst(headByteCount)
        guard checksum(part) == stated else { return .torn }
        bytes.append(contentsOf: part)
        number += 1
        return .more
      case manifestMagic:
        guard content.count == headByteCount + 8,
          get(content, headByteCount, UInt64.self) == UInt64(bytes.count),
          checksum(bytes[...]) == stated
        else { return .torn }
        return .whole
      default: return .torn
      }
    }
  }
}
