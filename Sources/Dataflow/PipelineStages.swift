public import Events
public import Operators
public import Views

// The two stages of a pipeline. The first reads the events and counts them; what needs all partitions
// or belongs to a known person it hands on, tick by tick. The second reads what all first stages have
// handed on:
//
//     events-00 -> dedupe -> windows           -> rows, summed over partitions when read
//                      \--> persons, panes -> partials ─┐
//     events-01 -> …                                     ├─> outcome windows, trends -> rows
//                                          partials ─────┘
extension Pipeline {
  mutating func makeStage() {
    emitter = nil
    intake = nil
    persons = nil
    links = nil
    trends = nil
    incidents = nil
    eventsAt = .min
    experiments = nil
    emitted = []
    guard spec.hasSecondStage, stream.role != .deadLetters else { return }
    if let policy = spec.persons { persons = PersonHistories(policy: policy) }
    switch stream.role {
    case .events:
      emitter = PartialEmitter(
        pipelineHash: pipelineHash, generation: stream.generation,
        partition: UInt32(stream.partition), partitionCount: UInt32(partitions),
        paneLength: spec.trends?.slide ?? 0, partLength: spec.anomalies?.part ?? 0)
      if let policy = spec.persons {
        links = IdentityLinks(keep: policy.takeOver, countMax: policy.personCountMax)
      }
    case .partials:
      intake = PartialIntake(pipelineHash: pipelineHash)
      if spec.persons?.experiments != nil {
        let (spec, stream) = (spec, stream)
        experiments = ExperimentWindows { Self.windows(spec, stream) }
      }
      if let policy = spec.trends {
        trends = HoppingWindows(
          size: policy.size, slide: policy.slide, lateness: policy.lateness,
          tupleCountMax: spec.tupleCountMax)
      }
      if let policy = spec.anomalies {
        incidents = IncidentWatch(
          policy: policy, disorder: min(max(0, spec.allowedDisorder), TimeRange.latest),
          tupleCountMax: spec.tupleCountMax)
      }
    case .deadLetters: break
    }
  }

  // MARK: First stage

  /// The frames that were made since the last call, in order. Every one of them must be durable before
  /// a batch that is drained from now on is committed.
  public mutating func takeEmitted() -> [PartialFrame] {
    defer { emitted.removeAll(keepingCapacity: true) }
    return emitted
  }

  /// Number of the last frame that was made.
  public var emittedNumber: UInt64 {
    switch emitter {
    case .some(let emitter): emitter.number
    case .none: 0
    }
  }

  /// Log time from which on any frame would hand on what is held now, or tell the second stage of events
  /// that have nothing for it, microseconds; nil where it has been told of everything.
  public var tickEnd: Int64? {
    switch emitter {
    case .some(let emitter): emitter.due(logTime: logTime)
    case .none: nil
    }
  }

  /// Closes the open tick if the moment lies past it.
  mutating func closeTick(before moment: FrameMoment) {
    guard emitter != nil else { return }
    if emitter?.isPast(moment.logTime) ?? false {
      persons?.drain(into: &contributions)
      var frames: [PartialFrame] = []
      emitter?.close(
        sequence: position, logTime: logTime, contributions: contributions, into: &frames)
      contributions.removeAll()
      // What a frame up to the committed one has closed was durable before the commit.
      if !moment.isSilent { emitted.append(contentsOf: frames) }
    }
    emitter?.open(at: moment.logTime)
    persons?.advance(watermark: moment.watermark)
    links?.advance(watermark: moment.watermark)
  }

  /// Hands on what the frame's counted events mean to the second stage.
  mutating func handOn(_ frame: FrameView, at moment: FrameMoment) {
    emitter?.begin(frame)
    if let policy = spec.persons { follow(frame, policy, at: moment) }
    if let trends = spec.trends { countPanes(frame, trends, at: moment) }
    if spec.anomalies != nil { passFeedback(frame) }
  }

  /// Hands on what persons said about incidents. What is no such thing is no event to anybody.
  private mutating func passFeedback(_ frame: FrameView) {
    for index in 0..<frame.count
    where frame.kind(index) == EventKind.feedback.rawValue && verdicts.isCounted(index) {
      guard let feedback = IncidentFeedback(payload: frame.payload(index)) else { continue }
      emitter?.add(
        PartialFeedback(
          incident: feedback.incident, tuple: UInt32(frame.tuple(index)),
          verdict: UInt32(feedback.verdict.rawValue)))
    }
  }

