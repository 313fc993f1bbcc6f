import Foundation

/// What one thread spends on the parts of its work, part by part: by the clock, of a processor, waiting for one, and
/// how often the kernel had to give it memory or took the processor away.
///
///     ──┬── frame ──┬── frame ──┬─ drain ─┬·····(nothing to do)·····┬── frame ──▶
///
/// Cost: some 2 µs a span, for four calls of the kernel. Made and used on the thread that it is about.
struct LoopSpans {
  enum Part: String, CaseIterable { case frame, drain }

  struct Span {
    var part: Part
    /// Of its part, from 0.
    var number: Int
    /// Microseconds of ``benchNow()``.
    var began: Int64
    var ended: Int64
    var used: Usage
  }

  /// Sums of a thread.
  struct Usage {
    /// Microseconds.
    var cpu = 0.0
    /// Of these, in the kernel, as it accounts them.
    var kernel = 0.0
    /// Microseconds on a run queue, ready and without a processor.
    var waited = 0.0
    /// Pages that were given without reading anything, of whatever size.
    var pageFaults = 0
    /// How often another thread got the processor instead.
    var switches = 0

    static func - (a: Usage, b: Usage) -> Usage {
      Usage(
        cpu: a.cpu - b.cpu, kernel: a.kernel - b.kernel, waited: a.waited - b.waited,
        pageFaults: a.pageFaults - b.pageFaults, switches: a.switches - b.switches)
    }

    static func + (a: Usage, b: Usage) -> Usage {
      Usage(
        cpu: a.cpu + b.cpu, kernel: a.kernel + b.kernel, waited: a.waited + b.waited,
        pageFaults: a.pageFaults + b.pageFaults, switches: a.switches + b.switches)
    }
  }

  private(set) var all: [Span] = []
  private var counts = [Part: Int]()
  /// Fields: time on a processor, time on a run queue, both nanoseconds, and slices (proc(5)).
  private let schedule: Int32

  init(capacity: Int) {
    all.reserveCapacity(capacity)
    schedule = open("/proc/thread-self/schedstat", O_RDONLY)
  }

  func close() { if schedule >= 0 { Foundation.close(schedule) } }

  /// RUSAGE_THREAD, which Swift does not see (getrusage(2)).
  private static let thisThread = __rusage_who_t(1)

  /// What the thread has used so far.
  func usage() -> Usage {
    var usage = rusage()
    getrusage(Self.thisThread, &usage)
    return Usage(
      cpu: CPUTime.thread() * 1_000_000,
      kernel: Double(usage.ru_stime.tv_sec) * 1_000_000 + Double(usage.ru_stime.tv_usec),
      waited: waited(), pageFaults: usage.ru_minflt, switches: usage.ru_nivcsw)
  }

  private func waited() -> Double {
    withUnsafeTemporaryAllocation(byteCount: 96, alignment: 1) { text in
      let count = schedule < 0 ? 0 : pread(schedule, text.baseAddress, text.count, 0)
      guard count > 0 else { return 0 }
      let fields = text[..<count].split(separator: UInt8(ascii: " "))
      guard fields.count > 1 else { return 0 }
      return Double(fields[1].reduce(0) { $0 * 10 + UInt64($1 &- UInt8(ascii: "0")) }) / 1000
    }
  }

  mutating func measure<T>(_ part: Part, _ body: () throws -> T) rethrows -> T {
    let number = counts[part, default: 0]
    counts[part] = number + 1
    let before = usage()
    let began = benchNow()
    let result = try body()
    let ended = benchNow()
    all.append(
      Span(part: part, number: number, began: began, ended: ended, used: usage() - before))
    return result
  }

  /// In order of processor time, least first.
  func sorted(_ part: Part) -> [Span] {
    all.filter { $0.part == part }.sorted { $0.used.cpu < $1.used.cpu }
  }
}

extension LoopSpans {
  /// What the thread did within stretches of time, on average over them. A span that lies in a stretch only in part
  /// counts by that part.
  func means(
    of stretches: [(from: Int64, to: Int64)]
  ) -> [(name: String, value: Double, unit: String)] {
    var sums = [Part: Usage]()
    var byClock = 0.0
    var whole = 0.0
    for (from, to) in stretches {
      whole += Double(to - from)
      var index = firstSpan(endingAfter: from)
      while index < all.count, all[index].began < to {
        let span = all[index]
        let share =
          Double(min(to, span.ended) - max(from, span.began))
          / Double(max(1, span.ended - span.began))
        byClock += Double(min(to, span.ended) - max(from, span.began))
        sums[span.part] = (sums[span.part] ?? Usage()) + span.used.scaled(by: share)
        index += 1
      }
    }
    let count = Double(max(1, stretches.count))
    let frames = sums[.frame] ?? Usage()
    let drains = sums[.drain] ?? Usage()
    let both = frames + drains
    return [
      ("mean_ms", whole / count / 1000, "ms"),
      ("frames_cpu_ms", frames.cpu / count / 1000, "ms"),
      ("drains_cpu_ms", drains.cpu / count / 1000, "ms"),
      ("kernel_cpu_ms", both.kernel / count / 1000, "ms"),
      ("waited_for_a_core_ms", both.waited / count / 1000, "ms"),
      ("between_spans_ms", (whole - byClock) / count / 1000, "ms"),
      ("page_faults", Double(both.pageFaults) / count, ""),
      ("switches", Double(both.switches) / count, ""),
    ]
  }

  private func firstSpan(endingAfter time: Int64) -> Int {
    var low = 0
    var high = all.count
    while low < high {
      let middle = (low + high) / 2
      if all[middle].ended <= time { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

extension LoopSpans.Usage {
  fileprivate func scaled(by share: Double) -> LoopSpans.Usage {
    LoopSpans.Usage(
      cpu: cpu * share, kernel: kernel * share, waited: waited * share,
      pageFaults: Int((Double(pageFaults) * share).rounded()),
      switches: Int((Double(switches) * share).rounded()))
  }
}
