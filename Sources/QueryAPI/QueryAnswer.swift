import Events
import Statistics
import Views

/// A query's answer: rows in order, and what they stand for.
struct QueryAnswer: Sendable {
  struct Row: Hashable, Sendable {
    /// Start of the time bucket, microseconds since the epoch; nil where the query has none.
    var bucketStart: Int64?
    var dimensions: DimensionValues
    var numbers: Numbers
    /// Of the period before; nil where none is compared, or where it has no such bucket.
    var before: Numbers?

    init(
      bucketStart: Int64?, dimensions: DimensionValues, sums: MeasuredSums, revenue: [Money],
      attributedRevenue: [Money] = [], exposedRevenue: [Money] = []
    ) {
      self.bucketStart = bucketStart
      self.dimensions = dimensions
      numbers = Numbers(
        sums: sums, revenue: revenue, attributedRevenue: attributedRevenue,
        exposedRevenue: exposedRevenue)
    }

    var sums: MeasuredSums {
      get { numbers.sums }
      set { numbers.sums = newValue }
    }
    var revenue: [Money] {
      get { numbers.revenue }
      set { numbers.revenue = newValue }
    }

    var counts: Counts { sums[.activity] }

    func value(_ metric: Metric) -> Metric.Value { numbers.value(metric) }

    var identity: Identity { Identity(bucketStart: bucketStart, dimensions: dimensions) }
  }

  /// What was counted of a row's group in a period.
  struct Numbers: Hashable, Sendable {
    /// Over all currencies; its money means nothing where there are several.
    var sums = MeasuredSums()
    /// By currency, in rising order of code.
    var revenue: [Money] = []
    /// The same of outcomes.
    var attributedRevenue: [Money] = []
    /// The same of exposures.
    var exposedRevenue: [Money] = []

    func value(_ metric: Metric) -> Metric.Value { metric.value(of: sums[metric.measure]) }

    func money(_ measure: Measure) -> [Money] {
      switch measure {
      case .activity: revenue
      case .outcomes: attributedRevenue
      case .exposures: exposedRevenue
      // No metric follows from them.
      case .baselines: []
      }
    }

    /// Nil of what is no rate, and of a rate without a denominator.
    func interval(_ metric: Metric) -> RateInterval? {
      metric.rate(of: sums[metric.measure]).flatMap { RateInterval($0.part, of: $0.whole) }
    }
  }

  struct Money: Hashable, Sendable {
    /// ISO 4217; `XXX` for money without a currency.
    var currency: String
    /// Millionths of it.
    var micros: Int64
  }

  /// What a row is about.
  struct Identity: Hashable, Sendable {
    var bucketStart: Int64?
    var dimensions: DimensionValues
  }

  /// How much of the log the rows contain.
  struct Meta: Hashable, Sendable {
    var position: Position
    /// No event on time is older; nil before the first event. Microseconds since the epoch.
    var watermark: Int64?
    /// When the log stored the newest frame that was read; nil before the first.
    var logTime: Int64?
    /// Whether the watermark has passed the end of the range.
    var isFinal: Bool
    /// The server's clock at the answer.
    var asOf: Int64
    /// Frames that the log has and the rows have not; nil where not known.
    var lagFrames: UInt64?
    /// The highest one of the rows of the read models that the answer is made of: how many frames have
    /// corrected one of them after it was final.
    var revision: Int32 = 0
    var warnings: [String]
    var currencies: [String]
    /// Rows before limit and offset.
    var rowCount: Int
  }

  var rows: [Row]
  var meta: Meta
  /// Before the first read of what it shares with other answers; nil where it shares nothing.
  var began: ContinuousClock.Instant?
}

