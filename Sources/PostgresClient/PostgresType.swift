/// The Postgres types that this client writes and reads, by their fixed object ids
/// (`pg_type.dat`; these ids never change between versions).
public struct PostgresType: Equatable, Sendable {
  public let oid: UInt32
  let name: String

  public static let bool = PostgresType(oid: 16, name: "bool")
  public static let bytea = PostgresType(oid: 17, name: "bytea")
  public static let int8 = PostgresType(oid: 20, name: "int8")
  public static let int2 = PostgresType(oid: 21, name: "int2")
  public static let int4 = PostgresType(oid: 23, name: "int4")
  public static let text = PostgresType(oid: 25, name: "text")
  public static let float8 = PostgresType(oid: 701, name: "float8")
  public static let timestamptz = PostgresType(oid: 1184, name: "timestamptz")

  @usableFromInline static let boolArray = PostgresType(oid: 1000, name: "bool[]")
  @usableFromInline static let byteaArray = PostgresType(oid: 1001, name: "bytea[]")
  @usableFromInline static let int2Array = PostgresType(oid: 1005, name: "int2[]")
  @usableFromInline static let int4Array = PostgresType(oid: 1007, name: "int4[]")
  @usableFromInline static let textArray = PostgresType(oid: 1009, name: "text[]")
  @usableFromInline static let int8Array = PostgresType(oid: 1016, name: "int8[]")
  @usableFromInline static let timestamptzArray = PostgresType(oid: 1185, name: "timestamptz[]")

  /// Microseconds from the Unix epoch to 2000-01-01, where Postgres's binary timestamps start.
  @usableFromInline static let epochOffset: Int64 = 946_684_800_000_000
  /// The first instant that Postgres can store, 4714-11-24 BC, in microseconds since the Unix
  /// epoch. The last one is past the range of `Int64`.
  public static let timestampMin: Int64 = -210_866_803_200_000_000
}

/// Microseconds since the Unix epoch → since 2000-01-01. `.min` (and anything that Postgres can't
/// store) is `-infinity`, `.max` is `infinity`; binary they are the same two extremes.
@inlinable
func postgresTimestamp(_ unixMicroseconds: Int64) -> Int64 {
  if unixMicroseconds < PostgresType.timestampMin { return .min }
  if unixMicroseconds == .max { return .max }
  return unixMicroseconds - PostgresType.epochOffset
}

/// The inverse of `postgresTimestamp`; instants past year 294246 are `.max`.
func unixTimestamp(_ postgresMicroseconds: Int64) -> Int64 {
  if postgresMicroseconds == .min { return .min }
  let (sum, overflow) = postgresMicroseconds.addingReportingOverflow(PostgresType.epochOffset)
  return overflow ? .max : sum
}
