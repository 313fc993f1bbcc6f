import Glibc
import Synchronization
import Testing

/// Seeds of the simulation. `SIMULATION_SEEDS` says how many, `SIMULATION_SEED` runs a single one.
@Suite struct SimulationTests {
  private static func number(_ name: String) -> UInt64? {
    getenv(name).flatMap { UInt64(String(cString: $0)) }
  }

  private static let seedCount: UInt64 = 20_000

  @Test("Whatever fails and whenever, read models come to what a recount of the log gives")
  func seeds() async {
    if let seed = Self.number("SIMULATION_SEED") {
      let report = Simulation.run(seed: seed)
      print(report.trace.joined(separator: "\n"))
      #expect(report.problem == nil)
      return
    }
    let count = Self.number("SIMULATION_SEEDS") ?? Self.seedCount
    let tally = Tally()
    await withTaskGroup { group in
      for part in 0..<2 as Range<UInt64> {
        group.addTask {
          for seed in stride(from: part, to: count, by: 2) {
            tally.add(seed, Simulation.run(seed: seed))
          }
        }
      }
    }
    let total = tally.now
    for failure in total.failures.sorted(by: { $0.seed < $1.seed }).prefix(3) {
      Issue.record(
        """
        seed \(failure.seed): \(failure.report.problem ?? "")
        run it again with Scripts/simulate --seed \(failure.seed); its last steps:
        \(failure.report.trace.suffix(20).joined(separator: "\n"))
        """)
    }
    // Runs in which nothing happens prove nothing.
    #expect(total.commits > Int(count) * 5 && total.deaths > Int(count))
    if count >= 1000 {
      for fault in Fault.allCases { #expect(total.faults[fault] != nil, "\(fault) never happened") }
      for end in Simulation.End.allCases {
        #expect(total.ends[end] != nil, "\(end) never happened")
      }
      #expect(total.ends[.compared, default: 0] > Int(count) * 9 / 10)
    }
    let ends = Simulation.End.allCases.map { "\($0) \(total.ends[$0, default: 0])" }
    print(
      "\(count) seeds: \(total.commits) commits, \(total.deaths) deaths,"
        + " \(total.faults.values.reduce(0, +)) faults; \(ends.joined(separator: ", "))")
  }

  @Test(
    "A program that commits offsets before rows, ignores the fence or trusts deliveries is caught within 1,000 seeds",
    arguments: [Defect.offsetBeforeRows, .fenceIgnored, .deliveryTrusted])
  func defects(defect: Defect) {
    let caught = (0..<1000 as Range<UInt64>).first { seed in
      Simulation.run(seed: seed, defect: defect).problem != nil
    }
    #expect(caught != nil)
    if let caught { print("\(defect) is caught by seed \(caught)") }
  }
}

/// What the seeds of both threads come to.
private final class Tally: Sendable {
  struct Sums {
    var failures: [(seed: UInt64, report: Simulation.Report)] = []
    var commits = 0
    var deaths = 0
    var ends: [Simulation.End: Int] = [:]
    var faults: [Fault: Int] = [:]
  }

  private let sums = Mutex(Sums())

  var now: Sums { sums.withLock { $0 } }

  func add(_ seed: UInt64, _ report: Simulation.Report) {
    sums.withLock { sums in
      if report.problem != nil { sums.failures.append((seed, report)) }
      sums.commits += report.commits
      sums.deaths += report.deaths
      if let end = report.end { sums.ends[end, default: 0] += 1 }
      sums.faults.merge(report.faults) { $0 + $1 }
    }
  }
}
