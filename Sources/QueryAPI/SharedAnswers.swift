import Events
import HTTPServer
import Ports
import Synchronization
import Views

/// Answers for all who ask the same question at about the same time, computed once.
///
/// The hot copy changes every 40 ms and durable rows every 250 ms. An answer is given to everybody who asks its
/// question (``Key``) while it is younger than ``Settings/ageMax``, counted from before its first read. Past half of
/// that whoever comes has the next one begun, and does not wait for it:
///
///     age     0 ─────────── ½ ageMax ─────────── ageMax ───────────▶
///     asked   │ is given    │ is given, and the   │ waits for the next one
///                             next one is begun
///
/// Who has to wait gets the answer that is being computed, where its first read was no longer ago than that, else the
/// one after it. So a question is computed by one at a time, however many ask it. Where ``Settings/ageMax`` is 0 only
/// those share an answer who came before its first read.
///
/// Answers share rows, too (``SharedOpenRows``), so one counts from before the first read of what it shares.
///
/// An answer says what it was computed from: its position, watermark and `as_of`. Nothing has to be taken back when
/// rows are corrected: what is kept is too old before it matters. Who waits for a position gets what covers it. One
/// object serves one version of a pipeline, so that a rebuild changes all answers at once.
///
/// Limits: ``Settings/bytesMax``; an answer that finds no room is given to those who wait for it, and not kept.
final class SharedAnswers: Sendable {
  struct Settings: Sendable {
    var ageMax = Duration.zero
    var bytesMax = 64 << 20
  }

  /// What makes two requests the same question: what they ask, and the times that they mean by it.
  struct Key: Hashable {
    private var request: QueryRequest
    private var range: TimeRange
    private var before: TimeRange?
    /// Texts are equal strings where Unicode takes them for the same; in the log they are not.
    private var texts: [[UInt8]]

    /// - Parameter now: microseconds since the epoch.
    init(_ request: QueryRequest, now: Int64, zone: ZoneRules) {
      self.request = request
      self.request.after = nil
      self.request.timeoutMs = 0
      range = request.range.resolved(now: now, zone: zone)
      if request.comparison == .previous {
        before = request.range.previous(to: range, now: now, zone: zone)
      }
      let filters = request.filters + request.alternatives.joined()
      texts = ([request.site] + filters.flatMap(\.values)).map { Array($0.utf8) }
    }
  }

  struct Answer: Sendable {
    var response: HTTPResponse
    var position: Position
    /// Before the first read of what it shares with other answers; nil where that was after it was begun.
    var began: ContinuousClock.Instant?
  }

  typealias Outcome = Result<Answer, QueryError>
  typealias Make = @Sendable (_ ageMax: Duration) async -> Outcome

  private struct Kept {
    var answer: Answer
    /// Before its first read.
    var began: ContinuousClock.Instant
    var bytes: Int
  }

  /// An answer that is being computed, or will be once the one before it is there.
  private struct Flight {
    var number: UInt64
    /// Nil until its first read.
    var began: ContinuousClock.Instant?
    /// What the answer has to cover; nil where it may be of rows that were read before.
    var after: Position?
    var task: Task<Outcome, Never>
  }

  private struct Entry {
    var kept: Kept?
    /// At most one that reads, and one after it.
    var flights: [Flight] = []
  }

  private struct State {
    var entries: [Key: Entry] = [:]
    var bytes = 0
    var lastFlight: UInt64 = 0
    var lastSweep: ContinuousClock.Instant?

    mutating func began(_ number: UInt64, of key: Key, at began: ContinuousClock.Instant) {
      guard let index = entries[key]?.flights.firstIndex(where: { $0.number == number }) else {
        return
      }
      entries[key]?.flights[index].began = began
    }

    /// Forgets the answer that is kept of a question.
    mutating func drop(_ key: Key) {
      guard let kept = entries[key]?.kept else { return }
      bytes -= kept.bytes
      entries[key]?.kept = nil
      if entries[key]?.flights.isEmpty == true { entries[key] = nil }
    }
  }

  deinit { metrics.kept(-state.withLock { $0.bytes }) }

  private enum Way {
    case kept(Answer)
    case flight(Task<Outcome, Never>)
  }

  /// What an answer takes beside its bytes.
  private static let entryBytes = 2_048
  private static let sweepInterval = Duration.seconds(1)

  private let settings: Settings
  private let metrics: QueryMetrics
  private let now: @Sendable () -> ContinuousClock.Instant
  private let state = Mutex(State())

