public import Dataflow

/// A column of a read model's table. Every value that is compared fits into 64 bits.
public struct StoredColumn: Hashable, Sendable {
  public enum Kind: Sendable {
    case int8
    case int4
    case int2
    /// 0 or 1.
    case bool
    /// Microseconds since the epoch.
    case time
  }

  public var name: String
  public var kind: Kind

  public init(_ name: String, _ kind: Kind = .int8) {
    self.name = name
    self.kind = kind
  }
}

/// Which rows of which table of a pipeline version are read, and which of their columns.
public struct StoredTable: Hashable, Sendable {
  /// Within the version's schema, such as `metrics_10s`.
  public var name: String
  /// Only the rows of this stream, of tables that have a column `stream`.
  public var stream: String?
  /// Columns that tell rows apart, in the order of the table's key.
  public var key: [StoredColumn]
  public var values: [StoredColumn]

  public init(
    name: String, stream: String? = nil, key: [StoredColumn], values: [StoredColumn]
  ) {
    self.name = name
    self.stream = stream
    self.key = key
    self.values = values
  }
}

/// A pipeline version's tables at one instant. Confined to one thread; valid only while it is lent.
public protocol StoredTables: AnyObject {
  func checkpoints() throws(ViewStoreError) -> [StreamPartition: Checkpoint]
  /// Calls `row` with the columns of key and values of every row, in order of the key.
  func read(
    _ table: StoredTable, row: (_ key: [Int64], _ values: [Int64]) -> Void
  ) throws(ViewStoreError)
  /// Whether the tuple that is stored under the id is this one; nil where none is stored.
  func isStored(tuple: [UInt8], id: Int64) throws(ViewStoreError) -> Bool?
}

/// Opens instants. Confined to one thread.
public protocol StoredTableReader: AnyObject {
  func instant<Value>(
    _ body: (any StoredTables) throws(ViewStoreError) -> Value
  ) throws(ViewStoreError) -> Value
}
