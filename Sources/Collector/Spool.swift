import Events
import Glibc
public import Logging
import Synchronization

/// Frames that the log could not take, durable on a disk of the collector until it can.
///
/// A folder of segments (``SpoolSegment``), of at most `bytesMax` bytes together, of one process at a
/// time. Frames are appended, synced as a group, and drained in order per stream; a segment is removed
/// once all of it is drained. They keep their message ids, so that one which the log had stored after all
/// is stored once, within the stream's duplicate window; later copies of its events count for nothing,
/// as all events with an id that was seen.
///
/// Costs one `fdatasync` per group, on the publisher's thread, and some 40 bytes of memory per frame. Whole
/// frames survive `kill -9` and a power cut; a torn end is cut off with a line in the log.
///
/// Life: opened before the pipeline starts, then of the publisher's thread alone, but for ``gauges``.
public final class Spool: @unchecked Sendable {
  // @unchecked: one thread after the other has it, as said above; what others read of it is in ``Gauges``.

  public static let bytesMaxRange = (1 << 20)...(1 << 40)
  public static let bytesMaxDefault = 1 << 30

  /// What other threads may know.
  final class Gauges: Sendable {
    let bytesMax: Int
    let bytes = Atomic<Int>(0)
    let frames = Atomic<Int>(0)
    /// When the oldest frame was written, microseconds since the epoch; 0 where there is none.
    let oldestAt = Atomic<Int64>(0)
    /// The last frame had no room, or could not be written, and nothing was removed since.
    let isFull = Atomic<Bool>(false)
    /// Found at the start.
    let tornBytes = Atomic<Int>(0)
    let damagedFrames = Atomic<Int>(0)

    init(bytesMax: Int) { self.bytesMax = bytesMax }
  }

  let gauges: Gauges
  public let folder: String
  private let bytesMax: Int
  /// Short enough to be removed soon, long enough that few files are made.
  private let segmentBytesMax: Int
  private let log: Logger
  private let lock: Int32
  private var segments: [UInt64: SpoolSegment] = [:]
  private var current: SpoolSegment?
  private var nextNumber: UInt64 = 1
  private(set) var queues: [String: SpoolQueue] = [:]
  /// Appended and not yet synced, all of the current segment.
  private var unsynced: [(stream: String, entry: SpoolQueue.Entry)] = []

