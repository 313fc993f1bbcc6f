import Logging
import Metrics
import Synchronization
import Testing

@testable import QueryAPI

@Suite("Metrics that are worked out again and again")
struct RepeatedRefreshTests {
  private final class Lines: Sendable {
    let all = Mutex<[String]>([])
  }

  private struct Handler: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      lines.all.withLock {
        $0.append("\(event.level) \(event.message) \(event.metadata?["why"].map { "\($0)" } ?? "")")
      }
    }
  }

  @Test("each failure counts, and is said when it begins, changes and is over")
  func failures() {
    let declaration = MetricDeclaration("smartcontent_test_failures_total", "Failures.", .counter)
    let registry = MetricRegistry()
    let lines = Lines()
    let refresh = RepeatedRefresh(
      "results", every: .seconds(1), failures: registry.counter(declaration).with(),
      log: Logger(label: "test") { _ in Handler(lines: lines) })
    for reason in [nil, "away", "away", "refused", nil, nil] as [String?] { refresh.note(reason) }
    let text = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    #expect(text.contains("smartcontent_test_failures_total 3"))
    #expect(
      lines.all.withLock { $0 } == [
        "warning results can't be worked out; metrics show the last ones away",
        "warning results can't be worked out; metrics show the last ones refused",
        "notice results are worked out again ",
      ])
  }
}
