/// The fixed first 80 bytes of a frame. All numbers are little-endian.
///
///     offset size
///          0    4  magic "SCF1"
///          4    4  CRC-32C of every byte from offset 8 to the end
///          8    2  format version, 1
///         10    1  kind: 1 events, 2 heartbeat, 3 dead letters
///         11    1  flags, 0
///         12    2  schema version of the events, 1
///         14    2  number of columns
///         16    4  generation of the streams
///         20    4  partition
///         24   16  producer: a random number chosen at its start
///         40    4  epoch of the producer
///         44    4  number of events
///         48    8  sequence of the producer in this partition
///         56    8  received base: microseconds since the epoch; events carry the difference
///         64    8  original log time of a copied frame in microseconds, else 0
///         72    4  length of the frame in bytes
///         76    4  reserved, 0
///         80   12 per column: id (2), encoding (2), offset (4), length (4)
///
/// Columns follow, each at a multiple of eight bytes. A reader passes over columns that it does
/// not know, and a column that is absent has its default, so old and new frames stay readable.
public struct FrameHeader: Hashable, Sendable {
  public enum Kind: UInt8, Sendable {
    case events = 1
    case heartbeat = 2
    case deadLetters = 3
  }

  public static let magic: UInt32 = 0x3146_4353
  public static let version: UInt16 = 1
  public static let schema: UInt16 = 1
  public static let byteCount = 80
  public static let directoryEntryByteCount = 12

  public var kind: Kind
  public var generation: UInt32
  public var partition: UInt32
  public var producer: Key128
  public var epoch: UInt32
  public var count: Int
  public var producerSequence: UInt64
  public var receivedBase: Int64
  public var originalLogTime: Int64

  public init(
    kind: Kind, generation: UInt32, partition: UInt32, producer: Key128, epoch: UInt32,
    producerSequence: UInt64, count: Int = 0, receivedBase: Int64 = 0, originalLogTime: Int64 = 0
  ) {
    self.kind = kind
    self.generation = generation
    self.partition = partition
    self.producer = producer
    self.epoch = epoch
    self.count = count
    self.producerSequence = producerSequence
    self.receivedBase = receivedBase
    self.originalLogTime = originalLogTime
  }

  /// The `Nats-Msg-Id` of the frame: the same for every copy that is sent again.
  public var messageID: String { "\(producer)-\(epoch)-\(partition)-\(producerSequence)" }
}

/// The columns of a frame of events. The raw value is the id in the directory.
public enum FrameColumn: UInt16, CaseIterable, Sendable {
  /// `UInt8` per event: ``EventKind``.
  case kind = 1
  /// `UInt32` per event: index into ``tuples``.
  case tuple = 2
  /// `Int64` per event: the client's time, microseconds since the epoch.
  case eventTime = 3
  /// 16 bytes per event: the deduplication key, low half first.
  case key = 4
  /// 16 bytes per event: the person, low half first.
  case person = 5
  /// `Int64` per event: millionths of the currency. Absent where all are 0.
  case revenue = 6
  /// `UInt32` per event: microseconds after the header's received base.
  case received = 7
  /// `Int64` per event: the client's time of sending; 0 unknown. Absent where all are 0.
  case sent = 8
  /// Texts: the distinct encoded ``DimensionTuple``s.
  case tuples = 9
  /// Texts: one per event, its id.
  case ids = 10
  /// `UInt32` per event: index into ``labels``, the event's name.
  case name = 11
  /// `UInt32` per event: index into ``labels``, the event's source.
  case source = 12
  /// Texts: distinct names and sources.
  case labels = 13
  /// Texts: one per event, its JSON.
  case payloads = 14
}

/// Why bytes are not a frame. The frame is poison: it goes to the dead letters as it is.
public enum FrameError: Error, Hashable, Sendable {
  case tooShort(byteCount: Int)
  case wrongMagic(UInt32)
  case wrongLength(stated: Int, actual: Int)
  case wrongChecksum(stated: UInt32, actual: UInt32)
  case unknownVersion(UInt16)
  case unknownKind(UInt8)
  case missingColumn(FrameColumn)
  case malformedColumn(UInt16)
  case indexOutOfRange(FrameColumn, event: Int)
}

extension FrameError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .tooShort(let byteCount): "a frame has at least 80 bytes, this one \(byteCount)"
    case .wrongMagic(let magic):
      "a frame starts with SCF1, this one with \(String(magic, radix: 16))"
    case .wrongLength(let stated, let actual):
      "the header states \(stated) bytes, there are \(actual)"
    case .wrongChecksum(let stated, let actual):
      "the checksum is \(String(actual, radix: 16)), the header states \(String(stated, radix: 16))"
    case .unknownVersion(let version):
      "format version \(version) is not known here (1 is); upgrade this program"
    case .unknownKind(let kind): "frame kind \(kind) is not known here (1, 2 and 3 are)"
    case .missingColumn(let column): "column \(column) is missing"
    case .malformedColumn(let id): "column \(id) is not of its form"
    case .indexOutOfRange(let column, let event):
      "column \(column) of event \(event) points outside its dictionary"
    }
  }
}
