import Dataflow
import Events
import Ports
import Verification
import Views

// The end of a simulation: nothing fails any more, and everything must be committed and be what a
// recount gives.
extension Simulation {
  mutating func settle() {
    note("nothing fails any more")
    log.isAway = false
    log.disconnect()
    views.isAway = false
    redis.isAway = false
    clock.wallSkew = 0
    clock.logSkew = 0
    clock.advance(micros: 2 * hour)
    trimmedHalts = [:]
    writeHeartbeats()
    for round in 0..<4000 {
      for stream in streams where !owners.contains(where: { $0.stream == stream }) { start(stream) }
      for owner in owners { step(owner) }
      if hasEnded { return }
      if trimmedHalts.values.contains(where: { $0 > 40 }) {
        report.end = .trimmed
        return
      }
      guard round % 20 == 19 else { continue }
      if isDone(streams) {
        report.end = .compared
        return compare()
      }
      if round > 1000 && isDone(streams.prefix(partitions)) && lacksPartials {
        report.end = .waiting
        return
      }
    }
    let progress = streams.map {
      "\($0.stream) \(views.now($0).checkpoint.sequence)/\(log.count($0.stream))"
    }
    fail("not everything was committed in time: \(progress.joined(separator: " "))")
  }

  /// Time passes for every partition. Where a log went back, long enough for its partition to hand on
  /// as much as it had before.
  private mutating func writeHeartbeats() {
    let heartbeats = SimulatedHeartbeats(log, SimulatedHost())
    for stream in streams.prefix(partitions) {
      for _ in 0..<(log.lives.isEmpty ? 3 : 12) {
        clock.advance(micros: 2 * second)
        heartbeats.write(stream)
      }
    }
  }

  private func isDone(_ streams: some Sequence<StreamPartition>) -> Bool {
    streams.allSatisfy { stream in
      let checkpoint = views.now(stream).checkpoint
      return checkpoint.sequence == log.count(stream.stream)
        && checkpoint.coarseSequence == checkpoint.sequence
        && redis.copies[stream]?.header.sequence == checkpoint.sequence
        && (stream.role != .partials || hasTakenAll(checkpoint))
    }
  }

  /// Whether the second stage has taken what its sources have handed on last.
  private func hasTakenAll(_ checkpoint: Checkpoint) -> Bool {
    var last: [UInt32: PartialFrameHead] = [:]
    for head in heads(log.streams) where head.number >= last[head.partition]?.number ?? 0 {
      last[head.partition] = head
    }
    return last.values.allSatisfy { head in
      let source = checkpoint.sources.first { $0.partition == Int(head.partition) }
      return source?.sequence == head.sourceSequence
    }
  }

  /// A frame of partials was acknowledged, lost, and is not made again.
  private var lacksPartials: Bool {
    let present = Set(heads(log.streams).map(PartialPlace.init))
    return heads(log.lost).contains { !present.contains(PartialPlace($0)) }
  }

  private func heads(_ streams: [String: [SimulatedLog.Entry]]) -> [PartialFrameHead] {
    streams[spec.partialsStream, default: []].compactMap { entry in
      entry.bytes.withUnsafeBytes { bytes in
        do throws(FrameError) {
          return try PartialFrameView(bytes).head
        } catch {
          return nil
        }
      }
    }
  }

  private struct PartialPlace: Hashable {
    var partition: UInt32
    var number: UInt64

    init(_ head: PartialFrameHead) {
      partition = head.partition
      number = head.number
    }
  }

  // MARK: Comparing

