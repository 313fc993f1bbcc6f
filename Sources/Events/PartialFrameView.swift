/// A frame of partials read in place: checked once when it is made, then read without further checks.
///
/// The view borrows the bytes, as ``FrameView`` does. Checked are every bound and every index, that the
/// dictionary rises, that no key is zero and that kinds are known.
public struct PartialFrameView {
  public let head: PartialFrameHead
  /// The frame's checksum, part of the fingerprint in checkpoints.
  public let checksum: UInt32
  public let contributionCount: Int
  public let touchCount: Int
  public let unionCount: Int
  public let paneCount: Int
  public let feedbackCount: Int
  public let anchorCount: Int
  @usableFromInline let base: UnsafeRawPointer
  @usableFromInline let tuples: FrameTexts
  @usableFromInline let contributions: Records
  @usableFromInline let panes: Records
  @usableFromInline let touchUsers: Int
  @usableFromInline let touchTimes: Int
  @usableFromInline let touchKeys: Int
  @usableFromInline let touchKinds: Int
  @usableFromInline let touchTuples: Int
  @usableFromInline let touchRevenues: Int
  @usableFromInline let unions: Int
  @usableFromInline let feedbacks: Int
  @usableFromInline let measures: Int
  @usableFromInline let anchors: Int

  /// Where the three columns of contributions or panes are.
  @usableFromInline
  struct Records {
    @usableFromInline let tuples: Int
    @usableFromInline let starts: Int
    @usableFromInline let sums: Int

    init(
      _ directory: FrameDirectory, count: Int, tuples: FrameColumn, starts: FrameColumn,
      sums: FrameColumn
    ) throws(FrameError) {
      self.tuples = try directory.fixed(tuples, width: 4, count: count, required: true)
      self.starts = try directory.fixed(starts, width: 8, count: count, required: true)
      self.sums = try directory.fixed(
        sums, width: PartialSums.byteCount, count: count, required: true)
    }
  }

