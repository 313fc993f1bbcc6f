import Events
import Testing

@Suite("Timestamps")
struct TimestampTests {
  @Test(
    "the forms that SDKs send are read",
    arguments: [
      ("1970-01-01T00:00:00Z", 0),
      ("1970-01-01", 0),
      ("1970-01-01T00:00", 0),
      ("1970-01-01 00:00:00", 0),
      ("1970-01-01T00:00:00.000001Z", 1),
      ("1969-12-31T23:59:59.999999Z", -1),
      ("2026-11-23T09:00:00Z", 1_795_424_400_000_000),
      ("2026-11-23t09:00:00z", 1_795_424_400_000_000),
      ("2026-11-23T09:00:00.5Z", 1_795_424_400_500_000),
      ("2026-11-23T09:00:00,5Z", 1_795_424_400_500_000),
      ("2026-11-23T09:00:00.123Z", 1_795_424_400_123_000),
      ("2026-11-23T09:00:00.123456+00:00", 1_795_424_400_123_456),
      ("2026-11-23T09:00:00.123456999Z", 1_795_424_400_123_456),
      ("2026-11-23T09:00:00.12345699999999999999999Z", 1_795_424_400_123_456),
      ("2026-11-23T11:00:00+02:00", 1_795_424_400_000_000),
      ("2026-11-23T11:00:00+0200", 1_795_424_400_000_000),
      ("2026-11-23T11:00:00+02", 1_795_424_400_000_000),
      ("2026-11-23T03:30:00-05:30", 1_795_424_400_000_000),
      ("2000-02-29T00:00:00Z", 951_782_400_000_000),
      ("2024-02-29", 1_709_164_800_000_000),
      ("1900-03-01", -2_203_891_200_000_000),
      ("1600-02-29", -11_670_998_400_000_000),
      ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
      ("0000-01-01T00:00:00Z", Timestamp.min),
      ("9999-12-31T23:59:59.999999Z", Timestamp.max),
    ] as [(String, Int64)])
  func parse(text: String, micros: Int64) {
    #expect(Timestamp.parse(text) == micros)
  }

  @Test(
    "what names no instant is refused",
    arguments: [
      "", "2026", "2026-11", "2026-1-1", "2026-11-23T", "2026-11-23T09", "2026-11-23T9:00",
      "2026-13-01", "2026-00-01", "2026-01-00", "2026-01-32", "2026-02-29", "2026-04-31",
      "1900-02-29", "2026-11-23T24:00:00Z", "2026-11-23T23:60:00Z", "2026-11-23T23:59:61Z",
      "2026-11-23T09:00:00.Z", "2026-11-23T09:00:00+", "2026-11-23T09:00:00+2:00",
      "2026-11-23T09:00:00+24:00", "2026-11-23T09:00:00+01:60", "2026-11-23T09:00:00ZZ",
      "2026-11-23T09:00:00 Z", " 2026-11-23", "2026-11-23 ", "2026/11/23", "20261123T090000Z",
      "1795424400", "2026-11-23T09:00:00+01:", "2026-11-23_09:00:00", "-2026-11-23",
      "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "２０２６-11-23",
    ])
  func refused(text: String) {
    #expect(Timestamp.parse(text) == nil)
  }

  @Test(
    "milliseconds are written, microseconds where there are any",
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"),
      (1_795_424_400_120_000, "2026-11-23T09:00:00.120Z"),
      (1_795_424_400_120_001, "2026-11-23T09:00:00.120001Z"),
      (-1, "1969-12-31T23:59:59.999999Z"),
      (Timestamp.min, "0000-01-01T00:00:00.000Z"),
      (Int64.min, "0000-01-01T00:00:00.000Z"),
      (Int64.max, "9999-12-31T23:59:59.999999Z"),
    ] as [(Int64, String)])
  func format(micros: Int64, text: String) {
    #expect(Timestamp.format(micros) == text)
  }

  @Test("what is written reads back the same")
  func roundTrip() {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<20_000 {
      let micros = Int64.random(in: Timestamp.min...Timestamp.max, using: &random)
      #expect(Timestamp.parse(Timestamp.format(micros)) == micros)
    }
  }

  @Test("every day from 1599 to 2401 follows the one before it")
  func calendar() {
    var expected: Int64?
    for year in 1599...2401 {
      for month in 1...12 {
        for day in 1...31 {
          let text =
            "\(year)-\(month < 10 ? "0" : "")\(month)-\(day < 10 ? "0" : "")\(day)"
          guard let micros = Timestamp.parse(text) else { continue }
          #expect(expected == nil || micros == expected, "\(text)")
          expected = micros + 86_400_000_000
        }
      }
    }
    #expect(expected == Timestamp.parse("2402-01-01"))
  }
}
