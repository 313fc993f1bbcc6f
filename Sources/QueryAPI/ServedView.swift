import Synchronization
import Views

/// Where a pipeline's read model is to be found now: a rebuild puts another version in its place while
/// queries come.
public struct ReadViewSource: Sendable {
  /// The pipeline's name, as requests give it.
  public var name: String
  /// The version that queries read at this moment; asked for each request, so it answers at once.
  public var current: @Sendable () -> ReadView

  public init(name: String, current: @escaping @Sendable () -> ReadView) {
    self.name = name
    self.current = current
  }

  /// A read model that stays.
  public init(_ view: ReadView) {
    self.init(name: view.name) { view }
  }
}

/// What answers the queries of one pipeline, made anew when its version changes.
final class ServedView: Sendable {
  /// One version's. A request uses one of them to its end.
  struct Version: Sendable {
    let executor: QueryExecutor
    let answers: SharedAnswers
    /// Nil where nothing is kept.
    let ahead: RangesAhead?
    private let watchers: [[Measure]: PositionWatcher]

    init(
      _ executor: QueryExecutor, watching settings: PositionWatcher.Settings = .init(),
      sharing: SharedAnswers, ahead: RangesAhead? = nil
    ) {
      self.executor = executor
      self.ahead = ahead
      answers = sharing
      let view = executor.view
      var watchers: [[Measure]: PositionWatcher] = [:]
      // Whatever a request may ask for together; nobody waiting costs nothing.
      for measures in [Measure.activity, .outcomes, .exposures].combinations()
      where measures.allSatisfy({ view.layer($0) != nil }) {
        watchers[measures] = PositionWatcher(view: view, measures: measures, settings: settings)
      }
      self.watchers = watchers
    }

    /// - Precondition: the view computes the measures.
    func watcher(_ measures: [Measure]) -> PositionWatcher {
      guard let watcher = watchers[measures] else {
        preconditionFailure("only metrics that the view computes are admitted")
      }
      return watcher
    }
  }

  private let source: ReadViewSource
  private let make: @Sendable (ReadView) -> Version
  private let latest: Mutex<Version>

  init(_ source: ReadViewSource, make: @escaping @Sendable (ReadView) -> Version) {
    self.source = source
    self.make = make
    latest = Mutex(make(source.current()))
  }

  var now: Version {
    let view = source.current()
    return latest.withLock { latest in
      if latest.executor.view.version != view.version { latest = make(view) }
      return latest
    }
  }

  /// Whether queries still read the version.
  func isCurrent(_ version: Version) -> Bool {
    source.current().version == version.executor.view.version
  }
}

extension Array {
  /// Every selection of elements, in their order, but for the empty one.
  func combinations() -> [[Element]] {
    reduce([[]]) { found, element in found + found.map { $0 + [element] } }.filter { !$0.isEmpty }
  }
}