  /// Follows the persons of a frame: touches of anonymous ones are kept here, those of known ones are
  /// handed on, and where an anonymous person becomes known, all that is kept of it.
  private mutating func follow(
    _ frame: FrameView, _ policy: PersonPolicy, at moment: FrameMoment
  ) {
    persons?.begin(tupleCount: frame.tupleCount) { frame.tupleBytes($0) }
    let earliest =
      moment.watermark < .min + policy.lateness ? .min : moment.watermark - policy.lateness
    for index in 0..<frame.count where verdicts.isCounted(index) {
      let kind = frame.kind(index)
      let person = frame.person(index)
      var user = frame.user(index)
      if kind == EventKind.unlink.rawValue {
        links?.unlink(person, from: user)
        continue
      }
      if user != .zero && user != person {
        if kind == EventKind.alias.rawValue { emitter?.add(PersonUnion(person, user)) }
        if links?.link(person, to: user) ?? false { handOver(person, to: user) }
      } else if user == .zero {
        user = links?.user(of: person) ?? .zero
      }
      guard kind <= EventKind.conversion.rawValue || kind == EventKind.exposure.rawValue else {
        continue
      }
      let time = WindowPolicy.eventTime(
        stated: frame.eventTime(index), receivedAt: frame.receivedAt(index),
        logTime: moment.logTime)
      if time < earliest { continue }
      let touch = Touch(
        time: time, key: frame.key(index), revenueMicros: frame.revenueMicros(index),
        tuple: UInt32(frame.tuple(index)), kind: kind)
      if user == .zero {
        persons?.insert(touch, of: person)
      } else {
        emitter?.add(touch, of: user)
      }
    }
    persons?.end()
  }

  private mutating func handOver(_ person: Key128, to user: Key128) {
    var moved: [(touch: Touch, tuple: [UInt8])] = []
    var anchors: [PartialAnchor] = []
    persons?.handOver(person) {
      moved.append(($0, Array($1)))
    } anchored: {
      anchors.append($0)
    }
    for var anchor in anchors {
      anchor.user = user
      emitter?.add(anchor)
    }
    for (touch, tuple) in moved {
      tuple.withUnsafeBytes { emitter?.add(touch, tuple: $0, of: user) }
    }
  }

  private mutating func countPanes(
    _ frame: FrameView, _ trends: TrendPolicy, at moment: FrameMoment
  ) {
    let earliest = max(0, trends.earliest(watermark: moment.watermark))
    for index in 0..<frame.count {
      guard verdicts.isCounted(index), frame.kind(index) <= EventKind.conversion.rawValue else {
        continue
      }
      let time = WindowPolicy.eventTime(
        stated: frame.eventTime(index), receivedAt: frame.receivedAt(index),
        logTime: moment.logTime)
      guard time >= earliest else { continue }
      emitter?.count(
        tuple: frame.tuple(index), time: time, kind: frame.kind(index),
        revenueMicros: frame.revenueMicros(index))
    }
  }

  /// The next watermark at which a session closes or expires.
  var personTimer: Int64? {
    switch persons {
    case .some(let persons): persons.earliestTimer
    case .none: nil
    }
  }

  var experimentTimer: Int64? {
    switch experiments {
    case .some(let experiments): experiments.earliestTimer
    case .none: nil
    }
  }

  /// All rows of exposures and baselines in state, windows that are still open among them.
  public mutating func allExperiments() -> [(measure: Measure, rows: [HotRow])] {
    experiments?.all() ?? []
  }

  var pendingExperimentCount: Int {
    switch experiments {
    case .some(let experiments): experiments.pendingCount
    case .none: 0
    }
  }

  var trendTimer: Int64? {
    switch trends {
    case .some(let trends): trends.earliestTimer
    case .none: nil
    }
  }

  /// The next watermark at which a first stage asks for a frame, so that it can be told from an outage of the
  /// collectors that nothing happens: each part of a bin, for a day after the last event.
  var watchTimer: Int64? {
    guard emitter != nil, !hasEnded, let policy = spec.anomalies, eventsAt > .min,
      logTime - eventsAt < 86_400_000_000
    else { return nil }
    return IncidentPolicy.floor(watermark, policy.part) + policy.part
  }

