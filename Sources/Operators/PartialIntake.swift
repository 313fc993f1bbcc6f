public import Events

/// Takes the partial frames of all sources, each once and in the order of its numbers.
///
/// Frames of a source may come twice (sent again after a lost answer, by a replay, by a second owner)
/// and, after a failure, late. A number that was taken is ignored; one that is ahead waits until those
/// before it have come. A number is a function of the source's log: where it comes again with other bytes,
/// that log went back in time after it was handed on, and what was taken in no longer follows from it. The
/// checksums of the last ``rememberedCount`` numbers of a source tell. The log time of the whole is that
/// of the source that is furthest behind, and stands still until every source of a generation has been
/// heard of.
///
/// Limit: ``earlyCountMax`` frames may wait; what they wait for then does not come any more.
public struct PartialIntake: ~Copyable {
  /// How far a source has been taken in.
  public struct Source: Hashable, Sendable {
    public var generation: UInt32
    public var partition: UInt32
    /// Number of the last frame that was taken.
    public var number: UInt64
    /// The source's last frame whose tick is complete here.
    public var sequence: UInt64
    /// Log time of that tick, microseconds; `.min` before the first.
    public var logTime: Int64
    /// Nothing more comes from it.
    public var isLast: Bool
  }

  /// What is to be done with a frame.
  public enum Admission: Hashable, Sendable {
    case take
    /// It was taken before, or belongs to another pipeline.
    case ignore
    /// One before it is missing.
    case early
    /// It was taken before with other bytes.
    case contradiction
  }

  private struct Early {
    var source: Int
    var number: UInt64
    var checksum: UInt32
    var bytes: [UInt8]
  }

  /// A copy comes at most as late as its owner's last commit: 256 numbers are ten seconds and more.
  static let rememberedCount = 256

  /// More than a source's publisher ever has unanswered.
  public static let earlyCountMax = 4096

  private let pipelineHash: UInt64
  /// In order of generation and partition.
  public private(set) var sources: [Source] = []
  /// Number of partitions by generation.
  private var partitions: [UInt32: UInt32] = [:]
  private var early: [Early] = []
  /// By source: the checksums of its last numbers, that of number n at n modulo ``rememberedCount``;
  /// 0 where it is not known.
  private var checksums: [[UInt32]] = []
  public private(set) var logTime = Int64.min

  public init(pipelineHash: UInt64) { self.pipelineHash = pipelineHash }

  /// Frames that wait for one before them.
  public var earlyCount: Int { early.count }

  public mutating func admit(_ head: PartialFrameHead, checksum: UInt32) -> Admission {
    guard head.pipelineHash == pipelineHash else { return .ignore }
    let index = find(head)
    let number = sources[index].number
    if head.number <= number {
      guard number - head.number < UInt64(Self.rememberedCount) else { return .ignore }
      let taken = checksums[index][Self.place(of: head.number)]
      return taken == 0 || taken == checksum ? .ignore : .contradiction
    }
    if let kept = early.first(where: { $0.source == index && $0.number == head.number }) {
      return kept.checksum == checksum ? .ignore : .contradiction
    }
    return head.number == number + 1 ? .take : .early
  }

  /// Keeps a frame that came before its turn.
  public mutating func keep(
    _ head: PartialFrameHead, checksum: UInt32, _ bytes: UnsafeRawBufferPointer
  ) throws(OperatorError) {
    let source = find(head)
    guard early.count < Self.earlyCountMax else { throw gap() }
    early.append(
      Early(source: source, number: head.number, checksum: checksum, bytes: Array(bytes)))
  }

  /// The frame that most others wait for.
  private func gap() -> OperatorError {
    var counts = Array(repeating: 0, count: sources.count)
    for frame in early { counts[frame.source] += 1 }
    let waiting = counts.max() ?? 0
    let source = sources[counts.firstIndex(of: waiting) ?? 0]
    return .missing(
      generation: source.generation, partition: source.partition, number: source.number + 1,
      waiting: waiting)
  }

  /// Notes that a frame's records have been taken in.
  public mutating func take(_ head: PartialFrameHead, checksum: UInt32) {
    let index = find(head)
    checksums[index][Self.place(of: head.number)] = checksum
    partitions[head.generation] = head.partitionCount
    sources[index].number = head.number
    if head.closesTick {
      sources[index].sequence = head.sourceSequence
      sources[index].logTime = max(sources[index].logTime, head.sourceLogTime)
    }
    if head.isLast { sources[index].isLast = true }
    advance()
  }

