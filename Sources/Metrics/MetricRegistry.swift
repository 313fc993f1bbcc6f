import Synchronization

/// The metrics of one process: gives out handles, and writes all of them for a scrape.
///
///     static let requests = MetricDeclaration("smartcontent_ingest_requests_total", "…", .counter,
///       labels: ["protocol", "outcome"])
///     let ok = registry.counter(requests).with("segment", "ok")
///     ok.add()
public final class MetricRegistry: Sendable {
  /// Label sets that were dropped because a metric had reached its limit of series.
  public static let droppedSeries = MetricDeclaration(
    "smartcontent_metrics_dropped_series_total",
    "Uses of label sets that were dropped because their metric had reached its limit of series.",
    .counter, labels: ["metric"])

  private enum Family: Sendable {
    case counter(MetricFamily<Counter>)
    case gauge(MetricFamily<Gauge>)
    case histogram(MetricFamily<Histogram>)
    case computed(MetricDeclaration, @Sendable () -> [MetricSample])

    var declaration: MetricDeclaration {
      switch self {
      case .counter(let family): family.declaration
      case .gauge(let family): family.declaration
      case .histogram(let family): family.declaration
      case .computed(let declaration, _): declaration
      }
    }
  }

  private let families = Mutex<[String: Family]>([:])
  private let drops: MetricFamily<Counter>

  public init() {
    drops = MetricFamily(Self.droppedSeries, countDrop: {}, make: { Counter() })
    families.withLock { $0[Self.droppedSeries.name] = .counter(drops) }
  }

  /// The family of a declared counter; the same one for the same declaration.
  public func counter(_ declaration: MetricDeclaration) -> MetricFamily<Counter> {
    precondition(declaration.kind == .counter, "\(declaration.name) is not a counter")
    let family = register(declaration) {
      .counter(MetricFamily(declaration, countDrop: dropCounter(declaration)) { Counter() })
    }
    guard case .counter(let counter) = family else { preconditionFailure(Self.clash(declaration)) }
    return counter
  }

  public func gauge(_ declaration: MetricDeclaration) -> MetricFamily<Gauge> {
    precondition(declaration.kind == .gauge, "\(declaration.name) is not a gauge")
    let family = register(declaration) {
      .gauge(MetricFamily(declaration, countDrop: dropCounter(declaration)) { Gauge() })
    }
    guard case .gauge(let gauge) = family else { preconditionFailure(Self.clash(declaration)) }
    return gauge
  }

  public func histogram(_ declaration: MetricDeclaration) -> MetricFamily<Histogram> {
    guard case .histogram(let bounds) = declaration.kind else {
      preconditionFailure("\(declaration.name) is not a histogram")
    }
    let family = register(declaration) {
      .histogram(
        MetricFamily(declaration, countDrop: dropCounter(declaration)) { Histogram(bounds: bounds) }
      )
    }
    guard case .histogram(let histogram) = family else {
      preconditionFailure(Self.clash(declaration))
    }
    return histogram
  }

  /// A gauge or counter whose series are computed at each scrape. A second closure for the same
  /// declaration replaces the first.
  public func computed(
    _ declaration: MetricDeclaration, _ samples: @escaping @Sendable () -> [MetricSample]
  ) {
    if case .histogram = declaration.kind {
      preconditionFailure("\(declaration.name) is a histogram, which cannot be computed")
    }
    families.withLock { $0[declaration.name] = .computed(declaration, samples) }
  }

  /// Everything that was declared to this registry, in order of name.
  public var declarations: [MetricDeclaration] {
    families.withLock { $0.values.map(\.declaration) }.sorted { $0.name < $1.name }
  }

  /// All metrics as a scrape answers them, as UTF-8.
  public func exposition(_ format: ExpositionFormat) -> [UInt8] {
    var writer = ExpositionWriter(format)
    let all = families.withLock { Array($0.values) }
      .sorted { $0.declaration.name < $1.declaration.name }
    // Computed ones first, because they may count drops of their own.
    let computed = all.reduce(into: [String: [MetricSample]]()) { found, family in
      guard case .computed(let declaration, let samples) = family else { return }
      found[declaration.name] = bounded(samples(), declaration)
    }
    for family in all {
      writer.begin(family.declaration)
      switch family {
      case .counter(let family):
        for (labels, child) in family.sorted() {
          writer.sample(family.declaration, labels, Double(child.value))
        }
      case .gauge(let family):
        for (labels, child) in family.sorted() {
          writer.sample(family.declaration, labels, child.value)
        }
      case .histogram(let family):
        for (labels, child) in family.sorted() {
          writer.histogram(family.declaration, labels, bounds: child.bounds, child.totals)
        }
      case .computed(let declaration, _):
        for sample in computed[declaration.name] ?? [] {
          writer.sample(declaration, sample.labels, sample.value)
        }
      }
    }
    return writer.finish()
  }

  private func bounded(
    _ samples: [MetricSample], _ declaration: MetricDeclaration
  ) -> [MetricSample] {
    let sorted = samples.sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
    let excess = sorted.count - declaration.maxSeries
    if excess > 0 { drops.with(declaration.name).add(excess) }
    return Array(sorted.prefix(declaration.maxSeries))
  }

  private func register(
    _ declaration: MetricDeclaration, _ make: () -> Family
  ) -> Family {
    families.withLock { families in
      if let known = families[declaration.name] {
        precondition(known.declaration == declaration, Self.clash(declaration))
        return known
      }
      let family = make()
      families[declaration.name] = family
      return family
    }
  }

  private func dropCounter(_ declaration: MetricDeclaration) -> @Sendable () -> Void {
    let drops = drops
    return { drops.with(declaration.name).add() }
  }

  private static func clash(_ declaration: MetricDeclaration) -> String {
    "\(declaration.name) is declared twice and differently"
  }
}
