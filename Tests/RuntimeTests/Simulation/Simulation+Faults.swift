import Dataflow
import Events
import Oracles
import Ports
import Threads
import Views

@testable import Runtime

// The part of a simulation in which things fail.
extension Simulation {
  mutating func act() {
    switch random.below(64) {
    case 0..<14: publish()
    case 14: toggle(&log.isAway, .logAway)
    case 15: toggle(&views.isAway, .durableRowsAway)
    case 16: toggle(&redis.isAway, .hotCopyAway)
    case 17: loseHotCopies()
    case 18: redis.saved = redis.copies
    case 19: kill()
    case 20, 21: start(random.pick(streams))
    case 22: disk(Place(machine: random.below(2), stream: random.pick(streams))).damage(&random)
    case 23, 24: turnClocks()
    case 25...27: clock.advance(micros: random.time(upTo: 20 * second))
    case 28 where random.once(in: 8):
      faults.note(.timePassed)
      clock.advance(micros: random.time(upTo: hour))
    case 29 where random.once(in: 40): goBack()
    case 30 where random.once(in: 20): trim()
    case 31: deliverFromTheDead()
    case 32: askToStop()
    default: stepSomeone()
    }
  }

  private func toggle(_ isAway: inout Bool, _ fault: Fault) {
    isAway.toggle()
    if isAway { faults.note(fault) }
  }

  private mutating func turnClocks() {
    if random.once(in: 2) {
      clock.wallSkew = random.pick([0, -hour, hour, random.time(upTo: minute)])
      if clock.wallSkew != 0 { faults.note(.wallClockJumped) }
    } else {
      // A copy of an event that is sent again stays less than five minutes ahead of the log's clock:
      // what is further ahead is moved to its receipt, which a recount knows nothing of.
      clock.logSkew = random.pick([0, -random.time(upTo: minute), random.time(upTo: 4 * minute)])
      if clock.logSkew != 0 { faults.note(.logClockJumped) }
    }
    note("clocks: wall off by \(clock.wallSkew), log by \(clock.logSkew)")
  }

  private mutating func loseHotCopies() {
    let isFlushed = random.once(in: 2)
    faults.note(isFlushed ? .hotCopyFlushed : .hotCopySetBack)
    redis.copies = isFlushed ? [:] : redis.saved
  }

  // MARK: Events

  private mutating func publish() {
    if log.isAway { return }
    clock.advance(micros: random.time(upTo: 3 * second))
    let now = clock.logTime
    var events: [[TestEvent]] = Array(repeating: [], count: partitions)
    for _ in 0..<random.below(4) {
      let event = !sent.isEmpty && random.once(in: 5) ? random.pick(sent) : newEvent(now)
      events[KeyGroup.partition(of: event.person, partitions: partitions)].append(event)
    }
    for (partition, events) in events.enumerated() where !events.isEmpty {
      let entry = LogEntry.events(events, at: now)
      log.append(entry.bytes, to: streams[partition].stream, content: entry.content)
      // A frame that is sent again because its answer was lost.
      if random.once(in: 12) {
        log.append(entry.bytes, to: streams[partition].stream, content: entry.content)
      }
    }
    if random.once(in: 10) {
      log.append([1, 2, 3], to: streams[random.below(partitions)].stream, content: .poison)
    }
  }

  private mutating func newEvent(_ now: Int64) -> TestEvent {
    nextID += 1
    let lateness = random.pick([0, second, 20 * second, 3 * minute, 20 * minute])
    var event = TestEvent(
      id: nextID, time: now - random.time(upTo: lateness),
      kind: random.pick([
        .impression, .impression, .click, .view, .conversion, .identify, .exposure,
      ]),
      campaign: "c\(random.below(2))", variant: random.pick(["", "a", "b"]))
    if event.kind == .conversion { event.revenue = random.pick([0, 1_250_000]) }
    switch random.below(5) {
    case 0: event.user = random.below(2)
    case 1:
      event.device = random.below(3)
      event.user = random.below(2)
      if random.once(in: 4) {
        event.kind = .unlink
        event.revenue = 0
        if random.once(in: 2) { event.user = nil }
      }
    default: event.device = random.below(3)
    }
    sent.append(event)
    return event
  }

  // MARK: The log

  /// The log goes back.
  private mutating func goBack() {
    let stream = random.pick(streams)
    note("log of \(stream.stream) goes back")
    faults.note(stream.role == .partials ? .partialsWentBack : .eventsWentBack)
    log.truncate(stream.stream, by: 1 + random.below(5))
    // What only the lost frames had was never acknowledged.
    for _ in 0..<random.below(4) { publish() }
  }

  /// What is committed is trimmed.
  private mutating func trim() {
    let stream = random.pick(streams)
    let committed = views.now(stream).checkpoint.sequence
    guard committed > 0 else { return }
    let end = 1 + UInt64(random.below(Int(committed)))
    note("log of \(stream.stream) is trimmed up to \(end)")
    faults.note(.framesTrimmed)
    log.trim(stream.stream, upTo: end)
  }

  private mutating func deliverFromTheDead() {
    guard !log.isAway, let frame = log.inTransit.first else { return }
    faults.note(.publishedAfterDeath)
    log.inTransit.removeFirst()
    log.append(frame.bytes, to: frame.stream)
  }

  // MARK: Processes

  private mutating func kill() {
    guard let owner = owners.randomElement(using: &random) else { return }
    note("kill \(owner.stream.stream)@\(owner.machine)")
    faults.note(.killedBetweenSteps)
    owner.process.die()
    drop(owner)
  }

  private mutating func askToStop() {
    guard let owner = owners.randomElement(using: &random) else { return }
    note("stop \(owner.stream.stream)@\(owner.machine)")
    faults.note(.askedToStop)
    owner.process.isStopping = true
    owner.stop.set()
    step(owner)
  }

  private mutating func stepSomeone() {
    guard let owner = owners.randomElement(using: &random) else {
      return start(random.pick(streams))
    }
    step(owner)
  }

  /// A loop may halt where the log is not what it was, and nowhere else.
  mutating func halted(_ stream: StreamPartition, _ reason: String) {
    note("\(stream.stream) halted: \(reason)")
    if reason.contains("no longer in the log") && log.first(stream.stream) > 1 {
      // Another machine may have snapshots of what is trimmed.
      trimmedHalts[stream, default: 0] += 1
      return
    }
    let past = stream.role == .partials ? streams : [stream]
    guard reason.contains("went back") || reason.contains("replay up to"),
      past.contains(where: { log.lives[$0.stream] != nil })
    else {
      fail("\(stream.stream) halted: \(reason)")
      return
    }
    if reason.contains("came once more with other events") {
      report.end = .sourceWentBack
    } else if let kept = log.lives[stream.stream]?.min(),
      UInt64(kept) < views.now(stream).checkpoint.sequence
    {
      report.end = .logWentBack
    }
  }
}
