import Events
import Foundation
import Operators

/// The Yahoo Streaming Benchmark from a file of JSON lines: written here, and counted by two threads.
///
/// Threads take turns at pieces of the file. Each counts its piece in a table of its own, which is
/// added to the common one when the piece is done; the watermark is the latest time of all pieces up
/// to the first unfinished one, less the allowed disorder, so windows become final in the same order
/// and with the same counts whichever thread was faster.
struct YSBLines {
  let workload: YSBWorkload
  let path: String

  /// - Returns: the file's length in bytes.
  func write() throws -> Int {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard file >= 0 else { throw BenchError("\(path) cannot be written: errno \(errno)") }
    defer { close(file) }
    let heads = workload.users.map { Array("{\"user_id\": \"\($0)\", \"page_id\": \"".utf8) }
    let pages = workload.pages.map { Array("\($0)\", \"ad_id\": \"".utf8) }
    let ads = workload.ads.map { Array("\($0)\", \"ad_type\": \"".utf8) }
    let types = YSBWorkload.adTypes.map { Array("\($0)\", \"event_type\": \"".utf8) }
    let kinds = YSBWorkload.eventTypes.map { Array("\($0)\", \"event_time\": \"".utf8) }
    let tail = Array("\", \"ip_address\": \"\(YSBWorkload.ipAddress)\"}\n".utf8)
    var buffer: [UInt8] = []
    buffer.reserveCapacity(5 << 20)
    var total = 0
    for index in 0..<workload.eventCount {
      let event = workload.event(index)
      buffer.append(contentsOf: heads[event.user])
      buffer.append(contentsOf: pages[event.page])
      buffer.append(contentsOf: ads[event.ad])
      buffer.append(contentsOf: types[event.adType])
      buffer.append(contentsOf: kinds[event.eventType])
      var divisor: Int64 = 1_000_000_000_000
      while divisor > 0 {
        buffer.append(UInt8(48 + event.timeMs / divisor % 10))
        divisor /= 10
      }
      buffer.append(contentsOf: tail)
      if buffer.count > 4 << 20 || index == workload.eventCount - 1 {
        total += buffer.count
        try buffer.withUnsafeBytes { bytes in
          var offset = 0
          while offset < bytes.count {
            let written = Glibc.write(file, bytes.baseAddress! + offset, bytes.count - offset)
            guard written > 0 else { throw BenchError("\(path): errno \(errno) in a write") }
            offset += written
          }
        }
        buffer.removeAll(keepingCapacity: true)
      }
    }
    return total
  }

  struct Result {
    var counts = YSBCounts()
    var events = 0
    /// Views of windows that were final already: the disorder was larger than allowed.
    var late: Int64 = 0
  }

  /// - Parameter allowedDisorderMs: how far an event may be behind the latest one before it.
  func count(threads: Int, allowedDisorderMs: Int64) throws -> Result {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { throw BenchError("\(path) cannot be read: errno \(errno)") }
    defer { close(file) }
    let size = Int(lseek(file, 0, SEEK_END))
    let shared = YSBLineTotals(
      workload: workload,
      pieceCount: (size + YSBLineReader.pieceBytes - 1) / YSBLineReader.pieceBytes,
      allowedDisorderMs: allowedDisorderMs)
    let group = DispatchGroup()
    for _ in 0..<threads {
      group.enter()
      let thread = Thread {
        defer { group.leave() }
        do {
          var reader = YSBLineReader(workload, file: file, size: size)
          while let piece = shared.next() { shared.add(try reader.read(piece), reader.counters) }
        } catch {
          shared.fail("\(error)")
        }
      }
      thread.start()
    }
    group.wait()
    return try shared.finish()
  }
}

/// What one piece held beside its counts.
struct YSBPiece {
  var number: Int
  var events = 0
  /// Latest event time, microseconds since the epoch.
  var latest = Int64.min
}

/// Reads pieces of the file; one per thread.
struct YSBLineReader: ~Copyable {
  static let pieceBytes = 512 << 10
  /// A line is at most so long.
  private static let lineBytesMax = 16 << 10

  private let file: Int32
  private let size: Int
  private let table: JoinTable
  private var lines = JSONLineScanner(members: ["ad_id", "event_type", "event_time"])
  /// Of the present piece.
  private(set) var counters: TumblingCounters
  private let buffer: UnsafeMutableRawBufferPointer

  init(_ workload: YSBWorkload, file: Int32, size: Int) {
    self.file = file
    self.size = size
    table = workload.facts()
    counters = TumblingCounters(
      length: YSBWorkload.windowMs * 1000, groupCount: table.groupCount + 1, windowCountMax: 10_000)
    buffer = .allocate(byteCount: Self.pieceBytes + Self.lineBytesMax + 64, alignment: 64)
  }

  deinit { buffer.deallocate() }

