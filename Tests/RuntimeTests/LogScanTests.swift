import Analyses
import Dataflow
import Events
import Foundation
import LogArchive
import LogScans
import Oracles
import Ports
import Testing
import Views

@testable import Runtime

/// Scans of whole logs, beside what the pipeline makes of them.
@Suite struct LogScanTests {
  private static let cuts: [[Int]] = [[1], [3], [1, 2], [4, 3], [2, 5, 1], [3, 1, 4]]

  /// Counts by day, campaign and currency.
  private struct Key: Hashable {
    var day: Int64
    var campaign: String
    var currency: String
  }

  private static func replayed(_ made: RepartitionedLog, until: Int64) throws -> [Key: Counts] {
    var sums: [Key: Counts] = [:]
    for window in try made.replay(until: until).windows
    where window.measure == .activity && window.row.level == .day {
      let key = Key(
        day: window.row.start, campaign: window.tuple.campaign, currency: window.tuple.currency)
      sums[key, default: Counts()] += window.row.counts
    }
    return sums
  }

  private static func scanned(
    _ made: RepartitionedLog, _ log: any EventLog, until: Int64
  ) throws -> (sums: [Key: Counts], reach: ScanReach) {
    let days = Array(stride(from: ten - 10 * day - 10 * hour, to: ten + 30 * day, by: Int(day)))
    let question = BreakdownQuestion(
      site: "shop", times: .min..<Int64.max, dimensions: [.campaign], buckets: days)
    let source = ScannedLog(spec: made.spec, generations: made.generations, log: log)
    let (breakdown, reach) = try LogScan(
      source, try source.extent(knownAt: until), control: ScanControl(), threadCount: 1
    ).run { Breakdown(question) }
    var sums: [Key: Counts] = [:]
    for row in breakdown.rows() {
      for (currency, counts) in row.counts {
        sums[Key(day: days[row.bucket], campaign: row.values[0], currency: currency)] = counts
      }
    }
    return (sums, reach)
  }

  @Test(
    "At any instant a scan counts what the pipeline counted, over all generations",
    arguments: 0..<40 as Range<UInt64>)
  func replay(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed &* 7919 &+ 3)
    let made = RepartitionedLog(seed: seed, partitions: random.pick(Self.cuts))
    for until in [random.pick(made.times), random.pick(made.times), .max] {
      let expected = try Self.replayed(made, until: until)
      let found = try Self.scanned(made, made.log, until: until)
      #expect(found.sums == expected, "seed \(seed) until \(until)")
    }
  }

  @Test("The histories of the law above have copies, late events and several generations")
  func isAboutSomething() throws {
    var tally = StreamJudge.Tally()
    for seed in 0..<20 as Range<UInt64> {
      let made = RepartitionedLog(seed: seed, partitions: [4, 3])
      let (sums, reach) = try Self.scanned(made, made.log, until: .max)
      tally += reach.tally
      #expect(reach.position?.generation == 2 && !sums.isEmpty)
    }
    #expect(tally.duplicate > 200 && tally.tooLate > 50, "\(tally)")
    #expect(tally.late > tally.revision && tally.revision > 50, "\(tally)")
  }

  @Test("What was trimmed into an archive counts as before")
  func archived() throws {
    let folder = "/tmp/smartcontent-scan-\(getpid())"
    for seed in 50..<56 as Range<UInt64> {
      let made = RepartitionedLog(seed: seed, partitions: [2, 3])
      let before = try Self.scanned(made, made.log, until: .max)
      let archive = Archive(folder: "\(folder)-\(seed)")
      defer {
        do {
          try FileManager.default.removeItem(atPath: archive.folder)
        } catch {
          Issue.record("the archive cannot be removed: \(error)")
        }
      }
      let trim = try LogTrim(archive: archive, log: made.log, fileBytesMax: 3000) {
        made.log.trim($0, upTo: $1 - 1)
      }
      for stream in made.generations.flatMap(\.streams) {
        _ = try trim.run(stream: stream, before: .max, notAfter: made.log.count(stream) / 2)
      }
      let log = ArchivedLog(made.log, archive: archive)
      #expect(made.log.first("events-00") > 2)
      let after = try Self.scanned(made, log, until: .max)
      #expect(after.sums == before.sums && after.reach == before.reach, "seed \(seed)")
      // Without the archive it says what is missing.
      #expect(throws: ScanError.self) { try Self.scanned(made, made.log, until: .max) }
    }
  }

  @Test("A question about some hours reads those and the horizon before, and counts the same")
  func start() throws {
    let clock = SimulatedClock()
    let log = SimulatedLog(clock: clock)
    var random = SeededGenerator(seed: 4)
    var sent: [TestEvent] = []
    for index in 0..<1200 {
      var event = TestEvent(
        id: UInt64(index + 1), time: clock.logTime - random.time(upTo: 40 * minute),
        campaign: "c\(index % 2)")
      if index > 20, random.once(in: 4) { event = sent[index - 1 - random.below(20)] }
      sent.append(event)
      log.append(LogEntry.events([event], at: clock.logTime).bytes, to: "events-00")
      clock.advance(micros: minute)
    }
    let spec = PipelineSpec(name: "test", dedupeHorizon: 30 * minute)
    let source = ScannedLog(
      spec: spec, generations: [LogGeneration(number: 1, streams: ["events-00"])], log: log)
    func scan(_ times: Range<Int64>, _ buckets: [Int64]) throws -> ([Counts], ScanReach) {
      let question = BreakdownQuestion(
        site: "shop", times: times, dimensions: [.campaign], buckets: buckets)
      let (breakdown, reach) = try LogScan(
        source, try source.extent(), control: ScanControl(), threadCount: 1
      ).run { Breakdown(question) }
      return (
        breakdown.rows().filter { $0.bucket == buckets.count - 1 }.map {
          $0.counts[""] ?? Counts()
        },
        reach
      )
    }
    let from = ten + 18 * hour
    let (whole, all) = try scan(.min..<Int64.max, [ten - hour, from])
    let (part, some) = try scan(from..<Int64.max, [from])
    #expect(part == whole && part.count == 2 && part[0].impressions > 20)
    #expect(all.tally.frames == 1200 && all.tally.duplicate > 200)
    // Two hours of events, their tolerance, the horizon and an hour for clocks.
    #expect(some.tally.frames == 120 + 65 + 30 + 60, "\(some.tally.frames)")
    #expect(some.position == all.position && some.watermark == all.watermark)
    // A later time than there is reads the last frame alone.
    #expect(try scan(ten + 90 * hour..<Int64.max, [0]).1.tally.frames == 1)
  }

  @Test("A scan that is cancelled ends, and says so")
  func cancelled() throws {
    let made = RepartitionedLog(seed: 1, partitions: [2])
    let source = ScannedLog(spec: made.spec, generations: made.generations, log: made.log)
    let control = ScanControl()
    control.cancel()
    let scan = LogScan(source, try source.extent(), control: control, threadCount: 2)
    #expect(throws: ScanError.cancelled) {
      try scan.run {
        Breakdown(BreakdownQuestion(site: "shop", times: .min..<Int64.max))
      }
    }
  }
}