  /// Opens the folder, which is made where it is missing, with what an earlier process left in it.
  public init(folder: String, bytesMax: Int = bytesMaxDefault, log: Logger) throws(SpoolError) {
    guard Self.bytesMaxRange.contains(bytesMax) else {
      throw .bytesMax(value: bytesMax, allowed: Self.bytesMaxRange)
    }
    self.folder = folder
    gauges = Gauges(bytesMax: bytesMax)
    self.bytesMax = bytesMax
    self.log = log
    segmentBytesMax = min(16 << 20, bytesMax / 8)
    try Self.makeFolder(folder)
    let lockPath = folder + "/lock"
    lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0 else { throw SpoolSegment.failure("open", lockPath) }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      if errno == EWOULDBLOCK { throw .inUse(folder: folder) }
      throw SpoolSegment.failure("lock", lockPath)
    }
    try takeOver()
  }

  /// Collectors of one machine that can share a folder; more than ports and cores have room for.
  static let sharersMax = 64

  /// The spool in the folder itself or, where other collectors of this machine have it, in the first of
  /// its folders `2`, `3`, … that is free: each collector of a group has its own, and takes over what an
  /// earlier one left.
  public static func first(
    in folder: String, bytesMax: Int = bytesMaxDefault, log: Logger
  ) throws(SpoolError) -> Spool {
    for number in 1...sharersMax {
      do throws(SpoolError) {
        return try Spool(
          folder: number == 1 ? folder : "\(folder)/\(number)", bytesMax: bytesMax, log: log)
      } catch {
        guard case .inUse = error else { throw error }
      }
    }
    throw .inUse(folder: folder)
  }

  deinit { Glibc.close(lock) }

  /// Another process may have the folder; nothing is done with this object any more.
  func close() { flock(lock, LOCK_UN) }

  private func takeOver() throws(SpoolError) {
    for number in try Self.numbers(in: folder) {
      nextNumber = number + 1
      let (segment, findings) = try SpoolSegment.open(
        path: SpoolSegment.path(folder, number), number: number)
      report(findings, segment)
      if findings.waiting.isEmpty {
        try segment.remove()
        continue
      }
      segments[number] = segment
      for (stream, record) in findings.waiting {
        queues[stream, default: SpoolQueue()].append(.init(segment: segment, record: record))
      }
    }
    measure()
    let frames = gauges.frames.load(ordering: .relaxed)
    if frames > 0 {
      log.notice(
        "frames wait in the spool since an earlier run",
        metadata: ["folder": "\(folder)", "frames": "\(frames)"])
    }
  }

  private func report(_ findings: SpoolSegment.Findings, _ segment: SpoolSegment) {
    if findings.tornByteCount > 0 {
      gauges.tornBytes.add(findings.tornByteCount, ordering: .relaxed)
      log.warning(
        "the end of a spool file was torn and is cut off; nothing of it was acknowledged",
        metadata: ["file": "\(segment.path)", "bytes": "\(findings.tornByteCount)"])
    }
    if findings.damagedCount > 0 {
      gauges.damagedFrames.add(findings.damagedCount, ordering: .relaxed)
      log.error(
        "stretches of a spool file are damaged and are passed over: the disk has lost their frames",
        metadata: ["file": "\(segment.path)", "stretches": "\(findings.damagedCount)"])
    }
  }

  // MARK: Appending

  /// Whether a frame of this length would find room.
  private func hasRoom(_ byteCount: Int) -> Bool {
    gauges.bytes.load(ordering: .relaxed) + byteCount + SpoolSegment.magic.count <= bytesMax
  }

  /// Writes a frame; it is durable, and drained, after ``commit()``.
  ///
  /// - Returns: false where there is no room.
  func append(
    stream: String, messageID: String, frame: [UInt8], nowMicros: Int64
  ) throws(SpoolError) -> Bool {
    let bytes = SpoolSegment.encode(
      .init(stream: stream, messageID: messageID, frame: frame), writtenAt: nowMicros)
    guard hasRoom(bytes.count) else {
      gauges.isFull.store(true, ordering: .relaxed)
      return false
    }
    if let current, current.byteCount + bytes.count > segmentBytesMax,
      current.byteCount > SpoolSegment.magic.count
    {
      try commit()
      self.current = nil
    }
    do throws(SpoolError) {
      let segment = try openSegment()
      let record = try segment.append(bytes, writtenAt: nowMicros)
      unsynced.append((stream, .init(segment: segment, record: record)))
    } catch {
      gauges.isFull.store(true, ordering: .relaxed)
      throw error
    }
    gauges.bytes.add(bytes.count, ordering: .relaxed)
    gauges.isFull.store(false, ordering: .relaxed)
    return true
  }

  private func openSegment() throws(SpoolError) -> SpoolSegment {
    if let current { return current }
    let segment = try SpoolSegment.create(folder: folder, number: nextNumber)
    nextNumber += 1
    try Self.syncFolder(folder)
    segments[segment.number] = segment
    current = segment
    return segment
  }

  /// Makes durable what was appended since the last time. Where that fails, all of it is taken back.
  func commit() throws(SpoolError) {
    guard let current, let first = unsynced.first else { return }
    do throws(SpoolError) {
      try current.sync()
    } catch {
      // What a disk says after a failed sync cannot be trusted: the next frame begins a new file.
      current.takeBack(to: first.entry.record.offset, records: unsynced.count)
      unsynced = []
      self.current = nil
      removeIfDrained(current)
      gauges.isFull.store(true, ordering: .relaxed)
      measure()
      throw error
    }
    for (stream, entry) in unsynced { queues[stream, default: SpoolQueue()].append(entry) }
    unsynced = []
    measure()
  }

  // MARK: Draining

  var isEmpty: Bool { queues.isEmpty }

  /// The next frame of a stream to publish.
  ///
  /// - Returns: nil where none is due. A frame that cannot be read any more is passed over.
  func next(
    of stream: String, nowMicros: Int64
  ) -> (id: UInt64, content: SpoolSegment.Content)? {
    while let (id, entry) = queues[stream]?.next(nowMicros: nowMicros) {
      do throws(SpoolError) {
        if let content = try entry.segment.content(of: entry.record) { return (id, content) }
        pass(over: id, stream, "its bytes are not those that were written")
      } catch {
        pass(over: id, stream, "\(error)")
      }
    }
    return nil
  }

  private func pass(over id: UInt64, _ stream: String, _ reason: String) {
    gauges.damagedFrames.add(1, ordering: .relaxed)
    log.error(
      "a frame in the spool cannot be read and is passed over",
      metadata: ["stream": "\(stream)", "reason": "\(reason)"])
    drained(id, of: stream)
  }

  func published(_ id: UInt64, of stream: String, messages: Int) {
    queues[stream]?.published(id, messages: messages)
  }

  /// - Returns: whether the whole frame is drained.
  func stored(_ id: UInt64, of stream: String) -> Bool {
    guard let entry = queues[stream]?.stored(id) else { return false }
    finish(entry, stream)
    return true
  }

  func failed(_ id: UInt64, of stream: String, pauseUntil: Int64) {
    queues[stream]?.failed(id, pauseUntil: pauseUntil)
  }

  /// The frame is not published.
  func drained(_ id: UInt64, of stream: String) {
    if let entry = queues[stream]?.drained(id) { finish(entry, stream) }
  }

  private func finish(_ entry: SpoolQueue.Entry, _ stream: String) {
    if queues[stream]?.isEmpty == true { queues[stream] = nil }
    do throws(SpoolError) {
      try entry.segment.markDrained(entry.record)
    } catch {
      log.error(
        "a drained frame cannot be marked; it is sent again after a restart, with the same id",
        metadata: ["error": "\(error)"])
    }
    removeIfDrained(entry.segment)
    measure()
  }

  private func removeIfDrained(_ segment: SpoolSegment) {
    guard segment.waitingCount == 0 else { return }
    if segment === current { current = nil }
    segments[segment.number] = nil
    gauges.isFull.store(false, ordering: .relaxed)
    do throws(SpoolError) {
      try segment.remove()
    } catch {
      log.error("a drained spool file is left behind", metadata: ["error": "\(error)"])
    }
  }

  private func measure() {
    gauges.bytes.store(segments.values.reduce(0) { $0 + $1.byteCount }, ordering: .relaxed)
    gauges.frames.store(queues.values.reduce(0) { $0 + $1.count }, ordering: .relaxed)
    gauges.oldestAt.store(queues.values.compactMap(\.oldestAt).min() ?? 0, ordering: .relaxed)
  }

  // MARK: Folder

  private static func numbers(in folder: String) throws(SpoolError) -> [UInt64] {
    guard let handle = opendir(folder) else { throw SpoolSegment.failure("read", folder) }
    defer { closedir(handle) }
    var numbers: [UInt64] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasSuffix(SpoolSegment.suffix),
        let number = UInt64(name.dropLast(SpoolSegment.suffix.count))
      {
        numbers.append(number)
      }
    }
    return numbers.sorted()
  }

  private static func makeFolder(_ folder: String) throws(SpoolError) {
    guard access(folder, F_OK) != 0 else { return }
    if let slash = folder.lastIndex(of: "/"), slash != folder.startIndex {
      try makeFolder(String(folder[..<slash]))
    }
    // Of the collector's user alone: events are personal data.
    if mkdir(folder, 0o700) != 0 && errno != EEXIST {
      throw SpoolSegment.failure("make the folder", folder)
    }
  }

  private static func syncFolder(_ folder: String) throws(SpoolError) {
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw SpoolSegment.failure("open", folder) }
    defer { Glibc.close(directory) }
    if fsync(directory) != 0 { throw SpoolSegment.failure("sync", folder) }
  }
}