  /// Counts the lines that start in a piece of the file.
  mutating func read(_ number: Int) throws -> YSBPiece {
    // From one byte earlier on: whether a line starts just here is told by what is before.
    let start = number * Self.pieceBytes
    let from = max(0, start - 1)
    let end = min(size, start + Self.pieceBytes)
    var filled = 0
    let wanted = min(size, end + Self.lineBytesMax) - from
    while filled < wanted {
      let count = pread(file, buffer.baseAddress! + filled, wanted - filled, off_t(from + filled))
      guard count > 0 else { throw BenchError("errno \(errno) in a read") }
      filled += count
    }
    let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<filled])
    var offset = 0
    if start > 0 {
      while offset < filled && bytes[offset] != UInt8(ascii: "\n") { offset += 1 }
      offset += 1
    }
    return try count(bytes, offset, end - from, number)
  }

  @inline(never)
  private mutating func count(
    _ bytes: UnsafeRawBufferPointer, _ first: Int, _ end: Int, _ number: Int
  ) throws -> YSBPiece {
    var piece = YSBPiece(number: number)
    counters.removeAll()
    var offset = first
    while offset < end {
      offset = try lines.next(bytes, offset)
      piece.events &+= 1
      guard let kind = lines.value(1), let digits = lines.value(2),
        let time = Self.number(digits)
      else { throw BenchError("a line has no event_type or event_time") }
      piece.latest = max(piece.latest, time &* 1000)
      guard Self.isView(kind), let ad = lines.value(0) else { continue }
      guard counters.add(group: table.group(of: ad), time: time &* 1000) else {
        throw BenchError("event times of one piece are too far apart")
      }
    }
    return piece
  }

  @inline(__always)
  private static func isView(_ text: UnsafeRawBufferPointer) -> Bool {
    text.count == 4
      && text.loadUnaligned(as: UInt32.self) == UInt32(littleEndian: 0x7765_6976)
  }

  /// A whole number of up to 18 decimal digits.
  @inline(__always)
  private static func number(_ text: UnsafeRawBufferPointer) -> Int64? {
    guard (1...18).contains(text.count) else { return nil }
    var value: Int64 = 0
    var isValid = true
    for byte in text {
      let digit = byte &- UInt8(ascii: "0")
      isValid = isValid && digit < 10
      value = value &* 10 &+ Int64(digit)
    }
    return isValid ? value : nil
  }
}

/// The counts of all threads and the windows that are final.
///
/// `@unchecked Sendable`: every access holds the lock; a `Mutex` would not let a table be lent to it.
final class YSBLineTotals: @unchecked Sendable {
  private let lock = NSLock()
  private let pieceCount: Int
  private let allowedDisorder: Int64
  private let groups: [Int]
  private var counters: TumblingCounters
  private var result = YSBLines.Result()
  /// Latest times of pieces that are done although an earlier one is not.
  private var ahead: [Int: Int64] = [:]
  private var firstUnfinished = 0
  private var latest = Int64.min
  private var seam = Int64.min
  private var nextPiece = 0
  private var failure: String?

  init(workload: YSBWorkload, pieceCount: Int, allowedDisorderMs: Int64) {
    self.pieceCount = pieceCount
    allowedDisorder = allowedDisorderMs * 1000
    let table = workload.facts()
    let numbers = workload.campaignsByTuple()
    groups = table.groups.map { numbers[$0] ?? 0 }
    counters = TumblingCounters(
      length: YSBWorkload.windowMs * 1000, groupCount: table.groupCount + 1, windowCountMax: 10_000)
  }

  /// The number of the next piece, or nil where there is none.
  func next() -> Int? {
    lock.lock()
    defer { lock.unlock() }
    guard failure == nil, nextPiece < pieceCount else { return nil }
    nextPiece += 1
    return nextPiece - 1
  }

  func add(_ piece: YSBPiece, _ counts: borrowing TumblingCounters) {
    lock.lock()
    defer { lock.unlock() }
    result.events += piece.events
    result.late += counters.merge(counts, from: seam)
    ahead[piece.number] = piece.latest
    while let time = ahead.removeValue(forKey: firstUnfinished) {
      latest = max(latest, time)
      firstUnfinished += 1
    }
    if latest > .min { closeWindows(before: latest - allowedDisorder) }
  }

  func fail(_ text: String) {
    lock.lock()
    defer { lock.unlock() }
    failure = text
  }

  func finish() throws -> YSBLines.Result {
    lock.lock()
    defer { lock.unlock() }
    if let failure { throw BenchError(failure) }
    closeWindows(before: .max - 1_000_000_000)
    return result
  }

  /// Hands out the windows that end at or before the watermark.
  private func closeWindows(before watermark: Int64) {
    let next = counters.start(of: watermark)
    guard next > seam else { return }
    seam = next
    for window in 0..<counters.windowCount {
      let start = counters.start(window: window)
      guard start < seam else { break }
      let counts = counters.counts(window: window)
      for (group, campaign) in groups.enumerated() where counts[group] != 0 {
        result.counts.add(startMs: start / 1000, campaign: campaign, counts[group])
      }
    }
    counters.removeWindows(before: seam)
  }
}
