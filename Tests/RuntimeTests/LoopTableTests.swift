import Metrics
import Testing

@testable import Runtime

/// `smartcontent top` as text.
@Suite struct LoopTableTests {
  /// What a process says of one loop at a moment, with that many events and that much busy time.
  private static func scrape(at seconds: Int64, events: Int, busy: Double) -> MetricScrape {
    let labels = "{pipeline=\"default\",stream=\"events-00\"}"
    func of(_ label: String, _ value: String) -> String {
      "{pipeline=\"default\",stream=\"events-00\",\(label)=\"\(value)\"}"
    }
    var scrape = MetricScrape(at: seconds * 1_000_000)
    scrape.add(
      """
      # HELP smartcontent_partition_running something
      smartcontent_partition_running\(labels) 1
      smartcontent_processor_events_total\(labels) \(events)
      smartcontent_processor_frames_total\(labels) \(events / 10)
      smartcontent_lag_frames\(labels) 12
      smartcontent_lag_seconds\(labels) 0.25
      smartcontent_watermark_delay_seconds\(labels) 2.04
      smartcontent_loop_seconds_total\(of("state", "busy")) \(busy)
      smartcontent_loop_seconds_total\(of("state", "idle")) \(Double(seconds) - busy)
      smartcontent_loop_seconds_total\(of("state", "stores")) 0
      smartcontent_loop_seconds_total\(of("state", "away")) 0
      smartcontent_state_keys\(of("operator", "dedupe")) 240000
      smartcontent_state_keys\(of("operator", "links")) 1204
      smartcontent_state_keys\(of("operator", "emitter")) 0
      smartcontent_state_keys_max\(of("operator", "dedupe")) 12000000
      smartcontent_state_keys_max\(of("operator", "links")) 1000000
      smartcontent_state_keys_max\(of("operator", "emitter")) 1048576
      smartcontent_state_bytes\(of("operator", "dedupe")) 9542042
      smartcontent_state_bytes\(of("operator", "links")) 98304
      smartcontent_state_bytes\(of("operator", "emitter")) 512
      smartcontent_snapshot_age_seconds\(labels) 1.5

      """)
    return scrape
  }

  @Test("Below each loop its operators say what they remember, of how much, and in how many bytes")
  func text() {
    let table = LoopTable(
      before: Self.scrape(at: 10, events: 1_000, busy: 1),
      after: Self.scrape(at: 12, events: 3_400, busy: 1.5))
    let expected = """
      loop                 events/s  frames/s     lag  lag s  busy  idle stores  away watermark      state snapshot
      default/events-00        1200       120      12   0.3s   25%   75%     0%    0%      2.0s    9.2 MiB     1.5s
        dedupe   240k keys, 2 % of 12M, 9.1 MiB
        emitter  0 keys, 0 % of 1048k, 512 B
        links    1204 keys, <1 % of 1000k, 96.0 KiB
      """
    #expect(table.text == expected)
  }

  @Test("A loop that began anew shows no negative rate, and one that says nothing shows dashes")
  func restarted() {
    var quiet = MetricScrape(at: 1_000_000)
    quiet.add("smartcontent_partition_running{pipeline=\"p\",stream=\"s\"} 0\n")
    let lines = LoopTable(before: Self.scrape(at: 0, events: 9_000, busy: 3), after: quiet).text
      .split(separator: "\n")
    #expect(lines.count == 2 && lines[1].hasPrefix("p/s "))
    #expect(lines[1].split(separator: " ").dropFirst().prefix(8).allSatisfy { $0 == "-" })
    let again = LoopTable(
      before: Self.scrape(at: 0, events: 9_000, busy: 3),
      after: Self.scrape(at: 1, events: 10, busy: 0.1))
    #expect(again.text.split(separator: "\n")[1].split(separator: " ")[1] == "0")
  }
}
