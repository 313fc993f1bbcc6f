import Dataflow
import Events
import Testing
import Views

@testable import Runtime
@testable import smartcontent

@Suite("Replayed rows as JSON lines")
struct ReplayedLinesTests {
  private static let tuple =
    #""site":"shop","campaign":"spring","content":"","variant":"","channel":"","currency":"EUR","traffic":"","#
  private static let noon: Int64 = 1_763_985_600_000_000

  @Test(
    "each table has a line of its own form, every row is there, and the second stage counts no events"
  )
  func lines() throws {
    let tuple = DimensionTuple(site: "shop", campaign: "spring", currency: "EUR")
    let events = StreamPartition(stream: "events-g2-01", generation: 2, partition: 1)
    let partials = StreamPartition(stream: "partials-default-v1", generation: 0, partition: -2)
    let counts = Counts(
      impressions: 1, views: 2, clicks: 3, engagements: 4, conversions: 5, revenueMicros: 6)
    var row = WindowRow(
      level: .minute, start: Self.noon, dimensionID: 9, counts: counts, revision: 7, isFinal: true)
    var views = ReplayedViews()
    views.windows = [
      ReplayedViews.Window(stream: events, measure: .activity, row: row, tuple: tuple)
    ]
    row.level = .day
    row.isFinal = false
    views.windows.append(
      ReplayedViews.Window(stream: partials, measure: .outcomes, row: row, tuple: tuple))
    views.trends = [
      ReplayedViews.Trend(
        row: TrendRow(
          end: Self.noon, dimensionID: 9, counts: counts, revision: 0, isFinal: true), tuple: tuple)
    ]
    let incident = IncidentRow(
      id: 12, site: "shop", campaign: "spring", content: "", kind: .rateDown, begin: Self.noon,
      evidence: 8, severity: .warning, observed: 38, expected: 100, lower: 80, upper: 120,
      group: 12)
    views.incidents = [incident]
    views.lateEvents = [
      ReplayedViews.Late(
        stream: events,
        event: LateEvent(
          sequence: 8, index: 1, eventTime: Self.noon, kind: 3, dimensionID: 9, revenueMicros: 0),
        tuple: tuple)
    ]
    var accounting = Accounting()
    accounting.received = 3
    accounting.onTime = 2
    accounting.tooLate = 1
    views.accountingByStream = [events: accounting, partials: accounting]
    #expect(
      ReplayedLines.all(of: views) == [
        #"{"table":"metrics_1m","stream":"events-g2-01","window_start":"2025-11-24T12:00:00.000Z","#
          + Self.tuple
          + #""impressions":1,"views":2,"clicks":3,"engagements":4,"conversions":5,"#
          + #""revenue_micros":6,"revision":7,"final":true}"#,
        #"{"table":"outcomes_1d","stream":"partials-default-v1","#
          + #""window_start":"2025-11-24T12:00:00.000Z","# + Self.tuple
          + #""sessions":1,"bounces":2,"session_micros":3,"attributed_clicks":4,"#
          + #""attributed_conversions":5,"attributed_revenue_micros":6,"revision":7,"final":false}"#,
        #"{"table":"trends","window_end":"2025-11-24T12:00:00.000Z","# + Self.tuple
          + #""impressions":1,"views":2,"clicks":3,"engagements":4,"conversions":5,"#
          + #""revenue_micros":6,"revision":0,"final":true}"#,
        #"{"table":"incidents","incident":"#
          + String(decoding: IncidentReport(incident).json, as: UTF8.self) + "}",
        #"{"table":"late_events","stream":"events-g2-01","sequence":8,"index":1,"#
          + #""event_time":"2025-11-24T12:00:00.000Z","kind":"click","# + Self.tuple
          + #""revenue_micros":0}"#,
        #"{"table":"accounting","stream":"events-g2-01","received":3,"on_time":2,"late":0,"#
          + #""too_late":1,"duplicate":0,"rejected":0,"clamped_future":0}"#,
      ])
  }
}
