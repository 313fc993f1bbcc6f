import Events
import Statistics
import Views

/// An answer as CSV: a column for each dimension and metric, and after a rate the ends of its interval.
///
///     campaign,clicks,ctr,ctr_low,ctr_high,revenue_EUR
///     spring,12,0.024,0.0129875,0.0404613,3.5
///
/// Money has a column for each currency of the answer. What is compared with the period before adds, for each
/// metric, `_before` (a rate's with the ends of its interval), `_change`, and a rate's `_difference_low` and
/// `_difference_high`. What is not known is empty.
struct CSVAnswer {
  var request: QueryRequest
  var plan: QueryPlan
  var zone: ZoneRules

  func table(_ answer: QueryAnswer) -> [UInt8] {
    let currencies = answer.meta.currencies
    var header = request.granularity.map { [$0.dimensionName] } ?? []
    header += request.dimensions.map(\.name)
    for metric in request.metrics { header += Self.names(metric, currencies) }
    if plan.before != nil {
      for metric in request.metrics { header += Self.namesBefore(metric, currencies) }
    }
    var table = CSVTable(header: header)
    let writer = AnswerWriter(request: request, plan: plan, zone: zone)
    for row in answer.rows {
      var cells: [CSVTable.Cell] = row.bucketStart.map { [.text(writer.time($0))] } ?? []
      cells += row.dimensions.texts.map { .text($0) }
      for metric in request.metrics { cells += Self.cells(row.numbers, metric, currencies) }
      if plan.before != nil {
        for metric in request.metrics { cells += Self.cellsBefore(row, metric, currencies) }
      }
      table.append(cells)
    }
    return table.bytes
  }

  private static func columns(_ metric: Metric, _ currencies: [String]) -> [String] {
    guard case .money = metric.value(of: Counts()) else { return [metric.rawValue] }
    return currencies.map { "\(metric.rawValue)_\($0)" }
  }

  static func names(_ metric: Metric, _ currencies: [String]) -> [String] {
    let columns = columns(metric, currencies)
    return metric.isRate
      ? columns + ["\(metric.rawValue)_low", "\(metric.rawValue)_high"] : columns
  }

  static func namesBefore(_ metric: Metric, _ currencies: [String]) -> [String] {
    let columns = columns(metric, currencies)
    let name = metric.rawValue
    let ends = metric.isRate ? ["\(name)_before_low", "\(name)_before_high"] : []
    let differences = metric.isRate ? ["\(name)_difference_low", "\(name)_difference_high"] : []
    return columns.map { "\($0)_before" } + ends + columns.map { "\($0)_change" } + differences
  }

  static func cells(
    _ numbers: QueryAnswer.Numbers, _ metric: Metric, _ currencies: [String]
  ) -> [CSVTable.Cell] {
    switch numbers.value(metric) {
    case .count(let count): return [.number(String(count))]
    case .ratio(let ratio):
      let cell: CSVTable.Cell = ratio.map { .number(AnswerWriter.text($0)) } ?? .empty
      guard metric.isRate else { return [cell] }
      let interval = numbers.interval(metric)
      return [cell, Self.cell(interval?.lower), Self.cell(interval?.upper)]
    case .money:
      return currencies.map {
        .number(AnswerWriter.text(micros: numbers.micros($0, metric.measure)))
      }
    }
  }

  static func cellsBefore(
    _ row: QueryAnswer.Row, _ metric: Metric, _ currencies: [String]
  ) -> [CSVTable.Cell] {
    guard let before = row.before else {
      return namesBefore(metric, currencies).map { _ in .empty }
    }
    let change = NumbersChange(row.numbers, before: before)
    var cells = cells(before, metric, currencies)
    switch change.relative(metric) {
    case .one(let change): cells.append(cell(change))
    case .byCurrency:
      cells += currencies.map { cell(change.change(currency: $0, of: metric)) }
    }
    if metric.isRate {
      let difference = change.difference(metric)
      cells += [cell(difference?.lower), cell(difference?.upper)]
    }
    return cells
  }

  static func cell(_ value: Double?) -> CSVTable.Cell {
    value.map { .number(AnswerWriter.text(AnswerWriter.rounded($0))) } ?? .empty
  }
}
