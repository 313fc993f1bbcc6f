import Events
public import Logging
public import Metrics
import Synchronization
import Views

/// The totals of the busiest campaigns as Prometheus series, so that Grafana and alerts see what a
/// query would answer.
///
/// A task asks the read model every few seconds and a scrape takes its last answer. Only the default
/// site's campaigns with the most impressions are named; the rest is summed up as `(other)`, so the
/// number of series is bounded whatever clients send.
public final class BusinessMetrics: Sendable {
  private static let labels = ["campaign"]
  private static let campaignCountMax = 50
  private static let interval = Duration.seconds(5)

  public static let impressions = declaration("impressions", "Impressions")
  public static let views = declaration("views", "Views")
  public static let clicks = declaration("clicks", "Clicks")
  public static let engagements = declaration("engagements", "Engagements")
  public static let conversions = declaration("conversions", "Conversions")
  public static let revenue = MetricDeclaration(
    "smartcontent_campaign_revenue_total", "Revenue of a campaign since the beginning of the log.",
    .counter, labels: ["campaign", "currency"], maxSeries: 500)
  public static let ctr = MetricDeclaration(
    "smartcontent_campaign_ctr_ratio", "Clicks by impressions of a campaign, over all time.",
    .gauge, labels: labels)
  // Not counters: what is found out later can make them smaller.
  public static let sessions = MetricDeclaration(
    "smartcontent_campaign_sessions",
    "Sessions that began with a campaign since the beginning of the log.", .gauge, labels: labels)
  public static let attributedConversions = MetricDeclaration(
    "smartcontent_campaign_attributed_conversions",
    "Conversions after a click of a campaign since the beginning of the log.", .gauge,
    labels: labels)
  public static let refreshFailures = MetricDeclaration(
    "smartcontent_campaign_refresh_failures_total",
    "Times that the totals of campaigns could not be read.", .counter)

  public static let catalog = [
    impressions, views, clicks, engagements, conversions, revenue, ctr, sessions,
    attributedConversions, refreshFailures,
  ]

  private static func declaration(_ name: String, _ title: String) -> MetricDeclaration {
    MetricDeclaration(
      "smartcontent_campaign_\(name)_total",
      "\(title) of a campaign since the beginning of the log; `(other)` sums up the less busy ones.",
      .counter, labels: labels)
  }

  private let view: ServedView
  private let refreshing: RepeatedRefresh
  private let rows = Mutex<[QueryAnswer.Row]>([])

  public init(
    view: ReadViewSource, registry: MetricRegistry, log: Logger,
    clock: @escaping @Sendable () -> Int64 = QueryRoutes.systemClock
  ) {
    let metrics = QueryMetrics(registry)
    self.view = ServedView(view) { view in
      ServedView.Version(
        QueryExecutor(view: view, clock: clock, logHeads: nil, metrics: metrics),
        sharing: SharedAnswers(.init(), metrics: metrics))
    }
    refreshing = RepeatedRefresh(
      "totals of campaigns", every: Self.interval,
      failures: registry.counter(Self.refreshFailures).with(), log: log)
    let totals: [(MetricDeclaration, @Sendable (Counts) -> Int64)] = [
      (Self.impressions, { $0.impressions }), (Self.views, { $0.views }),
      (Self.clicks, { $0.clicks }), (Self.engagements, { $0.engagements }),
      (Self.conversions, { $0.conversions }),
    ]
    for (declaration, value) in totals {
      registry.computed(declaration) { [weak self] in
        self?.samples { [MetricSample($0.dimensions.texts, Double(value($0.counts)))] } ?? []
      }
    }
    registry.computed(Self.ctr) { [weak self] in
      self?.samples { row in
        guard case .ratio(let ratio?) = row.value(.ctr) else { return [] }
        return [MetricSample(row.dimensions.texts, ratio)]
      } ?? []
    }
    for (declaration, metric) in [
      (Self.sessions, Metric.sessions), (Self.attributedConversions, .attributedConversions),
    ] where view.current().metrics.contains(metric) {
      registry.computed(declaration) { [weak self] in
        self?.samples { row in
          guard case .count(let count) = row.value(metric) else { return [] }
          return [MetricSample(row.dimensions.texts, Double(count))]
        } ?? []
      }
    }
    registry.computed(Self.revenue) { [weak self] in
      self?.samples { row in
        row.revenue.map {
          MetricSample(row.dimensions.texts + [$0.currency], Double($0.micros) / 1_000_000)
        }
      } ?? []
    }
  }

  public func start() { refreshing.start { [weak self] in await self?.refresh() } }

  public func stop() { refreshing.stop() }

  private func samples(
    _ make: (QueryAnswer.Row) -> [MetricSample]
  ) -> [MetricSample] {
    rows.withLock { $0 }.flatMap(make)
  }

  func refresh() async {
    let executor = view.now.executor
    do throws(QueryError) {
      let request = try QueryRequestParser(pipelines: [executor.view.name]).request(
        json: Array(Self.query(executor.view).utf8), parameters: [])
      let zone = ZoneRules.utc
      let plan = try QueryPlan.make(for: request, now: executor.clock(), zone: zone)
      let answer = try await executor.answer(request, plan: plan)
      let named = Self.bounded(answer.rows)
      rows.withLock { $0 = named }
      refreshing.note(nil)
    } catch {
      refreshing.note(error.detail)
    }
  }

  /// One metric of each measure brings all of its sums.
  private static func query(_ view: ReadView) -> String {
    let outcomes = view.metrics.contains(.sessions) ? #","sessions""# : ""
    return """
      {"metrics":["impressions"\(outcomes)],"dimensions":["campaign"],"date_range":"all",\
      "order_by":[["impressions","desc"]],"limit":10000}
      """
  }

  /// The first campaigns as they are, all others as one.
  static func bounded(_ rows: [QueryAnswer.Row]) -> [QueryAnswer.Row] {
    var named = rows.prefix(campaignCountMax).map { row in
      var row = row
      if row.dimensions == [""] { row.dimensions = ["(none)"] }
      return row
    }
    let rest = rows.dropFirst(campaignCountMax)
    guard !rest.isEmpty else { return named }
    var other = QueryAnswer.Row(
      bucketStart: Int64?.none, dimensions: ["(other)"], sums: MeasuredSums(), revenue: [])
    var money: [String: Int64] = [:]
    for row in rest {
      other.sums += row.sums
      for part in row.revenue {
        money[part.currency] = Counts.sum(money[part.currency] ?? 0, part.micros)
      }
    }
    other.revenue = money.sorted { $0.key < $1.key }.map {
      QueryAnswer.Money(currency: $0.key, micros: $0.value)
    }
    named.append(other)
    return named
  }
}
