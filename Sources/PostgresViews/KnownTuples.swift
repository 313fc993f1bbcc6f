import Events
import PostgresClient
import Synchronization
import Views

/// Tuples by their ids, as they were read; an id stands for the same one for ever.
///
/// Limits: ``countMax`` tuples, after which they are read anew.
final class KnownTuples: Sendable {
  private static let countMax = 100_000

  private let known = Mutex<[Int64: DimensionTuple]>([:])

  /// The tuples of ids, those that are not known from the server; what is not there is left out.
  func read(
    _ ids: some Sequence<Int64>, in schema: ViewSchema, _ session: PostgresConnection
  ) throws(PostgresError) -> [Int64: DimensionTuple] {
    let wanted = Set(ids)
    if wanted.isEmpty { return [:] }
    var tuples = known.withLock { known in
      Dictionary(uniqueKeysWithValues: wanted.compactMap { id in known[id].map { (id, $0) } })
    }
    let missing = wanted.filter { tuples[$0] == nil }
    if missing.isEmpty { return tuples }
    let columns = Dimension.allCases.map(\.name).joined(separator: ", ")
    var parameters = PostgresParameters()
    parameters.append(int8Array: missing) { $0 }
    let result = try session.query(
      prepared: "tuples_\(schema.name)",
      "select id, \(columns) from \(schema.name).dimensions where id = any($1)", parameters)
    try result.require(.int8, .text, .text, .text, .text, .text, .text, .text)
    var found: [Int64: DimensionTuple] = [:]
    for row in 0..<result.rowCount {
      func text(_ dimension: Dimension) -> String {
        StoredText.decode(result.text(row, 1 + dimension.rawValue))
      }
      found[result.int8(row, 0)] = DimensionTuple(
        site: text(.site), campaign: text(.campaign), content: text(.content),
        variant: text(.variant), channel: text(.channel), currency: text(.currency),
        traffic: text(.traffic))
    }
    known.withLock { known in
      if known.count + found.count > Self.countMax { known.removeAll() }
      if found.count <= Self.countMax { known.merge(found) { _, new in new } }
    }
    tuples.merge(found) { _, new in new }
    return tuples
  }
}