extension QueryAnswer {
  /// Rows of a table of groups, ordered, limited, with one row of zeros where nothing is grouped.
  ///
  /// - Parameter before: groups of the period that rows are compared with; what it alone has is no row.
  static func rows(
    of table: GroupTable, before: GroupTable? = nil, plan: QueryPlan, request: QueryRequest
  ) -> (rows: [Row], total: Int, currencies: [String]) {
    var rows: [Row] = []
    rows.reserveCapacity(table.groups.count)
    var currencies: Set<String> = []
    for group in table.groups {
      var row = Row(
        bucketStart: plan.buckets.isEmpty ? nil : plan.buckets[group.key.bucket],
        dimensions: group.key.dimensions, group)
      if let before, plan.hasBefore(bucket: group.key.bucket) {
        row.before = before.group(group.key).map { Numbers($0) } ?? Numbers()
      }
      row.addCurrencies(to: &currencies)
      rows.append(row)
    }
    if rows.isEmpty && request.dimensions.isEmpty && request.granularity == nil {
      rows = [
        Row(bucketStart: nil, dimensions: [], sums: MeasuredSums(), revenue: [])
      ]
      rows[0].before = before.map {
        $0.group(GroupTable.Key(bucket: 0, dimensions: [])).map { Numbers($0) } ?? Numbers()
      }
      rows[0].addCurrencies(to: &currencies)
    }
    let sortedCurrencies = currencies.sorted()
    let total = rows.count
    let places = RowOrder(order: request.order, currencies: sortedCurrencies).places(rows)
    if let places {
      rows = places.dropFirst(request.offset).prefix(request.limit).map { rows[$0] }
    } else if request.offset > 0 || request.limit < total {
      rows = Array(rows.dropFirst(request.offset).prefix(request.limit))
    }
    return (rows: rows, total: total, currencies: sortedCurrencies)
  }
}

extension QueryAnswer.Row {
  /// A group of a ``GroupTable``; nil where nothing was counted.
  init(bucketStart: Int64?, dimensions: DimensionValues, _ group: GroupTable.Group?) {
    self.bucketStart = bucketStart
    self.dimensions = dimensions
    numbers = group.map { QueryAnswer.Numbers($0) } ?? QueryAnswer.Numbers()
  }

  /// What was counted by currency.
  init(bucketStart: Int64?, dimensions: DimensionValues, _ byCurrency: [String: MeasuredSums]) {
    self.bucketStart = bucketStart
    self.dimensions = dimensions
    numbers = QueryAnswer.Numbers(byCurrency)
  }

  fileprivate func addCurrencies(to currencies: inout Set<String>) {
    numbers.addCurrencies(to: &currencies)
    before?.addCurrencies(to: &currencies)
  }
}

extension QueryAnswer.Numbers {
  init(_ group: GroupTable.Group) {
    add(group.currency, group.sums)
    if group.others.isEmpty { return }
    for (currency, sums) in group.others { add(currency, sums) }
    sortMoney()
  }

  init(_ byCurrency: [String: MeasuredSums]) {
    for (currency, sums) in byCurrency { add(currency, sums) }
    sortMoney()
  }

  private mutating func sortMoney() {
    revenue.sort { $0.currency < $1.currency }
    attributedRevenue.sort { $0.currency < $1.currency }
    exposedRevenue.sort { $0.currency < $1.currency }
  }

  private mutating func add(_ currency: String, _ sums: MeasuredSums) {
    self.sums += sums
    if let money = Self.money(currency, sums[.activity]) { revenue.append(money) }
    if let money = Self.money(currency, sums[.outcomes]) { attributedRevenue.append(money) }
    if let money = Self.money(currency, sums[.exposures]) { exposedRevenue.append(money) }
  }

  fileprivate func addCurrencies(to currencies: inout Set<String>) {
    for money in revenue { currencies.insert(money.currency) }
    for money in attributedRevenue { currencies.insert(money.currency) }
    for money in exposedRevenue { currencies.insert(money.currency) }
  }

  /// Nil where there is nothing of the currency.
  private static func money(_ currency: String, _ sums: Counts) -> QueryAnswer.Money? {
    if sums == Counts() || (currency.isEmpty && sums.revenueMicros == 0) { return nil }
    return QueryAnswer.Money(
      currency: currency.isEmpty ? "XXX" : currency, micros: sums.revenueMicros)
  }
}

extension QueryAnswer.Numbers {
  func micros(_ currency: String, _ measure: Measure) -> Int64 {
    money(measure).first { $0.currency == currency }?.micros ?? 0
  }
}