  /// A kept frame whose turn has come; nil if there is none.
  public mutating func nextEarly() -> [UInt8]? {
    guard
      let index = early.firstIndex(where: { $0.number <= sources[$0.source].number + 1 })
    else { return nil }
    return early.remove(at: index).bytes
  }

  private static func place(of number: UInt64) -> Int { Int(number % UInt64(rememberedCount)) }

  private mutating func find(_ head: PartialFrameHead) -> Int {
    let place = (head.generation, head.partition)
    let index = sources.firstIndex { ($0.generation, $0.partition) >= place } ?? sources.count
    if index < sources.count, (sources[index].generation, sources[index].partition) == place {
      return index
    }
    sources.insert(
      Source(
        generation: head.generation, partition: head.partition, number: 0, sequence: 0,
        logTime: .min, isLast: false), at: index)
    checksums.insert(Array(repeating: 0, count: Self.rememberedCount), at: index)
    for entry in early.indices where early[entry].source >= index { early[entry].source += 1 }
    return index
  }

  private mutating func advance() {
    var least = Int64.max
    for (generation, count) in partitions {
      var known: UInt32 = 0
      for source in sources where source.generation == generation {
        known += 1
        if !source.isLast { least = min(least, source.logTime) }
      }
      if known < count { return }
    }
    if least < .max { logTime = max(logTime, least) }
  }

  // MARK: Snapshots

  private static let sectionID: UInt16 = 42
  private static let sectionVersion: UInt16 = 2

  public var changeByteCount: Int {
    64 + sources.count * (40 + 4 * Self.rememberedCount)
      + early.reduce(0) { $0 + $1.bytes.count + 20 }
  }

  /// All of it, whatever the scope: there is little.
  public func snapshot(into writer: inout SnapshotWriter) {
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(logTime)
    writer.put(UInt64(partitions.count))
    for (generation, count) in partitions.sorted(by: { $0.key < $1.key }) {
      writer.put(generation)
      writer.put(count)
    }
    writer.put(UInt64(sources.count))
    for (source, checksums) in zip(sources, checksums) {
      writer.put(source.generation)
      writer.put(source.partition)
      writer.put(source.number)
      writer.put(source.sequence)
      writer.put(source.logTime)
      writer.put(UInt8(source.isLast ? 1 : 0))
      for checksum in checksums { writer.put(checksum) }
    }
    writer.put(UInt64(early.count))
    for frame in early.sorted(by: { ($0.source, $0.number) < ($1.source, $1.number) }) {
      writer.put(UInt32(frame.source))
      writer.put(frame.number)
      writer.put(frame.checksum)
      writer.put(UInt32(frame.bytes.count))
      frame.bytes.withUnsafeBytes { writer.put($0) }
    }
    writer.end()
  }

  public mutating func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    logTime = try reader.get(Int64.self)
    partitions = [:]
    for _ in 0..<(try reader.getCount(elementByteCount: 8)) {
      partitions[try reader.get(UInt32.self)] = try reader.get(UInt32.self)
    }
    sources = []
    checksums = []
    for _ in 0..<(try reader.getCount(elementByteCount: 33 + 4 * Self.rememberedCount)) {
      let source = Source(
        generation: try reader.get(UInt32.self), partition: try reader.get(UInt32.self),
        number: try reader.get(UInt64.self), sequence: try reader.get(UInt64.self),
        logTime: try reader.get(Int64.self), isLast: try reader.get(UInt8.self) != 0)
      if let last = sources.last,
        (last.generation, last.partition) >= (source.generation, source.partition)
      {
        throw reader.malformed("sources are not in rising order")
      }
      sources.append(source)
      var own: [UInt32] = []
      for _ in 0..<Self.rememberedCount { own.append(try reader.get(UInt32.self)) }
      checksums.append(own)
    }
    early = []
    for _ in 0..<(try reader.getCount(elementByteCount: 20)) {
      let source = Int(try reader.get(UInt32.self))
      let number = try reader.get(UInt64.self)
      let checksum = try reader.get(UInt32.self)
      let bytes = Array(try reader.get(byteCount: Int(try reader.get(UInt32.self))))
      guard sources.indices.contains(source) else { throw reader.malformed("an unknown source") }
      do {
        _ = try bytes.withUnsafeBytes { try PartialFrameView($0) }
      } catch {
        throw reader.malformed("a kept frame cannot be read: \(error)")
      }
      early.append(Early(source: source, number: number, checksum: checksum, bytes: bytes))
    }
    try reader.close()
  }
}