  public init(_ bytes: UnsafeRawBufferPointer) throws(FrameError) {
    let envelope = try FrameEnvelope(bytes)
    let header = envelope.header
    guard header.kind == .partials else { throw .otherKind(header.kind.rawValue) }
    base = envelope.base
    checksum = envelope.checksum
    let directory = envelope.directory
    let place = try directory.fixed(
      .partialHead, width: PartialFrameHead.byteCount, count: 1, required: true)
    func load<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
      T(littleEndian: envelope.base.loadUnaligned(fromByteOffset: offset, as: T.self))
    }
    let flags = load(place + 16, UInt32.self)
    head = PartialFrameHead(
      pipelineHash: header.producer.low, generation: header.generation,
      partition: header.partition, partitionCount: load(place + 36, UInt32.self),
      number: header.producerSequence,
      sourceSequence: load(place, UInt64.self), sourceLogTime: load(place + 8, Int64.self),
      closesTick: flags & PartialFrameHead.closesTickFlag != 0,
      isLast: flags & PartialFrameHead.isLastFlag != 0)
    guard head.partition < head.partitionCount else {
      throw .invalidValue(.partialHead, record: 0)
    }
    contributionCount = Int(load(place + 20, UInt32.self))
    touchCount = Int(load(place + 24, UInt32.self))
    unionCount = Int(load(place + 28, UInt32.self))
    paneCount = Int(load(place + 32, UInt32.self))
    (anchors, anchorCount) = try directory.records(.anchors, width: PartialAnchor.byteCount)
    // What is left is the rest.
    feedbackCount =
      header.count - (contributionCount + touchCount + unionCount + paneCount + anchorCount)
    guard feedbackCount >= 0 else {
      throw .malformedColumn(FrameColumn.partialHead.rawValue)
    }
    contributions = try Records(
      directory, count: contributionCount, tuples: .contributionTuple, starts: .contributionStart,
      sums: .contributionSums)
    measures = try directory.fixed(
      .contributionMeasure, width: 1, count: contributionCount, required: false)
    touchUsers = try directory.fixed(.touchUser, width: 16, count: touchCount, required: true)
    touchTimes = try directory.fixed(.touchTime, width: 8, count: touchCount, required: true)
    touchKeys = try directory.fixed(.touchKey, width: 16, count: touchCount, required: true)
    touchKinds = try directory.fixed(.touchKind, width: 1, count: touchCount, required: true)
    touchTuples = try directory.fixed(.touchTuple, width: 4, count: touchCount, required: true)
    touchRevenues = try directory.fixed(.touchRevenue, width: 8, count: touchCount, required: false)
    unions = try directory.fixed(.unions, width: 32, count: unionCount, required: true)
    feedbacks = try directory.fixed(.feedbacks, width: 16, count: feedbackCount, required: true)
    panes = try Records(
      directory, count: paneCount, tuples: .paneTuple, starts: .paneStart, sums: .paneSums)
    tuples = try directory.texts(
      .partialTuples, bytes, count: nil,
      required: contributionCount + touchCount + paneCount + feedbackCount > 0)
    try check()
  }

  private func check() throws(FrameError) {
    for index in 0..<max(tuples.count - 1, 0)
    where !tupleBytes(index).lexicographicallyPrecedes(tupleBytes(index + 1)) {
      throw .malformedColumn(FrameColumn.partialTuples.rawValue)
    }
    for index in 0..<contributionCount where Int(contribution(index).tuple) >= tuples.count {
      throw .indexOutOfRange(.contributionTuple, event: index)
    }
    for index in 0..<paneCount where Int(pane(index).tuple) >= tuples.count {
      throw .indexOutOfRange(.paneTuple, event: index)
    }
    for index in 0..<feedbackCount where Int(feedback(index).tuple) >= tuples.count {
      throw .indexOutOfRange(.feedbacks, event: index)
    }
    for index in 0..<touchCount {
      let touch = touch(index)
      guard Int(touch.tuple) < tuples.count else {
        throw .indexOutOfRange(.touchTuple, event: index)
      }
      guard EventKind(rawValue: touch.kind) != nil else {
        throw .invalidValue(.touchKind, record: index)
      }
      guard touchUser(index) != .zero else { throw .invalidValue(.touchUser, record: index) }
      guard touch.key != .zero else { throw .invalidValue(.touchKey, record: index) }
    }
    for index in 0..<unionCount {
      let union = union(index)
      guard union.first != .zero, union.second != .zero else {
        throw .invalidValue(.unions, record: index)
      }
    }
    for index in 0..<anchorCount where anchor(index).user == .zero {
      throw .invalidValue(.anchors, record: index)
    }
  }

  // MARK: Records

  /// All records.
  public var recordCount: Int {
    contributionCount + touchCount + unionCount + paneCount + feedbackCount + anchorCount
  }

  /// The number of distinct dimension tuples in the frame.
  @inlinable public var tupleCount: Int { tuples.count }

  /// An encoded ``DimensionTuple`` of the frame's dictionary.
  @inlinable public func tupleBytes(_ tuple: Int) -> UnsafeRawBufferPointer {
    tuples.text(tuple, base)
  }

  /// What outcomes are added to a window.
  @inlinable public func contribution(_ index: Int) -> PartialRecord {
    var record = record(contributions, index)
    if measures != 0 {
      record.measure = base.load(fromByteOffset: measures &+ index, as: UInt8.self)
    }
    return record
  }

  /// What a pane of a hopping window has counted.
  @inlinable public func pane(_ index: Int) -> PartialRecord { record(panes, index) }

  /// The person key of the user whose touch it is.
  @inlinable public func touchUser(_ index: Int) -> Key128 {
    Key128(at: base + (touchUsers &+ index &* 16))
  }

  /// A touch of a known person; its tuple is an index of this frame's dictionary.
  @inlinable public func touch(_ index: Int) -> Touch {
    Touch(
      time: int64(touchTimes, index), key: Key128(at: base + (touchKeys &+ index &* 16)),
      revenueMicros: touchRevenues == 0 ? 0 : int64(touchRevenues, index),
      tuple: uint32(touchTuples, index),
      kind: base.load(fromByteOffset: touchKinds &+ index, as: UInt8.self))
  }

  @inlinable public func union(_ index: Int) -> PersonUnion {
    let place = base + (unions &+ index &* 32)
    return PersonUnion(Key128(at: place), Key128(at: place + 16))
  }

  @inlinable public func feedback(_ index: Int) -> PartialFeedback {
    let place = feedbacks &+ index &* 16
    return PartialFeedback(
      incident: int64(place, 0), tuple: uint32(place + 8, 0), verdict: uint32(place + 12, 0))
  }

  /// What a user counts as exposed to.
  @inlinable public func anchor(_ index: Int) -> PartialAnchor {
    let place = base + (anchors &+ index &* 40)
    return PartialAnchor(
      user: Key128(at: place),
      campaign: UInt64(
        littleEndian: place.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
      time: Int64(littleEndian: place.loadUnaligned(fromByteOffset: 24, as: Int64.self)),
      from: Int64(littleEndian: place.loadUnaligned(fromByteOffset: 32, as: Int64.self)))
  }

  @inlinable func record(_ columns: Records, _ index: Int) -> PartialRecord {
    let sums = columns.sums &+ index &* 48
    return PartialRecord(
      tuple: uint32(columns.tuples, index), start: int64(columns.starts, index),
      sums: PartialSums(
        int64(sums, 0), int64(sums, 1), int64(sums, 2), int64(sums, 3), int64(sums, 4),
        int64(sums, 5)))
  }

  @inlinable func int64(_ column: Int, _ index: Int) -> Int64 {
    Int64(littleEndian: base.loadUnaligned(fromByteOffset: column &+ index &* 8, as: Int64.self))
  }

  @inlinable func uint32(_ column: Int, _ index: Int) -> UInt32 {
    UInt32(littleEndian: base.loadUnaligned(fromByteOffset: column &+ index &* 4, as: UInt32.self))
  }
}
