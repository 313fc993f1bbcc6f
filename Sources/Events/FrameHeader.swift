/// The fixed first 80 bytes of a frame. All numbers are little-endian.
///
///     offset size
///          0    4  magic "SCF1"
///          4    4  CRC-32C of every byte from offset 8 to the end
///          8    2  format version, 1
///         10    1  kind: 1 events, 2 heartbeat, 3 dead letters, 4 partials (``PartialFrameHead``)
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
    /// What a pipeline's first stage hands to its second.
    case partials = 4
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

/// The columns of frames; of partials from 20 on. The raw value is the id in the directory.
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
  /// 16 bytes per event: the person key of its user id, low half first; 0 where it has none. Absent
  /// where all are 0.
  case user = 15
  /// `UInt32` per event: 1 + the index into ``labels`` of the label of its ``Agent``; 0 where it has none.
  /// Absent where all are 0.
  case agent = 16
  /// `UInt32` per event: its ``BotVerdict``, encoded. Absent where all are 0.
  case bot = 17
  /// `UInt32` per event: the fingerprint of what its sender sent. Absent where all are 0.
  case fingerprint = 18

  // Partials. Columns of a part without records are absent.

  /// 40 bytes: sequence (8) and log time (8) of the source, flags (4: bit 0 closes its tick, bit 1 is the
  /// source's last), the numbers of contributions, touches, unions and panes (4 each), the
  /// number of sources, which is that of the source's generation's partitions (4).
  case partialHead = 20
  /// Texts: the distinct encoded ``DimensionTuple``s, in rising order of their bytes.
  case partialTuples = 21
  /// `UInt32` per contribution: index into ``partialTuples``.
  case contributionTuple = 22
  /// `Int64` per contribution: the window's start, microseconds since the epoch.
  case contributionStart = 23
  /// Six `Int64` per contribution, in the order of the places of a window row.
  case contributionSums = 24
  /// 16 bytes per touch: the person key of the user, low half first.
  case touchUser = 25
  /// `Int64` per touch: microseconds since the epoch.
  case touchTime = 26
  /// 16 bytes per touch: the event's deduplication key, low half first.
  case touchKey = 27
  /// `UInt8` per touch: ``EventKind``.
  case touchKind = 28
  /// `UInt32` per touch: index into ``partialTuples``.
  case touchTuple = 29
  /// `Int64` per touch: millionths of the currency. Absent where all are 0.
  case touchRevenue = 30
  /// 32 bytes per union: two person keys that are one person.
  case unions = 31
  /// `UInt32` per pane: index into ``partialTuples``.
  case paneTuple = 32
  /// `Int64` per pane: its start, microseconds since the epoch.
  case paneStart = 33
  /// Six `Int64` per pane, in the order of the places of a window row.
  case paneSums = 34
  /// 16 bytes per feedback: the id of the incident (8), index into ``partialTuples`` (4), the verdict (4).
  case feedbacks = 35
  /// `UInt8` per contribution: what its sums are of, 1 for outcomes. Absent where all are outcomes.
  case contributionMeasure = 36
  /// 40 bytes per anchor: the person key of the user, low half first, the campaign (8), the time (8), the
  /// time from which on it counts (8). The column's length tells how many there are.
  case anchors = 37
}

/// Why bytes are not a frame. The frame is poison: it goes to the dead letters as it is.
public enum FrameError: Error, Hashable, Sendable {
  case tooShort(byteCount: Int)
  case wrongMagic(UInt32)
  case wrongLength(stated: Int, actual: Int)
  case wrongChecksum(stated: UInt32, actual: UInt32)
  case unknownVersion(UInt16)
  case unknownKind(UInt8)
  /// A kind that the stream does not hold.
  case otherKind(UInt8)
  case missingColumn(FrameColumn)
  case malformedColumn(UInt16)
  case indexOutOfRange(FrameColumn, event: Int)
  case invalidValue(FrameColumn, record: Int)
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
    case .unknownKind(let kind):
      "frame kind \(kind) is not known here (1 to 4 are); upgrade this program"
    case .otherKind(let kind): "a frame of kind \(kind) does not belong into this stream"
    case .missingColumn(let column): "column \(column) is missing"
    case .malformedColumn(let id): "column \(id) is not of its form"
    case .indexOutOfRange(let column, let event):
      "column \(column) of event \(event) points outside its dictionary"
    case .invalidValue(let column, let record):
      "column \(column) has a value for record \(record) that it cannot have"
    }
  }
}
