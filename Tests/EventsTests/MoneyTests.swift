import Events
import Testing

@Suite("Money")
struct MoneyTests {
  @Test(
    "decimal text is read exactly, half to even beyond the sixth decimal",
    arguments: [
      ("0", 0), ("-0", 0), ("9.99", 9_990_000), ("-0.5", -500_000), ("1e3", 1_000_000_000),
      ("1E+3", 1_000_000_000), ("12e-1", 1_200_000), ("0.1", 100_000), ("+5", 5_000_000),
      (".5", 500_000), ("5.", 5_000_000), ("007.50", 7_500_000), ("0.0000005", 0),
      ("0.0000015", 2), ("0.0000025", 2), ("0.00000250001", 3), ("0.0000035", 4),
      ("-0.0000015", -2), ("0.00000049999999999999", 0), ("5e-7", 0), ("6e-7", 1), ("4e-8", 0),
      ("99e-8", 1), ("1e-999999999999", 0), ("0e999999999999", 0), ("0.000000", 0),
      ("123456.789", 123_456_789_000), ("1.0000000000000000000000000000000000001", 1_000_000),
      ("100000000000000000000e-20", 1_000_000), ("0.00000000000000000000000000001e29", 1_000_000),
      ("9223372036854.775806", 9_223_372_036_854_775_806),
      ("-9223372036854.775806", -9_223_372_036_854_775_806),
      ("9223372036854.7758065", 9_223_372_036_854_775_806),
    ] as [(String, Int64)])
  func micros(text: String, expected: Int64) {
    #expect(Money.micros(text) == expected)
  }

  @Test(
    "what is no decimal number or too large is refused",
    arguments: [
      "", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "1,50", "1 000", "$5", "5 EUR", " 5", "5 ",
      "0x10", "NaN", "Infinity", "--5", "1e5.5", "9223372036854.775808", "-9223372036854.775809",
      "1e13", "1e999999999999", "99999999999999999999999999", "٣",
    ])
  func refused(text: String) {
    #expect(Money.micros(text) == nil)
  }

  @Test("the shortest text is written and reads back the same")
  func roundTrip() {
    for (micros, text) in [
      (0, "0"), (9_990_000, "9.99"), (-500_000, "-0.5"), (1_000_000_000, "1000"), (1, "0.000001"),
      (-1, "-0.000001"), (1_000_010, "1.00001"),
    ] as [(Int64, String)] {
      #expect(Money.text(micros) == text)
    }
    var random = SeededGenerator(seed: 6)
    for _ in 0..<20_000 {
      let micros =
        Int64.random(in: -Int64.max + 1...Int64.max - 1, using: &random)
        / [1, 1000, 1_000_000, 1_000_000_000].randomElement(using: &random)!
      #expect(Money.micros(Money.text(micros)) == micros)
    }
    #expect(Money.text(.min) == "-9223372036854.775808")
  }
}
