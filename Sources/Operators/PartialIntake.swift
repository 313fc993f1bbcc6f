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
/// A number that never comes, because the frame is lost or cannot be read, holds its source up, and
/// with it the time of the whole: ``missing`` names it. It follows from the events, so it can be made
/// and sent again.
///
/// Limit: ``earlyCountMax`` frames and ``earlyByteCountMax`` may wait.
public struct PartialIntake: ~Copyable {
  public static var name: String { "intake" }

  /// Frames of a source that have not come, though later ones have.
  public struct Missing: Hashable, Sendable {
    public var generation: UInt32
    public var partition: UInt32
    /// From the first one that is missing to before the first that is there.
    public var numbers: Range<UInt64>
    /// The source's last frame whose partials are all in.
    public var sequence: UInt64
    /// Frames of the source that wait.
    public var waitingCount: Int
  }

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

  /// A number of a source.
  private struct Place: Hashable, Comparable {
    var generation: UInt32
    var partition: UInt32
    var number: UInt64

    static func < (a: Place, b: Place) -> Bool {
      (a.generation, a.partition, a.number) < (b.generation, b.partition, b.number)
    }
  }

  /// A frame that came before its turn.
  private struct Early {
    var checksum: UInt32
    var bytes: [UInt8]
  }

  /// A copy comes at most as late as its owner's last commit: 256 numbers are ten seconds and more.
  static let rememberedCount = 256

  /// An hour of one source's ticks; a publisher has far fewer unanswered.
  public static let earlyCountMax = 1 << 16
  public static let earlyByteCountMax = 256 << 20

  private let pipelineHash: UInt64
  /// In order of generation and partition.
  public private(set) var sources: [Source] = []
  /// Number of partitions by generation.
  private var partitions: [UInt32: UInt32] = [:]
  private var early: [Place: Early] = [:]
  private var earlyByteCount = 0
  /// Kept since the last snapshot; some may have been taken since.
  private var kept: [Place] = []
  /// By source: the checksums of its last numbers, that of number n at n modulo ``rememberedCount``;
  /// 0 where it is not known.
  private var checksums: [[UInt32]] = []
  public private(set) var logTime = Int64.min

  public init(pipelineHash: UInt64) { self.pipelineHash = pipelineHash }

  /// Frames that wait for one before them.
  public var earlyCount: Int { early.count }

  /// What is waited for, of the source of which most waits; nil where nothing does, as mostly.
  public var missing: Missing? {
    if early.isEmpty { return nil }
    var waiting = sources.map { (source: $0, count: 0, first: UInt64.max) }
    for place in early.keys {
      guard let index = sources.firstIndex(where: { Self.isOf(place, $0) }) else { continue }
      waiting[index].count += 1
      waiting[index].first = min(waiting[index].first, place.number)
    }
    return waiting.max { $0.count < $1.count }.map { source, count, first in
      Missing(
        generation: source.generation, partition: source.partition,
        numbers: source.number + 1..<max(source.number + 1, first), sequence: source.sequence,
        waitingCount: count)
    }
  }

  private static func isOf(_ place: Place, _ source: Source) -> Bool {
    place.generation == source.generation && place.partition == source.partition
  }

  public var stateSize: StateSize {
    StateSize(
      keyCount: early.count, keyCountMax: Self.earlyCountMax,
      byteCount: sources.count * (MemoryLayout<Source>.stride + 4 * Self.rememberedCount)
        + earlyByteCount + early.count * 96)
  }

  public mutating func admit(_ head: PartialFrameHead, checksum: UInt32) -> Admission {
    guard head.pipelineHash == pipelineHash else { return .ignore }
    let index = find(head)
    let number = sources[index].number
    if head.number <= number {
      guard number - head.number < UInt64(Self.rememberedCount) else { return .ignore }
      let taken = checksums[index][Self.place(of: head.number)]
      return taken == 0 || taken == checksum ? .ignore : .contradiction
    }
    let place = Place(
      generation: head.generation, partition: head.partition, number: head.number)
    if let kept = early[place] {
      return kept.checksum == checksum ? .ignore : .contradiction
    }
    return head.number == number + 1 ? .take : .early
  }