  /// The next watermark at which a first stage asks for a frame, so that cohorts of experiments come of age
  /// where nothing happens any more: each minute, until the longest cohort that the last event can be in, a
  /// day, and the outcome window after it have passed.
  var cohortTimer: Int64? {
    guard emitter != nil, !hasEnded, let policy = spec.persons?.experiments, eventsAt > .min
    else { return nil }
    let (minute, day) = (WindowLevel.minute, WindowLevel.day)
    let newest = TimeRange.clamp(eventsAt) + WindowPolicy.futureTolerance
    // The second stage is told the time of a frame by the next one.
    let end = day.start(of: newest) + day.length + policy.outcomeWindow + minute.length
    guard watermark < end else { return nil }
    return minute.start(of: watermark) + minute.length
  }

  var pendingIncidentCount: Int {
    switch incidents {
    case .some(let incidents): incidents.pendingCount
    case .none: 0
    }
  }

  // MARK: Second stage

  /// Adds the trends to what the next transaction writes.
  mutating func drainTrends(into batch: inout CommitBatch) {
    guard trends != nil else { return }
    trends?.drain(into: &batch.trends, dimensions: &batch.dimensions)
    let newest = intake?.sources.map(\.logTime).max() ?? .min
    earlyTrends.wrote(batch.trends.count, at: newest)
    if earlyTrends.take(at: newest, rowCount: trendTupleCount) {
      trends?.early(logTime: logTime, into: &batch.trends, dimensions: &batch.dimensions)
    }
  }

  private var trendTupleCount: Int {
    switch trends {
    case .some(let trends): trends.tupleCount
    case .none: 0
    }
  }

  var pendingTrendCount: Int {
    switch trends {
    case .some(let trends): trends.pendingCount
    case .none: 0
    }
  }

  /// The rows, with their tuples, that commits have written of the trends' open window, the latest ones
  /// where every frame were followed by a commit (``EarlyTrends``): of the window that was open when
  /// something was counted last, unless that is final by now. State does not change.
  public func openTrends() -> (rows: [TrendRow], dimensions: [DimensionEntry]) {
    var rows: [TrendRow] = []
    var dimensions: [DimensionEntry] = []
    let time = earlyTrends.countedAt
    guard let policy = spec.trends, time > .min,
      trendTupleCount <= EarlyTrends.rowCountMax,
      policy.newestEnds(watermark: time, logTime: time).upperBound > watermark
    else { return (rows, dimensions) }
    trends?.early(logTime: time, into: &rows, dimensions: &dimensions)
    return (rows, dimensions)
  }

  /// Of a second stage: how far its sources have been taken in.
  public var sources: [SourcePosition] {
    switch intake {
    case .some(let intake):
      intake.sources.map {
        SourcePosition(
          generation: $0.generation, partition: Int($0.partition), sequence: $0.sequence)
      }
    case .none: []
    }
  }

  /// Of a second stage: what it waits for of the first source that has lost something; nil mostly.
  public var missingPartials: PartialIntake.Missing? {
    switch intake {
    case .some(let intake): intake.missing
    case .none: nil
    }
  }

  /// Takes a frame of partials in.
  ///
  /// - Parameters:
  ///   - bytes: the frame's, kept where it comes before its turn.
  ///   - sequence: the frame's sequence in the stream of partials.
  ///   - storedAt: when the log stored it, microseconds since the epoch.
  public mutating func process(
    partials frame: PartialFrameView, bytes: UnsafeRawBufferPointer, sequence: UInt64,
    storedAt: Int64
  ) throws(PipelineError) {
    try checkOrder(sequence)
    let admission = intake?.admit(frame.head, checksum: frame.checksum) ?? .ignore
    if admission == .contradiction {
      throw .sourceWentBack(partition: frame.head.partition, number: frame.head.number)
    }
    do throws(OperatorError) {
      switch admission {
      case .ignore, .contradiction: break
      case .early: try intake?.keep(frame.head, checksum: frame.checksum, bytes)
      case .take:
        take(frame, sequence: sequence)
        while let early = intake?.nextEarly() {
          early.withUnsafeBytes { bytes in
            let frame: PartialFrameView
            do throws(FrameError) {
              frame = try PartialFrameView(bytes)
            } catch {
              preconditionFailure("a frame is decoded before it is kept: \(error)")
            }
            if intake?.admit(frame.head, checksum: frame.checksum) == .take {
              take(frame, sequence: sequence)
            }
          }
        }
      }
    } catch {
      throw .refused(sequence: sequence, error)
    }
    fingerprint = Checkpoint.Fingerprint(checksum: frame.checksum, storedAt: storedAt)
    let time = max(logTime, intake?.logTime ?? .min)
    let moment = moment(sequence: sequence, logTime: time)
    if time > logTime {
      windows.advance(to: moment)
      experiments?.advance(to: moment)
      persons?.advance(watermark: moment.watermark)
      addOutcomes(at: moment)
      trends?.advance(to: moment)
      incidents?.advance(to: moment)
    }
    earlyTrends.advance(to: time)
    try finish(moment)
  }

