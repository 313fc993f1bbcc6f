import Dataflow
import Events
import Ports

/// What one table was found to hold.
public struct TableFinding: Sendable {
  public var table: String
  /// Rows that were compared, stored and expected ones together.
  public var rowCount = 0
  public var differenceCount = 0
  /// The first difference as text: the key, what is expected and what is stored.
  public var first: String?

  public init(table: String) { self.table = table }

  /// Adds what was found in another part of the table.
  public mutating func add(_ other: TableFinding) {
    rowCount += other.rowCount
    differenceCount += other.differenceCount
    first = first ?? other.first
  }

  mutating func differs(_ text: @autoclosure () -> String) {
    differenceCount += 1
    if first == nil { first = text() }
  }
}

/// Compares the rows that a table must hold with those that it holds.
enum TableComparison {
  static func compare(
    _ expected: ExpectedTable, with stored: any StoredTables, into finding: inout TableFinding
  ) throws(ViewStoreError) {
    var left = expected.rows
    var found = finding
    try stored.read(expected.table) { key, values in
      if let time = key.first, time < expected.comparedFrom || time >= expected.comparedTo {
        left[key] = nil
        return
      }
      found.rowCount += 1
      guard let row = left.removeValue(forKey: key) else {
        if expected.isSparse, values.dropLast().allSatisfy({ $0 == 0 }) { return }
        return found.differs(text(expected, key, expected: nil, stored: values))
      }
      guard row.values == values else {
        return found.differs(text(expected, key, expected: row.values, stored: values))
      }
    }
    let missing = left.filter { !$0.value.mayBeMissing }
    if let first = missing.keys.min(by: { $0.lexicographicallyPrecedes($1) }) {
      found.differs(text(expected, first, expected: missing[first]?.values, stored: nil))
      found.rowCount += missing.count
      found.differenceCount += missing.count - 1
    }
    finding = found
  }

  static func compare(
    tuples: [Int64: [UInt8]], with stored: any StoredTables, into finding: inout TableFinding
  ) throws(ViewStoreError) {
    for (id, tuple) in tuples.sorted(by: { $0.key < $1.key }) {
      finding.rowCount += 1
      switch try stored.isStored(tuple: tuple, id: id) {
      case true: continue
      case false:
        finding.differs("dimensions id=\(id): expected \(text(tuple)), stored is another tuple")
      case nil: finding.differs("dimensions id=\(id): expected \(text(tuple)), stored nothing")
      }
    }
  }

  private static func text(
    _ table: ExpectedTable, _ key: [Int64], expected: [Int64]?, stored: [Int64]?
  ) -> String {
    var place = table.table.name
    if let stream = table.table.stream { place += " stream=\(stream)" }
    place += text(table.table.key, key)
    for (column, value) in zip(table.table.key, key) where column.name == "dimension_id" {
      if let tuple = table.tuples[value] { place += " (\(text(tuple)))" }
    }
    func side(_ values: [Int64]?) -> String {
      values.map { text(table.table.values, $0) } ?? " nothing"
    }
    return "\(place): expected\(side(expected)); stored\(side(stored))"
  }

  private static func text(_ columns: [StoredColumn], _ values: [Int64]) -> String {
    zip(columns, values).map { column, value in
      " \(column.name)=" + (column.kind == .time ? Timestamp.format(value) : "\(value)")
    }.joined()
  }

  /// The values of a tuple that has some.
  static func text(_ encoded: [UInt8]) -> String {
    guard let tuple = encoded.withUnsafeBytes({ DimensionTuple(encoded: $0) }) else {
      return "\(encoded.count) bytes"
    }
    return Dimension.allCases.filter { !tuple[$0].isEmpty }.map { "\($0.name) \(tuple[$0])" }
      .joined(separator: ", ")
  }
}