  private mutating func compare() {
    for stream in streams.prefix(partitions) {
      let table = views.now(stream)
      let recount = Recount(log.entries(stream.stream), spec: spec)
      if table.accounting != recount.accounting {
        fail("\(stream.stream): \(table.accounting) is not \(recount.accounting)")
      }
      if table.lateCount != recount.lateCount { fail("\(stream.stream): late events") }
      let difference = World.difference(table.rows, recount.durable)
      if difference != "" { fail("\(stream.stream): \(difference)") }
      guard let hot = redis.copies[stream] else { continue }
      let found = hot.rows.filter { $0.key.start >= hot.header.seams[$0.key.level] }
      let hotDifference = World.difference(found, recount.live(hot.header.seams))
      if hotDifference != "" { fail("hot \(stream.stream): \(hotDifference)") }
    }
    guard spec.hasSecondStage else { return }
    let stream = StreamPartition.partials(of: spec)
    let table = views.now(stream)
    if !table.accounting.isConserved { fail("partials: \(table.accounting)") }
    if let policy = spec.persons { compareOutcomes(policy, table, redis.copies[stream]) }
    if let policy = spec.trends { compareTrends(policy, table) }
  }

  private mutating func compareOutcomes(
    _ policy: PersonPolicy, _ table: SimulatedViews.Table, _ hot: SimulatedRedis.Copy?
  ) {
    var truth = OutcomeTruth(policy)
    for stream in streams.prefix(partitions) {
      truth.add(
        log.entries(stream.stream), disorder: spec.allowedDisorder,
        lateness: spec.allowedLateness)
    }
    var expected: [RowKey: Outcomes] = [:]
    for (place, outcomes) in NaiveOutcomes(truth.facts, policy, watermark: .max / 2).sums {
      for level in WindowLevel.allCases {
        let key = RowKey(
          level: level, start: level.start(of: place.window), tuple: place.tuple.encoded)
        expected[key, default: Outcomes()] += outcomes
      }
    }
    compare("outcomes", table.rows, expected)
    if let experiments = policy.experiments { compareExposures(experiments, table, truth) }
    guard let hot else { return }
    func isInState(_ key: RowKey) -> Bool { key.start >= hot.header.seams[key.level] }
    compare(
      "hot outcomes", hot.rows.filter { isInState($0.key) },
      expected.filter { isInState($0.key) })
  }

  private mutating func compareExposures(
    _ policy: ExperimentPolicy, _ table: SimulatedViews.Table, _ truth: OutcomeTruth
  ) {
    var expected: [Measure: [RowKey: Outcomes]] = [:]
    for (place, sums) in NaiveExposures(truth.facts, policy, anchors: truth.anchors).sums {
      for level in WindowLevel.allCases {
        let key = RowKey(
          level: level, start: level.start(of: place.window), tuple: place.tuple.encoded)
        expected[.exposures, default: [:]][key, default: Outcomes()] += Outcomes(
          sums.exposures.counts)
        expected[.baselines, default: [:]][key, default: Outcomes()] += Outcomes(
          sums.baselines.counts)
      }
    }
    for measure in [Measure.exposures, .baselines] {
      compare("\(measure)", table.experiments[measure] ?? [:], expected[measure] ?? [:])
    }
  }

  private mutating func compare(
    _ what: String, _ rows: [RowKey: RowValue], _ expected: [RowKey: Outcomes]
  ) {
    for key in Set(rows.keys).union(expected.keys) {
      let found = Outcomes(rows[key]?.counts ?? Counts())
      let wanted = expected[key] ?? Outcomes()
      if found != wanted {
        fail("\(what), \(key.level) at \(key.start): \(found) is not \(wanted)")
      }
    }
  }

  private mutating func compareTrends(_ policy: TrendPolicy, _ table: SimulatedViews.Table) {
    var truth = TrendTruth(policy)
    for stream in streams.prefix(partitions) {
      truth.add(
        log.entries(stream.stream), disorder: spec.allowedDisorder,
        lateness: spec.allowedLateness)
    }
    for key in Set(table.trends.keys).union(truth.sums.keys) {
      let found = table.trends[key]
      let wanted = truth.sums[key]
      if found?.counts != wanted || found?.isFinal != true {
        fail(
          "trends at \(key.end): \(String(describing: found)) is not \(String(describing: wanted))")
      }
    }
  }
}
