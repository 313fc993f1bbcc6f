import Dataflow
import Events
import Ports
import Views

/// Incidents: table `incidents`. Every event is put into its bin, in plain dictionaries, and all bins are
/// looked at once at the end, in order of time, by ``NaiveIncidents``.
///
/// Nothing of the operator is used: which events came in time, which bins are known, what feedback came when, and
/// what a closed bin means are all told anew. Beyond this recount goes the limit of tuples in open bins.
final class IncidentRecount: ReadModelRecount {
  private struct Bin {
    /// Impressions, clicks and conversions by tuple.
    var counts: [Int: SIMD3<Int64>] = [:]
    var parts: Set<Int64> = []
    var remarks: Set<NaiveIncidents.Remark> = []
  }

  private let spec: PipelineSpec
  private let tuples: TupleNumbers
  private var bins: [Int64: Bin] = [:]
  /// Log time of each stream of the events.
  private var logTimes: [StreamPartition: Int64] = [:]
  private var handedOn: Set<StreamPartition> = []
  /// Of tuples: the encoded site, and whether they are of bots.
  private var sites: [Int: (site: [UInt8], isBot: Bool)] = [:]

  init(spec: PipelineSpec, tuples: TupleNumbers) {
    self.spec = spec
    self.tuples = tuples
  }

  var isOfSecondStage: Bool { true }

  func markHandedOn(_ stream: StreamPartition) { handedOn.insert(stream) }

  func begin(_ moment: Moment) {
    guard let policy = spec.anomalies, moment.stream.role == .events,
      !handedOn.contains(moment.stream)
    else { return }
    logTimes[moment.stream] = moment.logTime
    let start = policy.floor(moment.logTime)
    bins[start, default: Bin()].parts.insert((moment.logTime - start) / policy.part)
  }

  func add(_ event: JudgedEvent, _ moment: Moment) {
    guard let policy = spec.anomalies, let trends = spec.trends, moment.stream.role == .events,
      event.verdict == .onTime || event.verdict == .late, !handedOn.contains(moment.stream)
    else { return }
    let (site, isBot) = site(of: event.tuple)
    if let feedback = event.feedback {
      bins[policy.floor(moment.logTime), default: Bin()].remarks.insert(
        NaiveIncidents.Remark(feedback: feedback, site: site))
      return
    }
    let watched: [EventKind] = [.impression, .click, .conversion]
    guard let place = watched.firstIndex(where: { $0.rawValue == event.kind }), !isBot,
      event.time >= max(0, moment.watermark - trends.size)
    else { return }
    let latest = logTimes.filter { $0.key.generation < moment.stream.generation }.values.max()
    let closedEnd = policy.closedEnd(
      logTime: max(moment.logTime, latest ?? .min), disorder: spec.allowedDisorder)
    let start = policy.floor(event.time - event.time % trends.slide)
    guard start + policy.bin > closedEnd else { return }
    bins[start, default: Bin()].counts[event.tuple, default: .zero][place] += 1
  }

  private func site(of tuple: Int) -> (site: [UInt8], isBot: Bool) {
    if let known = sites[tuple] { return known }
    var site: [UInt8] = []
    let decoded = tuples.tuples[tuple].withUnsafeBytes { DimensionTuple(encoded: $0) }
    if let decoded { DimensionTuple.append(decoded.site, to: &site) }
    let found = (site, decoded.map { !$0.traffic.isEmpty } ?? true)
    sites[tuple] = found
    return found
  }

  /// The rows that all bins up to the watermark have come to.
  func rows(watermark: Int64) -> [Int64: IncidentRow] {
    guard let policy = spec.anomalies else { return [:] }
    var incidents = NaiveIncidents(policy)
    for (start, bin) in bins.sorted(by: { $0.key < $1.key })
    where start + policy.bin <= watermark {
      let sums = bin.counts.map { (tuples.tuples[$0.key], $0.value) }
      incidents.close(
        start, Dictionary(uniqueKeysWithValues: sums),
        isKnown: bin.parts.count + 1 >= IncidentPolicy.partCount, remarks: bin.remarks)
    }
    return incidents.rows
  }

  func expected(at instant: Instant) -> [ExpectedTable] {
    guard spec.anomalies != nil, let checkpoint = instant.secondStage else { return [] }
    var table = ExpectedTable(
      table: StoredTable(
        name: "incidents", key: [StoredColumn("begin_at", .time), StoredColumn("id")],
        values: [
          StoredColumn("kind", .int2), StoredColumn("severity", .int2),
          StoredColumn("revision", .int4), StoredColumn("digest"),
        ]), rows: [:])
    if checkpoint.logTime > .min + IncidentRow.retention {
      table.comparedFrom = checkpoint.logTime - IncidentRow.retention + 1
    }
    for row in rows(watermark: checkpoint.watermark).values
    where row.begin >= table.comparedFrom {
      table.rows[[row.begin, row.id]] = ExpectedRow(values: [
        Int64(row.kind.rawValue), Int64(row.severity.rawValue), Int64(row.revision), row.digest,
      ])
    }
    return [table]
  }
}
