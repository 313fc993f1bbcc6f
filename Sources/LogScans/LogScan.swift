public import Analyses
import Dataflow
import Events
import Glibc
import Threads

/// Reads a log for one question, every stream by an analysis of its own, some of them at the same time.
///
///     generation 1: events-00 ──▶ judge ─▶ analysis ─┐
///                   events-01 ──▶ judge ─▶ analysis ─┤ ids          merged in order
///     generation 2: events-g2-00 … ◀─────────────────╯   ──────▶    of generation and partition
///
/// As in the processor, a generation counts once all streams of the one before have come to their ends, and
/// begins with the ids that these remember. The answer is a function of the log, of the pipeline and of the
/// extent.
public struct LogScan: Sendable {
  private let source: ScannedLog
  private let extent: ScanExtent
  private let control: ScanControl
  private let threadCount: Int

  /// A scan gives way to what comes in and is asked for meanwhile.
  private static let niceness: Int32 = 5

  /// - Parameter threadCount: streams that are read at the same time, at least 1.
  public init(_ source: ScannedLog, _ extent: ScanExtent, control: ScanControl, threadCount: Int) {
    self.source = source
    self.extent = extent
    self.control = control
    self.threadCount = threadCount
  }

  private var frameCount: Int { Int(extent.ends.values.reduce(0, +)) }

  /// Says before the first ``run(_:)`` how many there will be, so that progress is that of all of them. Further ones
  /// are added as they begin.
  public func expect(passes: Int) { control.expect(frames: frameCount, times: passes) }

  /// Blocks until everything is read. What is read again is the same: the extent is fixed.
  ///
  /// - Parameter make: an analysis that has seen nothing.
  public func run<A: Analysis>(
    _ make: @escaping @Sendable () -> A
  ) throws(ScanError) -> (analysis: A, reach: ScanReach) {
    control.begin(frames: frameCount)
    let whole = make()
    var reach = ScanReach(knownAt: extent.knownAt)
    var before: [StreamWork<A>] = []
    for (index, generation) in source.generations.enumerated() {
      let handsOver = index + 1 < source.generations.count
      let works = zip(generation.streamPartitions, generation.ends).map { stream, end in
        StreamWork(
          stream,
          groups: KeyGroup.groups(of: stream.partition, partitions: generation.partitions),
          last: extent.ends[stream] ?? 0, end: end, handsOver: handsOver, analysis: make())
      }
      try read(works, after: before)
      reach.add(generation, works.map(\.outcome))
      for work in works {
        do throws(AnalysisError) {
          try whole.merge(work.analysis)
        } catch {
          throw .analysis(error)
        }
      }
      guard works.allSatisfy(\.hasComeToEnd) else { break }
      before = works
    }
    return (whole, reach)
  }

  /// Who was in which segment, from a reading of its own.
  ///
  /// - Parameter times: of the question's events, microseconds since the epoch.
  public func segments(
    site: String, for times: Range<Int64>
  ) throws(ScanError) -> SegmentHistory {
    let memory = source.segmentMemory
    return try run { SegmentScan(site: site, for: times, memory: memory) }.analysis.history()
  }

  /// Reads the streams of a generation, each on one of some threads.
  private func read<A: Analysis>(
    _ works: [StreamWork<A>], after before: [StreamWork<A>]
  ) throws(ScanError) {
    let queue = WorkQueue(count: works.count)
    let threads = (0..<max(1, min(threadCount, works.count))).map { index in
      LoopThread(name: "scan-\(index)") { [source, extent, control] in
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Self.niceness)
        while let index = queue.take() {
          do throws(ScanError) {
            try works[index].read(
              source, knownAt: extent.knownAt, after: before, control: control,
              isStopped: { queue.hasFailed })
          } catch {
            queue.fail(error)
          }
        }
      }
    }
    for thread in threads { thread.join() }
    if let error = queue.failure { throw error }
  }
}