  init(
    _ settings: Settings, metrics: QueryMetrics,
    now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) {
    self.settings = settings
    self.metrics = metrics
    self.now = now
  }

  /// An answer to `key`'s question that is no older than it may be, or one that `make` computes.
  ///
  /// - Parameters:
  ///   - after: a position that the read models have come to; an answer that may not cover it is not given.
  ///   - make: reads nothing before it is called. What it shares with other answers may be so old then.
  func answer(
    _ key: Key, after: Position? = nil, _ make: @escaping Make
  ) async throws(QueryError) -> Answer {
    let arrival = now()
    while true {
      let way = state.withLock { state in
        self.way(key, after: after, at: arrival, &state, make)
      }
      switch way {
      case .kept(let answer): return answer
      case .flight(let task):
        let answer = try await task.value.get()
        // It may be of rows that were read before it began, too long ago for this one.
        let isOld = answer.began.map { $0 < arrival - settings.ageMax } ?? false
        if after != nil || !isOld { return answer }
      }
    }
  }

  private func way(
    _ key: Key, after: Position?, at arrival: ContinuousClock.Instant, _ state: inout State,
    _ make: @escaping Make
  ) -> Way {
    let entry = state.entries[key] ?? Entry()
    if let kept = entry.kept, arrival - kept.began < settings.ageMax,
      after.map({ kept.answer.position.covers($0) }) ?? true
    {
      if arrival - kept.began >= settings.ageMax / 2, entry.flights.isEmpty {
        // Of the rows that it is made of already it would be the same once more.
        start(key, after: after, shareAge: settings.ageMax / 2, &state, make)
      }
      metrics.answered(from: .kept)
      return .kept(kept.answer)
    }
    let earliest = after == nil ? arrival - settings.ageMax : arrival
    let flight = entry.flights.first { flight in
      if let after, !(flight.after?.covers(after) ?? false) { return false }
      return flight.began.map { $0 >= earliest } ?? true
    }
    if let flight {
      metrics.answered(from: .awaited)
      return .flight(flight.task)
    }
    metrics.answered(from: .computed)
    return .flight(start(key, after: after, shareAge: settings.ageMax, &state, make))
  }

  @discardableResult
  private func start(
    _ key: Key, after: Position?, shareAge: Duration, _ state: inout State,
    _ make: @escaping Make
  ) -> Task<Outcome, Never> {
    state.lastFlight += 1
    let number = state.lastFlight
    let earlier = state.entries[key]?.flights.last?.task
    let task = Task {
      _ = await earlier?.value
      let began = self.now()
      self.state.withLock { $0.began(number, of: key, at: began) }
      let outcome = await make(shareAge)
      self.state.withLock { self.end(number, of: key, began, outcome, &$0) }
      return outcome
    }
    state.entries[key, default: Entry()].flights.append(
      Flight(number: number, began: nil, after: after, task: task))
    return task
  }

  private func end(
    _ number: UInt64, of key: Key, _ began: ContinuousClock.Instant, _ outcome: Outcome,
    _ state: inout State
  ) {
    let before = state.bytes
    state.entries[key]?.flights.removeAll { $0.number == number }
    if settings.ageMax > .zero, case .success(let answer) = outcome {
      keep(answer, of: key, min(began, answer.began ?? began), &state)
    }
    if state.entries[key].map({ $0.kept == nil && $0.flights.isEmpty }) ?? false {
      state.entries[key] = nil
    }
    metrics.kept(state.bytes - before)
  }

  private func keep(
    _ answer: Answer, of key: Key, _ began: ContinuousClock.Instant, _ state: inout State
  ) {
    state.drop(key)
    guard case .bytes(let body) = answer.response.body else { return }
    let bytes = body.count + Self.entryBytes
    let time = now()
    let isDue = state.lastSweep.map { time - $0 >= Self.sweepInterval } ?? true
    if isDue || state.bytes + bytes > settings.bytesMax {
      state.lastSweep = time
      let old = state.entries.filter { entry in
        entry.value.kept.map { time - $0.began >= settings.ageMax } ?? false
      }
      for key in old.keys { state.drop(key) }
    }
    guard state.bytes + bytes <= settings.bytesMax else { return }
    state.entries[key, default: Entry()].kept = Kept(answer: answer, began: began, bytes: bytes)
    state.bytes += bytes
  }
}
