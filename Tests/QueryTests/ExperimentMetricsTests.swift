import Events
import Experiments
import Logging
import MemoryPorts
import Metrics
import Ports
import Synchronization
import Testing
import Views

@testable import QueryAPI

@Suite("Experiments as Prometheus series")
struct ExperimentMetricsTests {
  private static let minute: Int64 = 60_000_000

  /// The same persons of each variant in every window, of whom so many have seen both.
  private struct Reader: ExperimentReader {
    var mixed: Int64 = 0

    func outcomeWindow() async throws(ViewReadError) -> Int64 { ExperimentMetricsTests.minute }

    func cohorts(
      site: String, campaign: String, from: Int64, to: Int64, level: WindowLevel,
      by dimensions: [Dimension]
    ) async throws(ViewReadError) -> ExperimentCohorts {
      guard campaign == "spring" else { throw .unavailable("Postgres is away") }
      var rows: [ExperimentCohort] = []
      for window in 0..<100 as Range<Int64> {
        for (variant, clickers) in [("a", 5 as Int64), ("b", 8)] {
          rows.append(
            ExperimentCohort(
              start: window * ExperimentMetricsTests.minute, variant: variant,
              exposures: Exposures(persons: 100, clickers: clickers, mixed: mixed)))
        }
      }
      return ExperimentCohorts(
        cohorts: rows, watermark: 102 * ExperimentMetricsTests.minute,
        outcomeWindow: ExperimentMetricsTests.minute)
    }
  }

  private func experiment(
    _ id: String, _ status: Experiment.Status, campaign: String = "spring"
  ) -> Experiment {
    Experiment(
      id: id, plan: ExperimentPlan(campaign: campaign, variants: ["a", "b"], control: "a"),
      epochs: [Experiment.Epoch(since: 0, shares: [500_000, 500_000])], status: status)
  }

  private func text(_ experiments: [Experiment], _ reader: Reader) async -> String {
    let catalog = ExperimentCatalog(
      declared: experiments, facts: nil, clock: { 0 }, eventID: { "" }, noticed: { _ in })
    let registry = MetricRegistry()
    let metrics = ExperimentMetrics(
      catalog, reader: reader, registry: registry,
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    await metrics.refresh()
    return String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
  }

  @Test(
    "those that run say what to do, and between which ends, and those that can't be read are counted"
  )
  func series() async {
    let text = await text(
      [
        experiment("one", .running), experiment("two", .draft),
        experiment("three", .running, campaign: "autumn"),
      ], Reader())
    for line in [
      #"smartcontent_experiment_decision{experiment="one",campaign="spring",action="take_treatment"} 1.0"#,
      #"smartcontent_experiment_value{experiment="one",campaign="spring",variant="a",end="value"} 0.05"#,
      #"smartcontent_experiment_value{experiment="one",campaign="spring",variant="b",end="value"} 0.08"#,
      "smartcontent_experiment_refresh_failures_total 1.0",
    ] { #expect(text.contains(line + "\n"), "\(line) is not in \(text)") }
    for end in ["lower", "upper"] {
      #expect(
        text.contains(
          #"smartcontent_experiment_value{experiment="one",campaign="spring",variant="b",end="\#(end)"} 0.0"#
        ))
    }
    #expect(
      text.contains(
        #"smartcontent_experiment_lift_ratio{experiment="one",campaign="spring",variant="b",end="lower"} 0.3"#
      ))
    #expect(
      !text.contains(
        #"smartcontent_experiment_lift_ratio{experiment="one",campaign="spring",variant="a""#))
    #expect(!text.contains(#""two""#) && !text.contains(#""three""#))
  }

  @Test(
    "those that were stopped are looked at once, so that nobody who asks waits for their old cohorts"
  )
  func stopped() async {
    let asked = Mutex(0)
    struct Counting: ExperimentReader {
      let reader = Reader()
      let asked: @Sendable () -> Void

      func outcomeWindow() async throws(ViewReadError) -> Int64 {
        try await reader.outcomeWindow()
      }

      func cohorts(
        site: String, campaign: String, from: Int64, to: Int64, level: WindowLevel,
        by dimensions: [Dimension]
      ) async throws(ViewReadError) -> ExperimentCohorts {
        asked()
        return try await reader.cohorts(
          site: site, campaign: campaign, from: from, to: to, level: level,
          by: dimensions)
      }
    }
    let decision = Experiment.Decision(variant: "a", reason: "")
    let catalog = ExperimentCatalog(
      declared: [
        experiment("one", .stopped(at: 100 * Self.minute, decision)), experiment("two", .draft),
        experiment("three", .stopped(at: 90 * Self.minute, decision), campaign: "autumn"),
      ], facts: nil, clock: { 0 }, eventID: { "" }, noticed: { _ in })
    let registry = MetricRegistry()
    let metrics = ExperimentMetrics(
      catalog, reader: Counting { asked.withLock { $0 += 1 } }, registry: registry,
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    // Both; then the one whose store was away again.
    for count in [2, 3, 4] {
      await metrics.refresh()
      #expect(asked.withLock { $0 } == count)
    }
    let text = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    #expect(!text.contains(#"experiment="one""#))
  }

  @Test("an experiment whose persons saw everything is distrusted where alerts see it")
  func distrust() async {
    let text = await text([experiment("one", .running)], Reader(mixed: 100))
    #expect(
      text.contains(
        #"smartcontent_experiment_decision{experiment="one",campaign="spring",action="distrust"} 1.0"#
      ))
  }
}
