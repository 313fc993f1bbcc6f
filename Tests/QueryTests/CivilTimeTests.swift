import Testing

@testable import QueryAPI

@Suite struct CivilTimeTests {
  @Test(
    "a timestamp reads as microseconds since the epoch",
    arguments: [
      ("1970-01-01T00:00:00Z", 0),
      ("2026-11-01T00:00:00Z", 1_793_491_200_000_000),
      ("2026-11-01T01:00:00+01:00", 1_793_491_200_000_000),
      ("2026-10-31t20:00:00-04:00", 1_793_491_200_000_000),
      ("1969-12-31T23:59:59.5Z", -500_000),
      ("2024-02-29T12:00:00.000001Z", 1_709_208_000_000_001),
    ] as [(String, Int64)])
  func parses(text: String, micros: Int64) {
    #expect(CivilTime.parseTimestamp(text) == micros)
  }

  @Test(
    "text that is no RFC 3339 timestamp with an offset is refused",
    arguments: [
      "", "2026-11-01", "2026-11-01T00:00:00", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z",
      "2026-11-01 00:00:00Z", "2026-11-01T24:00:00Z", "2026-11-01T00:00:00.Z",
      "2026-11-01T00:00:00+0100", "2026-11-01T00:00:00Zx", "2026-11-00T00:00:00Z",
    ])
  func refuses(text: String) {
    #expect(CivilTime.parseTimestamp(text) == nil)
  }

  @Test("days and dates convert both ways over 400 years")
  func roundTrip() {
    for days in stride(from: Int64(-80_000), through: 80_000, by: 1) {
      let date = CivilTime.date(days: days)
      #expect(CivilTime.days(year: date.year, month: date.month, day: date.day) == days)
      #expect(CivilTime.parseDate(CivilTime.dateText(days: days)) == days)
    }
  }

  @Test("text of an instant reads back as the same instant, in any offset")
  func textRoundTrip() {
    for micros: Int64 in [0, -1, 1, 1_793_491_200_000_000, 1_793_491_234_560_000] {
      for offset in [0, 3600, -12_600, 19_800] {
        let text = CivilTime.text(micros: micros, offset: offset)
        #expect(CivilTime.parseTimestamp(text) == micros, "\(text)")
      }
    }
    #expect(CivilTime.text(micros: 1_793_491_200_000_000) == "2026-11-01T00:00:00Z")
    #expect(
      CivilTime.text(micros: 1_793_491_200_120_000, offset: 19_800)
        == "2026-11-01T05:30:00.12+05:30")
  }
}
