import Events
import Ports
import Testing
import Views

@testable import Notifications

@Suite("What people are told of incidents")
struct IncidentTextTests {
  private func summary(
    _ row: IncidentRow, east offset: Int64 = 0, _ change: (inout IncidentRow) -> Void = { _ in }
  ) -> String {
    var row = row
    change(&row)
    let clock = IncidentSummary.LocalClock { _ in offset * 3_600_000_000 }
    return IncidentSummary(row, clock: clock).text
  }

  @Test("says what, of what, how much, beside what, since when and by what")
  func summaries() {
    #expect(
      summary(.sample())
        == "clicks of campaign spring are 62 % below what is usual for so many impressions on a Monday"
        + " at 10, since 10:15; mostly variant b")
    #expect(
      IncidentSummary(.sample(), clock: .utc).text.hasSuffix(
        "on a Monday at 10, since 10:15 UTC; mostly variant b"))
    #expect(
      summary(.sample(end: IncidentRow.monday + 3_000_000_000), east: 14) {
        $0.kind = .trafficUp
        $0.observed = 345
        $0.contributor = nil
        $0.campaign = ""
      }
        == "impressions of the whole site default were 3.5 times what is usual on a Tuesday at 0,"
        + " from 00:15 to 01:05")
    #expect(
      summary(.sample(), east: -11) {
        $0.kind = .conversionUp
        $0.observed = 129
        $0.content = "post-1"
        $0.contributor?.value = ""
      }
        == "conversions of content post-1 of campaign spring are 29 % above what is usual for so many"
        + " clicks on a Sunday at 23, since 23:15; mostly variant (none)")
    #expect(summary(.sample()) { $0.observed = 12_345 }.contains("are 123 times what is usual"))
    #expect(summary(.sample()) { $0.expected = 0 }.contains("are 38, which is not what is usual"))
  }

  @Test("before 1970 there were weekdays too")
  func early() {
    #expect(summary(.sample()) { $0.begin = -1 }.contains("on a Wednesday at 23, since 23:59"))
  }

  @Test(
    "the message of a webhook has type, time and the incident; its bytes are the same each time")
  func message() throws {
    let notice = IncidentNotice(row: .sample(), isOpen: true, told: nil)
    let text = String(decoding: notice.message, as: UTF8.self)
    #expect(
      text.hasPrefix(
        #"{"type":"incident.opened","timestamp":"2026-11-30T10:15:00.000Z","data":{"id":"7","#
          + #""site":"default","campaign":"spring","content":"","kind":"rate_down","#
          + #""severity":"warning","open":true,"begin":"2026-11-30T10:15:00.000Z","end":null,"#
          + #""evidence":8.25,"observed":38,"expected":100.0,"range":[81.0,119.5],"#))
    #expect(
      text.hasSuffix(
        #""series":[{"start":"2026-11-30T10:10:00.000Z","observed":31,"expected":33.5},"#
          + #"{"start":"2026-11-30T10:15:00.000Z","observed":12,"expected":33.25}]}}"#))
    #expect(text.contains(#""contributor":{"dimension":"variant","value":"b","share":0.7}"#))
    #expect(text.contains(#""group":"7","feedback":null,"revision":1,"summary":"clicks of "#))
    #expect(notice.message == notice.message)
    let fact = String(decoding: notice.fact, as: UTF8.self)
    #expect(!fact.contains("series") && fact.hasSuffix("}"))
    try Array(fact.utf8).withUnsafeBytes { bytes in
      var json = JSONScanner(bytes)
      _ = try json.skipValue()
      try json.end()
    }
  }

  @Test("what it is follows from what was told before")
  func events() {
    let cases: [(told: Bool?, isOpen: Bool, event: IncidentNotice.Event)] = [
      (nil, true, .opened), (nil, false, .closed), (true, true, .updated), (true, false, .closed),
      (false, true, .opened), (false, false, .updated),
    ]
    for (told, isOpen, event) in cases {
      let notice = IncidentNotice(
        row: .sample(), isOpen: isOpen,
        told: told.map { IncidentNotice.Told(isOpen: $0, sequence: 0) })
      #expect(notice.event == event, "\(String(describing: told)) \(isOpen)")
    }
  }
}
