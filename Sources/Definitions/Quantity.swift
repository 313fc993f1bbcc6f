/// Numbers with a unit, as the definition files write them.
public enum Quantity {
  static let durationUnits: [(unit: String, micros: Int64)] = [
    ("us", 1), ("ms", 1000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000),
    ("d", 86_400_000_000),
  ]

  static let byteUnits: [(unit: String, bytes: Int64)] = [
    ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
  ]

  /// `24h`, `5s`, `250ms` in microseconds; nil where it is none.
  public static func duration(_ text: String) -> Int64? {
    number(text, durationUnits.map { ($0.unit, $0.micros) })
  }

  /// `64MiB`, `512B` in bytes; nil where it is none.
  static func bytes(_ text: String) -> Int64? {
    number(text, byteUnits.map { ($0.unit, $0.bytes) })
  }

  /// The shortest text of a duration.
  public static func text(micros: Int64) -> String {
    text(micros, durationUnits.map { ($0.unit, $0.micros) })
  }

  /// The shortest text of a size.
  static func text(bytes: Int64) -> String {
    text(bytes, byteUnits.map { ($0.unit, $0.bytes) })
  }

  private static func number(_ text: String, _ units: [(String, Int64)]) -> Int64? {
    let digits = text.utf8.prefix { $0 &- 0x30 <= 9 }
    let unit = String(text.dropFirst(digits.count))
    guard let count = Int64(String(digits) ?? ""),
      let factor = units.first(where: { $0.0 == unit })?.1
    else { return nil }
    let (value, overflow) = count.multipliedReportingOverflow(by: factor)
    return overflow ? nil : value
  }

  private static func text(_ value: Int64, _ units: [(String, Int64)]) -> String {
    let unit = units.last { value != 0 && value % $0.1 == 0 } ?? units[0]
    return "\(value / unit.1)\(unit.0)"
  }
}
