import Events
import HTTPServer
import Logging
import Metrics
import Ports
import Synchronization

/// A message on its way from the spool: a frame, or a part of one that is divided.
struct DrainingMessage {
  /// The queue that the frame is in, and its number there.
  let queue: String
  let id: UInt64
  /// Where the message goes.
  let stream: String
  let generation: UInt32
  let isDeadLetters: Bool
}

/// A frame that is to be written to the spool.
struct UnspooledFrame {
  let stream: String
  let messageID: String
  let bytes: [UInt8]
  let waiters: [PendingRequest]
  /// What its requests are told where the spool has no room.
  let answer: String
}

// The way through the spool. While frames of a stream are in it, new ones of the same stream do not
// overtake them: they go into the spool too, or wait in their lane where it is nearly drained.
//
//     lane ──► log
//      │        ▲
//      ▼        │ in order, one stream beside the other
//     spool ────┘
extension PublisherLoop {
  /// How long frames wait for the log.
  var waitMsMax: Int {
    guard let spool, !spool.gauges.isFull.load(ordering: .relaxed) else {
      return parameters.answerDeadlineMs
    }
    return min(parameters.spoolAfterMs, parameters.answerDeadlineMs)
  }

  /// Whether earlier frames of the lane's stream, or of an ended generation, are in the spool.
  func waitsForSpool(_ lane: Lane) -> Bool {
    guard let spool, !spool.isEmpty else { return false }
    if spool.queues[lane.stream] != nil { return true }
    guard lane.partition != nil else { return false }
    let open = lanes.open
    return spool.queues.keys.contains { stream in !open.contains { $0.stream == stream } }
  }

  /// Whether such a lane's frames go into the spool too.
  func goesToSpool(_ lane: Lane) -> Bool {
    guard let spool else { return false }
    return isStopping || lane.isAway.load(ordering: .relaxed)
      || (spool.queues[lane.stream]?.byteCount ?? 0) > parameters.spoolHoldBytes
  }

  func divertFrames(of lane: Lane, _ now: Int64) {
    guard goesToSpool(lane), isStopping || lane.tickDelayMicros(nowMicros: now) == 0 else { return }
    let problem = lane.problem.withLock { $0 } ?? "the log is behind"
    while let frame = lane.takeFrame(nowMicros: now) { divert(frame, lane, problem) }
  }

  /// Hands a frame over that was never published.
  func divert(_ frame: OpenFrame, _ lane: Lane, _ answer: String) {
    let (bytes, messageID) = seal(frame, lane)
    giveUp(
      UnspooledFrame(
        stream: lane.stream, messageID: messageID, bytes: bytes, waiters: frame.waiters,
        answer: answer))
    lane.recycle(frame)
  }

  /// Writes what was handed over, syncs it once, and answers its requests.
  func writeSpool() {
    guard let spool, !unspooled.isEmpty else { return }
    let frames = unspooled
    unspooled = []
    var isTaken = [Bool](repeating: false, count: frames.count)
    let now = clock.nowMicros()
    do throws(SpoolError) {
      for (index, frame) in frames.enumerated() {
        isTaken[index] = try spool.append(
          stream: frame.stream, messageID: frame.messageID, frame: frame.bytes, nowMicros: now)
      }
      try spool.commit()
      report(isTaken.contains(false) ? "it is full: \(spool.gauges.bytesMax) bytes" : nil)
    } catch {
      report("\(error)")
      isTaken = [Bool](repeating: false, count: frames.count)
      commitRest(spool)
    }
    for (index, frame) in frames.enumerated() {
      spoolFrames.with(isTaken[index] ? "spooled" : "refused").add()
      for waiter in frame.waiters {
        if isTaken[index] {
          waiter.spooled(&batch)
        } else {
          waiter.failed("\(frame.answer), and the spool takes no more", &batch)
        }
      }
    }
  }

  /// Says once that the spool takes no frames, and once that it does again.
  private func report(_ problem: String?) {
    defer { spoolProblem = problem }
    if let problem, spoolProblem == nil {
      log.error("the spool takes no frames; requests get 503", metadata: ["reason": "\(problem)"])
    } else if problem == nil, spoolProblem != nil {
      log.notice("the spool takes frames again")
    }
  }

  /// What was written before a failure is kept where it can be: its requests are sent again, and their
  /// events count once.
  private func commitRest(_ spool: Spool) {
    do throws(SpoolError) {
      try spool.commit()
    } catch {
      report("\(error)")
    }
  }

  // MARK: Draining

