import Events
import Ports
import PostgresClient
import Views

/// The tuples behind the ids of window rows.
///
/// An id is a hash, so two tuples could share one; that would add up the numbers of two different
/// things for ever, so every tuple is compared with what is stored under its id and a difference is
/// an error that stops the stream. Ids that have been compared are remembered, at most `countMax`.
struct DimensionTable {
  private let schema: ViewSchema
  private let countMax: Int
  private var known: Set<Int64> = []
  private static let rowsPerStatement = 4_096

  init(_ schema: ViewSchema, countMax: Int) {
    self.schema = schema
    self.countMax = max(1, countMax)
  }

  mutating func forget() { known.removeAll() }

  /// Inserts those that are missing, outside of any transaction.
  /// - Throws: `refused` if an id already stands for another tuple.
  mutating func insert(
    _ entries: [DimensionEntry], _ connection: PostgresConnection
  ) throws(ViewStoreError) {
    // In order of id: two streams that bring the same tuples wait for each other, never in a ring.
    let new = entries.filter { !known.contains($0.id) }.sorted { $0.id < $1.id }
    var rest = new[...]
    while !rest.isEmpty {
      let chunk = rest.prefix(DimensionTable.rowsPerStatement)
      rest = rest.dropFirst(DimensionTable.rowsPerStatement)
      try insert(chunk: chunk, connection)
      if known.count + chunk.count > countMax { known.removeAll(keepingCapacity: true) }
      known.formUnion(chunk.map(\.id))
    }
  }

  /// Looks all of them up and writes those that are missing: a new owner of a stream brings tuples that are there.
  private func insert(
    chunk: ArraySlice<DimensionEntry>, _ connection: PostgresConnection
  ) throws(ViewStoreError) {
    let missing = try missing(of: chunk, connection)
    if missing.isEmpty { return }
    let parameters = try Self.parameters(missing[...])
    let inserted: Int
    do throws(PostgresError) {
      let result = try connection.query(prepared: "dimensions", insertion, parameters)
      inserted = result.affectedRowCount
    } catch {
      throw ViewStoreError(error)
    }
    if inserted == missing.count { return }
    // Somebody has written some of them meanwhile, or has one of these tuples under another id.
    if let refused = try self.missing(of: missing[...], connection).first {
      throw Self.clash(refused.id)
    }
  }

  /// - Throws: `refused` if an id already stands for another tuple.
  private func missing(
    of chunk: ArraySlice<DimensionEntry>, _ connection: PostgresConnection
  ) throws(ViewStoreError) -> [DimensionEntry] {
    let parameters = try Self.parameters(chunk)
    var missing: Set<Int64> = []
    var clashing: Int64?
    do throws(PostgresError) {
      let result = try connection.query(prepared: "dimensions_check", comparison, parameters)
      try result.require(.int8, .bool)
      for row in 0..<result.rowCount {
        let id = result.int8(row, 0)
        if result.bool(row, 1) { missing.insert(id) } else { clashing = id }
      }
    } catch {
      throw ViewStoreError(error)
    }
    if let clashing { throw Self.clash(clashing) }
    return missing.isEmpty ? [] : chunk.filter { missing.contains($0.id) }
  }

  private static func clash(_ id: Int64) -> ViewStoreError {
    .refused(
      "dimension id \(id) stands for two different tuples: one of them must be renamed at its source"
    )
  }

  private static func parameters(
    _ chunk: ArraySlice<DimensionEntry>
  ) throws(ViewStoreError) -> PostgresParameters {
    var columns: [[String]] = Array(repeating: [], count: Dimension.allCases.count)
    for entry in chunk {
      guard let fields = DimensionTable.fields(of: entry.encoded) else {
        throw .refused("the tuple of dimension id \(entry.id) is not encoded as a tuple")
      }
      for (index, field) in fields.enumerated() {
        columns[index].append(StoredText.encode(field))
      }
    }
    var parameters = PostgresParameters(capacity: 256 * chunk.count)
    parameters.append(int8Array: chunk) { $0.id }
    for column in columns { parameters.append(textArray: column) }
    return parameters
  }

  /// The texts that stand for an encoded tuple; nil where it is none.
  static func texts(of encoded: [UInt8]) -> [String]? {
    fields(of: encoded)?.map { StoredText.encode($0) }
  }

  /// The raw bytes of each value of an encoded tuple, so that even bytes that are not UTF-8 keep
  /// two tuples apart. Nil where it is not one.
  private static func fields(of encoded: [UInt8]) -> [ArraySlice<UInt8>]? {
    var fields: [ArraySlice<UInt8>] = []
    var rest = encoded[...]
    for dimension in Dimension.allCases {
      if rest.isEmpty && !Dimension.always.contains(dimension) {
        fields.append([])
        continue
      }
      guard rest.count >= 2 else { return nil }
      let length = Int(rest[rest.startIndex]) | Int(rest[rest.startIndex + 1]) << 8
      rest = rest.dropFirst(2)
      guard rest.count >= length else { return nil }
      fields.append(rest.prefix(length))
      rest = rest.dropFirst(length)
    }
    return rest.isEmpty ? fields : nil
  }

  private var given: String {
    """
    unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[])
      as g (id, site, campaign, content, variant, channel, currency, traffic)
    """
  }

  private var insertion: String {
    """
    insert into \(schema.name).dimensions
      (id, site, campaign, content, variant, channel, currency, traffic)
    select * from \(given) on conflict do nothing
    """
  }

  /// Those that are not there (true), and those whose id stands for another tuple (false).
  private var comparison: String {
    """
    select g.id, d.id is null from \(given) left join \(schema.name).dimensions d on d.id = g.id
    where (d.site, d.campaign, d.content, d.variant, d.channel, d.currency, d.traffic)
      is distinct from (g.site, g.campaign, g.content, g.variant, g.channel, g.currency, g.traffic)
    """
  }
}
