import CZlib
import Foundation

/// Rows of a CSV file, plain or gzip.
struct DataText {
  private(set) var columns: [String] = []
  private let bytes: [UInt8]
  private let path: String
  private var place = 0

  init(_ path: String) throws {
    self.path = path
    bytes = path.hasSuffix(".gz") ? try Self.inflated(path) : try DataFolder.bytes(path)
    guard let head = row() else { throw QualityError("\(path) is empty: expected a header") }
    columns = head.map { String(decoding: $0, as: UTF8.self) }
  }

  /// The cells of the next line that is not empty.
  mutating func row() -> [ArraySlice<UInt8>]? {
    while place < bytes.count {
      let end = bytes[place...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
      var line = bytes[place..<end]
      place = end + 1
      if line.last == UInt8(ascii: "\r") { line.removeLast() }
      if !line.isEmpty {
        return line.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
      }
    }
    return nil
  }

  func column(_ name: String) throws -> Int {
    guard let index = columns.firstIndex(of: name) else {
      throw QualityError("\(path) has no column \(name), it has \(columns.joined(separator: ", "))")
    }
    return index
  }

  static func number(_ cell: ArraySlice<UInt8>) -> Double {
    Double(String(decoding: cell, as: UTF8.self)) ?? .nan
  }

  /// Seconds of `2014-04-10 07:15:00`, as if in UTC.
  static func second(_ cell: ArraySlice<UInt8>) -> Int64? {
    var parts: [Int] = []
    for byte in cell.prefix(19) {
      if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
        if parts.isEmpty { parts.append(0) }
        parts[parts.count - 1] = parts[parts.count - 1] * 10 + Int(byte - 48)
      } else {
        parts.append(0)
      }
    }
    guard parts.count == 6 else { return nil }
    // Days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
    let year = parts[1] <= 2 ? parts[0] - 1 : parts[0]
    let era = year / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (parts[1] > 2 ? parts[1] - 3 : parts[1] + 9) + 2) / 5 + parts[2] - 1
    let days =
      era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    return Int64(days) * 86_400 + Int64(parts[3] * 3_600 + parts[4] * 60 + parts[5])
  }

  private static func inflated(_ path: String) throws -> [UInt8] {
    guard let file = gzopen(path, "rb") else { throw QualityError("\(path) can't be opened") }
    defer { gzclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = gzread(file, &buffer, UInt32(buffer.count))
      guard count >= 0 else { throw QualityError("\(path) is no gzip file, or damaged") }
      if count == 0 { return bytes }
      bytes += buffer[..<Int(count)]
    }
  }
}