  func moment(sequence: UInt64, logTime: Int64) -> FrameMoment {
    FrameMoment(
      sequence: sequence, logTime: logTime, watermark: watermark(at: logTime),
      isSilent: sequence <= committed.sequence)
  }

  private mutating func take(_ frame: PartialFrameView, sequence: UInt64) {
    let moment = moment(sequence: sequence, logTime: logTime)
    for index in 0..<frame.contributionCount {
      let record = frame.contribution(index)
      add(
        Counts(record.sums), of: Measure(rawValue: record.measure) ?? .outcomes,
        tuple: frame.tupleBytes(Int(record.tuple)), time: record.start, at: moment)
    }
    for index in 0..<frame.unionCount {
      let union = frame.union(index)
      persons?.unite(union.first, union.second)
    }
    if frame.touchCount > 0 {
      persons?.begin(tupleCount: frame.tupleCount) { frame.tupleBytes($0) }
      for index in 0..<frame.touchCount {
        persons?.insert(frame.touch(index), of: frame.touchUser(index))
      }
      persons?.end()
    }
    for index in 0..<frame.anchorCount {
      let anchor = frame.anchor(index)
      persons?.insert(anchor: anchor, of: anchor.user)
    }
    addOutcomes(at: moment)
    if frame.paneCount > 0 {
      earlyTrends.counted()
      trends?.begin(tupleCount: frame.tupleCount) { frame.tupleBytes($0) }
      for index in 0..<frame.paneCount {
        let pane = frame.pane(index)
        trends?.add(Counts(pane.sums), tuple: Int(pane.tuple), start: pane.start, at: moment)
      }
    }
    watch(frame)
    intake?.take(frame.head, checksum: frame.checksum)
  }

  private mutating func watch(_ frame: PartialFrameView) {
    guard incidents != nil else { return }
    let head = frame.head
    incidents?.begin(
      logTime: head.sourceLogTime, after: intake?.logTime(before: head.generation) ?? .min,
      tupleCount: frame.paneCount > 0 ? frame.tupleCount : 0
    ) { frame.tupleBytes($0) }
    for index in 0..<frame.paneCount {
      let pane = frame.pane(index)
      incidents?.add(Counts(pane.sums), tuple: Int(pane.tuple), start: pane.start)
    }
    for index in 0..<frame.feedbackCount {
      let record = frame.feedback(index)
      guard let verdict = IncidentFeedback.Verdict(rawValue: UInt8(clamping: record.verdict)) else {
        continue
      }
      incidents?.add(
        IncidentFeedback(incident: record.incident, verdict: verdict),
        tuple: frame.tupleBytes(Int(record.tuple)), logTime: head.sourceLogTime)
    }
  }

  /// Adds what the known persons' touches have come to, and ends the frame's contributions.
  private mutating func addOutcomes(at moment: FrameMoment) {
    persons?.drain(into: &contributions)
    for index in 0..<contributions.count {
      let contribution = contributions[index]
      add(
        contribution.sums, of: contribution.measure, tuple: contribution.tuple,
        time: contribution.start, at: moment)
    }
    contributions.removeAll()
    windows.finishContributions()
    experiments?.finishContributions()
  }

  private mutating func add(
    _ counts: Counts, of measure: Measure, tuple: UnsafeRawBufferPointer, time: Int64,
    at moment: FrameMoment
  ) {
    let verdict: Verdict?
    switch measure {
    case .activity, .outcomes: verdict = windows.add(counts, tuple: tuple, time: time, at: moment)
    case .exposures, .baselines:
      verdict = experiments?.add(counts, of: measure, tuple: tuple, time: time, at: moment)
    }
    guard let verdict else { return }
    accounting.received += 1
    switch verdict {
    case .onTime: accounting.onTime += 1
    default: accounting.late += 1
    }
  }
}

extension CommitBatch {
  /// Puts the tuples in order of id, each once.
  mutating func orderDimensions() {
    dimensions.sort { $0.id < $1.id }
    var kept: [DimensionEntry] = []
    kept.reserveCapacity(dimensions.count)
    for entry in dimensions where entry.id != kept.last?.id { kept.append(entry) }
    dimensions = kept
  }
}
