import Dataflow
import Events
import Ports
import Synchronization
import Views

/// Open windows of one layer, read once for all questions of the next tenth of a second, whatever they group and filter by.
///
/// The rules are those of ``SharedAnswers``: rows are given while they are younger than ``Settings/ageMax``, counted from
/// before their first read, and past half of that whoever comes has the next ones begun. Read are all windows that are
/// open, of the levels that somebody asked for in the last seconds (``Settings/levelsKept``); nobody asking costs
/// nothing.
///
/// Where they cannot be had, questions read for themselves (``LayerReader``): where there are more than
/// ``Settings/rowCountMax`` rows the longest windows are left out for a while, since these have the most tuples, and all are
/// while a store is away.
final class SharedOpenRows: Sendable {
  struct Settings: Sendable {
    var ageMax: Duration
    /// Some 60 bytes each in memory, and read ten times a second.
    var rowCountMax = 50_000
    var levelsKept = Duration.seconds(2)
    /// How long levels are left out that have too many rows.
    var pauseOfMany = Duration.seconds(10)
    /// How long all are where a store is away.
    var pause = Duration.seconds(1)
  }

  /// A table that is being read, or will be once the one before it is there.
  private struct Flight {
    var number: UInt64
    /// Nil until its first read.
    var began: ContinuousClock.Instant?
    var levels: Set<WindowLevel> = []
    var task: Task<OpenRows?, Never>
  }

  private struct State {
    var kept: OpenRows?
    /// At most one that reads, and one after it.
    var flights: [Flight] = []
    var lastFlight: UInt64 = 0
    /// When each was asked for last.
    var wanted: [WindowLevel: ContinuousClock.Instant] = [:]
    /// Until when each is left out.
    var paused: [WindowLevel: ContinuousClock.Instant] = [:]
    /// Nil while it is in use.
    var index: TupleIndex? = TupleIndex()
  }

  private enum Way {
    case kept(OpenRows)
    case flight(Task<OpenRows?, Never>)
    case none
  }

  private let view: ReadView
  private let measure: Measure
  private let copies: HotCopies
  private let settings: Settings
  private let metrics: QueryMetrics
  private let now: @Sendable () -> ContinuousClock.Instant
  private let state = Mutex(State())

  init(
    view: ReadView, measure: Measure, copies: HotCopies, settings: Settings, metrics: QueryMetrics,
    now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) {
    self.view = view
    self.measure = measure
    self.copies = copies
    self.settings = settings
    self.metrics = metrics
    self.now = now
  }

  deinit { metrics.openRows(bytes: -(state.withLock { $0.kept?.rows.byteCount } ?? 0)) }

  /// Rows of levels that were begun to be read no earlier than `since`, or cover `position`; nil where there are none to
  /// be shared.
  func rows(
    of levels: Set<WindowLevel>, since: ContinuousClock.Instant, covering position: Position? = nil
  ) async -> OpenRows? {
    let way = state.withLock { state in
      self.way(levels, since: since, covering: position, at: now(), &state)
    }
    switch way {
    case .kept(let rows): return rows
    case .none: return nil
    case .flight(let task):
      guard let rows = await task.value, levels.isSubset(of: rows.levels) else { return nil }
      return rows
    }
  }

  private func way(
    _ levels: Set<WindowLevel>, since: ContinuousClock.Instant, covering position: Position?,
    at time: ContinuousClock.Instant, _ state: inout State
  ) -> Way {
    for level in levels {
      if let end = state.paused[level], end > time { return .none }
      state.wanted[level] = time
    }
    if let kept = state.kept, levels.isSubset(of: kept.levels) {
      let covers = position.map { kept.coverage(usesHot: true).position.covers($0) } ?? false
      if kept.began >= since || covers {
        if state.flights.isEmpty, time - kept.began >= settings.ageMax / 2 { start(&state) }
        return .kept(kept)
      }
    }
    let fitting = state.flights.first { flight in
      guard let began = flight.began else { return true }
      return began >= since && levels.isSubset(of: flight.levels)
    }
    return .flight(fitting?.task ?? start(&state))
  }

  @discardableResult
  private func start(_ state: inout State) -> Task<OpenRows?, Never> {
    state.lastFlight += 1
    let number = state.lastFlight
    let earlier = state.flights.last?.task
    let task = Task {
      _ = await earlier?.value
      let began = self.now()
      let levels = self.state.withLock { Self.begin(number, at: began, self.settings, &$0) }
      let outcome = await self.read(levels, began)
      return self.state.withLock { self.end(number, levels, outcome, &$0) }
    }
    state.flights.append(Flight(number: number, began: nil, task: task))
    return task
  }

  /// - Returns: what is to be read.
  private static func begin(
    _ number: UInt64, at began: ContinuousClock.Instant, _ settings: Settings, _ state: inout State
  ) -> Set<WindowLevel> {
    state.wanted = state.wanted.filter { began - $0.value < settings.levelsKept }
    state.paused = state.paused.filter { $0.value > began }
    let levels = Set(state.wanted.keys).subtracting(state.paused.keys)
    if let index = state.flights.firstIndex(where: { $0.number == number }) {
      state.flights[index].began = began
      state.flights[index].levels = levels
    }
    return levels
  }

  private enum Outcome {
    case rows(OpenRows)
    case none(without: Set<WindowLevel>, Duration)
  }

  private func read(_ levels: Set<WindowLevel>, _ began: ContinuousClock.Instant) async -> Outcome {
    let sorted = levels.sorted { $0.rawValue < $1.rawValue }
    do throws(ViewReadError) {
      guard
        let moment = try await view.durable.moment(
          measure, levels: sorted, rowCountMax: settings.rowCountMax),
        let layer = view.layer(measure, at: moment.checkpoints), let hot = layer.hot
      else { return .none(without: levels, settings.pause) }
      let checkpoints = Coverage.checkpoints(moment.checkpoints, of: layer)
      let answer = try await hot.read(
        segments: sorted.map { Segment(level: $0, from: .min, to: .max) },
        seams: checkpoints.mapValues(\.seams), rowCountMax: settings.rowCountMax)
      let rows = moment.rows + answer.rows
      if rows.count > settings.rowCountMax { throw .refused("too many rows to be shared") }
      return .rows(
        OpenRows(
          began: began, levels: levels, moment: moment, layer: layer, checkpoints: checkpoints,
          headers: answer.headers, copies: copies, rows: columns(rows)))
    } catch {
      switch error {
      case .unavailable: return .none(without: levels, settings.pause)
      case .refused: return .none(without: Set(sorted.suffix(1)), settings.pauseOfMany)
      }
    }
  }

  private func columns(_ rows: [HotRow]) -> RowColumns {
    var index = state.withLock { $0.index.take() } ?? TupleIndex()
    index.makeRoom()
    let columns = RowColumns(rows, index: &index)
    state.withLock { [index] in $0.index = index }
    return columns
  }

  private func end(
    _ number: UInt64, _ levels: Set<WindowLevel>, _ outcome: Outcome, _ state: inout State
  ) -> OpenRows? {
    state.flights.removeAll { $0.number == number }
    switch outcome {
    case .rows(let rows):
      metrics.openRows(bytes: rows.rows.byteCount - (state.kept?.rows.byteCount ?? 0))
      metrics.readOpenRows()
      state.kept = rows
      return rows
    case .none(let left, let pause):
      let end = now() + pause
      for level in left { state.paused[level] = end }
      return nil
    }
  }
}