  /// Keeps a frame that came before its turn.
  public mutating func keep(
    _ head: PartialFrameHead, checksum: UInt32, _ bytes: UnsafeRawBufferPointer
  ) throws(OperatorError) {
    let place = Place(
      generation: head.generation, partition: head.partition, number: head.number)
    guard early.count < Self.earlyCountMax, earlyByteCount < Self.earlyByteCountMax else {
      guard let missing else { preconditionFailure("what waits, waits for something") }
      throw .missing(
        generation: missing.generation, partition: missing.partition,
        number: missing.numbers.lowerBound, waiting: missing.waitingCount)
    }
    add(Early(checksum: checksum, bytes: Array(bytes)), at: place)
    // Where nobody takes snapshots what has been taken since is not remembered without end.
    if kept.count > Self.earlyCountMax { kept.removeAll { early[$0] == nil } }
    kept.append(place)
  }

  private mutating func add(_ frame: Early, at place: Place) {
    earlyByteCount += frame.bytes.count - (early[place]?.bytes.count ?? 0)
    early[place] = frame
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

  /// The latest log time of all generations before one; `.min` where there is none.
  public func logTime(before generation: UInt32) -> Int64 {
    sources.lazy.filter { $0.generation < generation }.map(\.logTime).max() ?? .min
  }

  /// A kept frame whose turn has come; nil if there is none.
  public mutating func nextEarly() -> [UInt8]? {
    if early.isEmpty { return nil }
    for source in sources {
      let next = Place(
        generation: source.generation, partition: source.partition, number: source.number + 1)
      if let frame = early.removeValue(forKey: next) {
        earlyByteCount -= frame.bytes.count
        return frame.bytes
      }
    }
    return nil
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
      + kept.reduce(0) { $0 + (early[$1]?.bytes.count ?? 0) + 28 }
  }

  /// Forgets what has changed, as if a snapshot had been taken.
  public mutating func forgetChanges() { kept.removeAll() }

  /// Writes how far each source is, and all frames that wait, or those that came since the last
  /// snapshot or restore: which of the others have been taken follows from how far their sources are.
  public mutating func snapshot(isComplete: Bool, into writer: inout SnapshotWriter) {
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(UInt8(isComplete ? 1 : 0))
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
    let places = isComplete ? Array(early.keys) : kept.filter { early[$0] != nil }
    writer.put(UInt64(places.count))
    for place in places.sorted() {
      guard let frame = early[place] else { continue }
      writer.put(place.generation)
      writer.put(place.partition)
      writer.put(place.number)
      writer.put(frame.checksum)
      writer.put(UInt32(frame.bytes.count))
      frame.bytes.withUnsafeBytes { writer.put($0) }
    }
    writer.end()
    forgetChanges()
  }

  public mutating func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    if try reader.get(UInt8.self) == 1 {
      early = [:]
      earlyByteCount = 0
    }
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
    try readEarly(&reader)
    try reader.close()
    forgetChanges()
  }

  private mutating func readEarly(
    _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) {
    for place in early.keys
    where sources.first(where: { Self.isOf(place, $0) }).map({ place.number <= $0.number }) ?? true
    {
      earlyByteCount -= early.removeValue(forKey: place)?.bytes.count ?? 0
    }
    for _ in 0..<(try reader.getCount(elementByteCount: 24)) {
      let place = Place(
        generation: try reader.get(UInt32.self), partition: try reader.get(UInt32.self),
        number: try reader.get(UInt64.self))
      let checksum = try reader.get(UInt32.self)
      let bytes = Array(try reader.get(byteCount: Int(try reader.get(UInt32.self))))
      guard let source = sources.first(where: { Self.isOf(place, $0) }),
        place.number > source.number + 1
      else { throw reader.malformed("a kept frame of an unknown source, or of before its turn") }
      do {
        _ = try bytes.withUnsafeBytes { try PartialFrameView($0) }
      } catch {
        throw reader.malformed("a kept frame cannot be read: \(error)")
      }
      add(Early(checksum: checksum, bytes: bytes), at: place)
    }
  }
}
