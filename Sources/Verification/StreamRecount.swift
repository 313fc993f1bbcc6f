public import Dataflow
import Events
import Views

/// The rules that all read models share, in the plainest way: one frame and one event after the other,
/// dictionaries, no batches, no tables, no incremental state beside what the rules themselves name.
///
/// It shares no code with the operators: where both come to the same numbers, two independent
/// programs do. Memory: some 60 bytes per event id within the dedupe horizon.
public final class StreamRecount {
  public let stream: StreamPartition
  /// The last frame that was added.
  public private(set) var sequence: UInt64 = 0
  public private(set) var logTime = Int64.min
  public private(set) var watermark = Int64.min

  private let spec: PipelineSpec
  private let tuples: TupleNumbers
  private let models: [any ReadModelRecount]
  /// Whole second of log time at which an id was stored last as new.
  private var ids: [Key128: Int64]
  private var forgetAt = 1 << 20

  private static let second: Int64 = 1_000_000
  /// Times are held between 0001-01-01 and 9999-12-31, microseconds since the epoch.
  private static let earliest: Int64 = -62_135_596_800_000_000
  private static let latest: Int64 = 253_402_214_400_000_000
  /// A client's time that is later than its receipt by more is not possible.
  private static let futureTolerance: Int64 = 300_000_000
  /// The same for the time of receipt and log time.
  private static let receiptTolerance: Int64 = 3_600_000_000

  /// - Parameter earlier: every stream of the generation before, recounted to its end: whose events
  ///   they had go on in the streams of this generation.
  public init(
    _ stream: StreamPartition, spec: PipelineSpec, tuples: TupleNumbers,
    models: [any ReadModelRecount], after earlier: [StreamRecount] = []
  ) {
    self.stream = stream
    ids = earlier.reduce(into: [:]) { ids, stream in ids.merge(stream.ids) { max($0, $1) } }
    self.spec = spec
    self.tuples = tuples
    self.models = models
  }

  /// Adds the next frame. Bytes that are no frame only move time.
  ///
  /// - Parameter storedAt: microseconds since the epoch.
  public func add(_ bytes: UnsafeRawBufferPointer, sequence: UInt64, storedAt: Int64) {
    self.sequence = sequence
    let view: FrameView?
    do throws(FrameError) {
      view = try FrameView(bytes)
    } catch {
      view = nil
    }
    var stored = storedAt
    if let original = view?.header.originalLogTime, original != 0 { stored = min(stored, original) }
    logTime = max(logTime, min(max(stored, Self.earliest), Self.latest))
    watermark = logTime - spec.allowedDisorder
    let stated =
      bytes.count >= 8
      ? UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) : 0
    let moment = Moment(
      stream: stream, sequence: sequence, storedAt: storedAt, checksum: view?.checksum ?? stated,
      logTime: logTime, watermark: watermark)
    for model in models { model.begin(moment) }
    if let view, view.header.kind != .heartbeat { addEvents(view, moment) }
    for model in models { model.end(moment) }
  }

  private func addEvents(_ frame: FrameView, _ moment: Moment) {
    guard let rules = spec.bots, let judged = FrameJudgement.frame(frame, by: rules) else {
      return add(frame, moment)
    }
    judged.withUnsafeBytes { bytes in
      do throws(FrameError) {
        add(try FrameView(bytes), moment)
      } catch {
        preconditionFailure("a frame that was just written cannot be read: \(error)")
      }
    }
  }

  private func add(_ view: FrameView, _ moment: Moment) {
    let numbers = (0..<view.tupleCount).map { tuples.number(of: Array(view.tupleBytes($0))) }
    for index in 0..<view.count {
      let event = judge(view, index, tuple: numbers[view.tuple(index)])
      for model in models { model.add(event, moment) }
    }
  }

  private func judge(_ frame: FrameView, _ index: Int, tuple: Int) -> JudgedEvent {
    var event = JudgedEvent(
      verdict: .rejected, index: index, time: frame.eventTime(index), isClamped: false,
      kind: frame.kind(index), key: frame.key(index), person: frame.person(index),
      user: frame.user(index), tuple: tuple,
      revenueMicros: frame.revenueMicros(index))
    if frame.header.kind == .deadLetters { return event }
    if event.kind == EventKind.feedback.rawValue {
      event.feedback = IncidentFeedback(payload: frame.payload(index))
    }
    if isCopy(event.key) {
      event.verdict = .duplicate
      return event
    }
    let received = min(frame.receivedAt(index), logTime + Self.receiptTolerance)
    if event.time > received + Self.futureTolerance {
      event.time = received
      event.isClamped = true
    }
    event.time = max(event.time, Self.earliest)
    let end = WindowLevel.tenSeconds.start(of: event.time) + WindowLevel.tenSeconds.length
    if end > watermark {
      event.verdict = .onTime
    } else if let lateness = spec.allowedLateness, end + lateness <= watermark {
      event.verdict = .tooLate
    } else {
      event.verdict = .late
    }
    return event
  }

  private func isCopy(_ key: Key128) -> Bool {
    let now = max(0, logTime / Self.second)
    let horizon = (spec.dedupeHorizon + Self.second - 1) / Self.second
    if ids.count >= forgetAt {
      ids = ids.filter { now - $0.value <= horizon }
      forgetAt = max(forgetAt, 2 * ids.count)
    }
    if let stored = ids[key], now - stored <= horizon { return true }
    ids[key] = now
    return false
  }
}