  /// Publishes what is due of each stream in the spool.
  func drainSpool() {
    guard let spool, !spool.isEmpty, !isStopping else { return }
    let now = clock.steadyMicros()
    for queue in spool.queues.keys.sorted() {
      // A frame that is divided has a message per partition.
      while publisher.inFlight + lanes.current.lanes.count <= publisher.windowMax,
        let (id, content) = spool.next(of: queue, nowMicros: now)
      {
        drain(content, id, queue, spool)
      }
    }
  }

  private func drain(
    _ content: SpoolSegment.Content, _ id: UInt64, _ queue: String, _ spool: Spool
  ) {
    guard let header = header(of: content) else {
      spool.drained(id, of: queue)
      return
    }
    let current = lanes.current
    let messages: [SpoolSegment.Content]
    if header.kind == .events, header.generation < current.generation.number {
      messages = divide(content, header, current)
    } else {
      messages = [content]
    }
    spool.published(id, of: queue, messages: messages.count)
    for message in messages {
      let token = takeToken()
      draining[token] = DrainingMessage(
        queue: queue, id: id, stream: message.stream,
        generation: messages.count == 1 && message.stream == queue
          ? header.generation : current.generation.number,
        isDeadLetters: header.kind == .deadLetters)
      publisher.publish(
        stream: message.stream, messageID: message.messageID, frame: message.frame, token: token)
    }
  }

  private func header(of content: SpoolSegment.Content) -> FrameHeader? {
    content.frame.withUnsafeBytes { bytes in
      do throws(FrameError) {
        return try FrameView(bytes).header
      } catch {
        log.error(
          "a frame in the spool is none and is passed over",
          metadata: ["stream": "\(content.stream)", "error": "\(error)"])
        return nil
      }
    }
  }

  /// The events of a frame of an ended generation as frames of the current one. Their ids follow from the
  /// frame's, so that they are the same when they have to be sent again.
  private func divide(
    _ content: SpoolSegment.Content, _ header: FrameHeader, _ current: LaneSet
  ) -> [SpoolSegment.Content] {
    let generation = current.generation.number
    return divide(content.frame, among: current.lanes.count).enumerated().compactMap {
      partition, part in
      guard let part else { return nil }
      var header = header
      header.generation = generation
      header.partition = UInt32(partition)
      return SpoolSegment.Content(
        stream: current.lanes[partition].stream,
        messageID: "\(content.messageID)-\(generation)-\(partition)",
        frame: part.encoder.seal(header))
    }
  }

  /// What became of a message from the spool.
  func settle(_ message: DrainingMessage, _ outcome: PublishOutcome) {
    guard let spool else { return }
    let lane = lanes.open.first { $0.stream == message.stream }
    let now = clock.steadyMicros()
    let answer: String
    let cause: String
    switch outcome {
    case .stored:
      if spool.stored(message.id, of: message.queue) { spoolFrames.with("drained").add() }
      if let lane { recovered(lane) }
      if spool.isEmpty { log.notice("the spool is drained") }
      return
    case .sealed(let reason):
      if !message.isDeadLetters, proceed(beyond: message.generation) {
        spool.failed(message.id, of: message.queue, pauseUntil: now)
        return
      }
      (answer, cause) = ("the log takes no frames of this partition", reason)
    case .unavailable(let reason): (answer, cause) = ("the log is not reachable", reason)
    case .full(let reason): (answer, cause) = ("the log is full", reason)
    }
    spool.failed(message.id, of: message.queue, pauseUntil: now + Self.trialIntervalMicros)
    if let lane { markAway(lane, answer, cause) }
  }
}

extension Spool.Gauges {
  func declare(_ metrics: MetricRegistry, _ clock: CollectorClock) {
    metrics.computed(CollectorMetrics.spoolWaitingFrames) {
      [MetricSample([], Double(self.frames.load(ordering: .relaxed)))]
    }
    metrics.computed(CollectorMetrics.spoolBytes) {
      [MetricSample([], Double(self.bytes.load(ordering: .relaxed)))]
    }
    metrics.computed(CollectorMetrics.spoolLimitBytes) {
      [MetricSample([], Double(self.bytesMax))]
    }
    metrics.computed(CollectorMetrics.spoolOldestSeconds) {
      let oldest = self.oldestAt.load(ordering: .relaxed)
      let age = oldest == 0 ? 0 : max(0, clock.nowMicros() - oldest)
      return [MetricSample([], Double(age) / 1_000_000)]
    }
    metrics.computed(CollectorMetrics.spoolTornBytes) {
      [MetricSample([], Double(self.tornBytes.load(ordering: .relaxed)))]
    }
    metrics.computed(CollectorMetrics.spoolDamagedFrames) {
      [MetricSample([], Double(self.damagedFrames.load(ordering: .relaxed)))]
    }
  }
}
