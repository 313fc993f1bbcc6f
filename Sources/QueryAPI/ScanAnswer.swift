import Analyses
import Events
import HTTPServer
import LogScans
import Statistics
import Views

/// Writes what a scan has found: as JSON in the form of ``AnswerWriter``, as CSV in that of ``CSVAnswer``.
///
///     {"results":[{"dimensions":["mobile"],"metrics":[10,7]}],
///      "meta":{"position":…,"watermark":…,"scanned":true,"events_read":…,"other_share":0,…},"query":{…}}
struct ScanAnswer: Sendable {
  var request: ScanRequest
  var periods: ScanPeriods
  var zone: ZoneRules

  /// A row, and the counts of all its currencies.
  fileprivate struct Row {
    var found: BreakdownRow
    var row: QueryAnswer.Row
    /// The same of the period before, at most one.
    var before: [Row] = []
  }

  private struct Group: Hashable {
    let bucket: Int
    let values: [String]
  }

  /// - Parameter asOf: the server's clock.
  func json(_ breakdown: Breakdown, _ reach: ScanReach, asOf: Int64) -> [UInt8] {
    let (rows, currencies) = rows(of: breakdown)
    var output = Array(#"{"results":["#.utf8)
    for (index, row) in page(rows).enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      write(row, to: &output)
    }
    output.append(contentsOf: #"],"meta":"#.utf8)
    write(
      reach, asOf: asOf, otherShare: breakdown.otherShare, currencies: currencies,
      rowCount: rows.count, to: &output)
    output.append(contentsOf: #","query":"#.utf8)
    output.append(contentsOf: query)
    output.append(UInt8(ascii: "}"))
    return output
  }

  /// Of a request that is a table (``ScanRequest/checkIsTable()``). Where it asks for a list of the most frequent, each
  /// entry has a row, with its place, its value, its count and by how much that may be too high; where there are no
  /// entries there is a row without one.
  func csv(_ breakdown: Breakdown, _ reach: ScanReach) -> ScanJob.Answer {
    let (rows, currencies) = rows(of: breakdown)
    var header = request.base.granularity.map { [$0.dimensionName] } ?? []
    header += request.dimensions.map(\.name)
    for metric in request.metrics {
      if case .declared(let declared) = metric {
        header += CSVAnswer.names(declared, currencies)
      } else {
        header += [metric.name]
        if !metric.isNumber { header += ["rank", "count", "error"].map { "\(metric.name)_\($0)" } }
      }
    }
    if periods.before != nil {
      for metric in request.metrics where metric.isNumber {
        if case .declared(let declared) = metric {
          header += CSVAnswer.namesBefore(declared, currencies)
        } else {
          header += ["\(metric.name)_before", "\(metric.name)_change"]
        }
      }
    }
    var table = CSVTable(header: header)
    for row in page(rows) {
      let list = request.tops.isEmpty ? nil : row.found.tops.first
      for rank in 0..<max(1, list?.entries.count ?? 1) {
        var cells: [CSVTable.Cell] = row.row.bucketStart.map { [.text(time($0))] } ?? []
        cells += row.found.values.map { .text($0) }
        for metric in request.metrics {
          cells +=
            metric.isNumber
            ? self.cells(metric, of: row, currencies)
            : Self.cells(list?.entries.dropFirst(rank).first, rank)
        }
        if periods.before != nil {
          for metric in request.metrics where metric.isNumber {
            cells += cellsBefore(metric, of: row, currencies)
          }
        }
        table.append(cells)
      }
    }
    return ScanJob.Answer(
      table.bytes,
      headers: reach.headers(rangeEnd: periods.range.to, rowCount: rows.count) + [
        (name: "SmartContent-Other-Share", value: AnswerWriter.text(breakdown.otherShare))
      ])
  }

  private static func cells(
    _ entry: BreakdownRow.TopList.Entry?, _ rank: Int
  ) -> [CSVTable.Cell] {
    guard let entry else { return [.empty, .empty, .empty, .empty] }
    return [
      .text(entry.text), .number("\(rank + 1)"), .number("\(entry.count)"),
      .number("\(entry.error)"),
    ]
  }

  private func cells(
    _ metric: ScanMetric, of row: Row, _ currencies: [String]
  ) -> [CSVTable.Cell] {
    if case .declared(let declared) = metric {
      return CSVAnswer.cells(row.row.numbers, declared, currencies)
    }
    var text: [UInt8] = []
    write(metric, of: row, to: &text)
    let number = String(decoding: text, as: UTF8.self)
    return [number == "null" ? .empty : .number(number)]
  }

  private func cellsBefore(
    _ metric: ScanMetric, of row: Row, _ currencies: [String]
  ) -> [CSVTable.Cell] {
    if case .declared(let declared) = metric {
      return CSVAnswer.cellsBefore(row.row, declared, currencies)
    }
    guard let before = row.before.first else { return [.empty, .empty] }
    return cells(metric, of: before, currencies) + [CSVAnswer.cell(row.change(metric))]
  }

  /// In order, and their currencies.
  private func rows(of breakdown: Breakdown) -> ([Row], currencies: [String]) {
    var rows: [Row] = []
    var before: [Group: Row] = [:]
    for var found in breakdown.rows() {
      guard let place = periods.place(of: found.bucket) else { continue }
      found.bucket = place.bucket
      if place.isBefore {
        before[Group(bucket: found.bucket, values: found.values)] = row(found)
      } else {
        rows.append(row(found))
      }
    }
    if rows.isEmpty && request.dimensions.isEmpty && request.base.granularity == nil {
      rows = [row(BreakdownRow(bucket: 0, values: [], isOther: false))]
    }
    if periods.before != nil {
      for index in rows.indices { compare(&rows[index], with: before) }
    }
    let all = rows + rows.flatMap(\.before)
    let currencies = Set(all.flatMap { $0.row.revenue.map(\.currency) }).sorted()
    sort(&rows, currencies)
    return (rows, currencies)
  }

  private func compare(_ row: inout Row, with before: [Group: Row]) {
    let found = row.found
    guard periods.hasBefore(found.bucket) else { return }
    let earlier =
      before[Group(bucket: found.bucket, values: found.values)]
      ?? self.row(
        BreakdownRow(bucket: found.bucket, values: found.values, isOther: found.isOther))
    row.before = [earlier]
    row.row.before = earlier.row.numbers
  }

  private func page(_ rows: [Row]) -> ArraySlice<Row> {
    rows.dropFirst(request.base.offset).prefix(request.base.limit)
  }

  private func row(_ found: BreakdownRow) -> Row {
    Row(
      found: found,
      row: QueryAnswer.Row(
        bucketStart: periods.buckets.isEmpty ? nil : periods.buckets[found.bucket],
        dimensions: DimensionValues(found.values),
        found.counts.mapValues { MeasuredSums(activity: $0) }))
  }

  // MARK: Order

  /// As asked for, then by time, then by dimensions; `(other)` comes last.
  private func sort(_ rows: inout [Row], _ currencies: [String]) {
    rows.sort { a, b in
      if a.found.isOther != b.found.isOther { return b.found.isOther }
      for step in request.order {
        if let isBefore = isBefore(a, b, step, currencies) { return isBefore }
      }
      if a.found.bucket != b.found.bucket { return a.found.bucket < b.found.bucket }
      return a.row.dimensions < b.row.dimensions
    }
  }

  private func isBefore(
    _ a: Row, _ b: Row, _ step: ScanRequest.Order, _ currencies: [String]
  ) -> Bool? {
    func compare<Value: Comparable>(_ x: Value, _ y: Value) -> Bool? {
      x == y ? nil : step.isDescending ? x > y : x < y
    }
    switch step.key {
    case .time: return compare(a.found.bucket, b.found.bucket)
    case .dimension(let index):
      return compare(
        DimensionValues([a.found.values[index]]), DimensionValues([b.found.values[index]]))
    case .metric(.declared(.revenue)):
      for currency in currencies {
        let (x, y) = (a.micros(currency), b.micros(currency))
        if let result = compare(x, y) { return result }
      }
      return nil
    case .metric(let metric):
      switch (a.number(metric), b.number(metric)) {
      case (nil, nil): return nil
      case (nil, _): return false
      case (_, nil): return true
      case (let x?, let y?): return compare(x, y)
      }
    }
  }

  // MARK: JSON

  private func write(_ row: Row, to output: inout [UInt8]) {
    output.append(contentsOf: #"{"dimensions":["#.utf8)
    let times = row.row.bucketStart.map { [time($0)] } ?? []
    for (index, text) in (times + row.found.values).enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      JSONText.append(text, to: &output)
    }
    output.append(contentsOf: #"],"metrics":["#.utf8)
    for (index, metric) in request.metrics.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      write(metric, of: row, to: &output)
    }
    output.append(UInt8(ascii: "]"))
    RateLabels(declared).write("intervals", to: &output) { metric in
      row.row.numbers.interval(metric).map { ($0.lower, $0.upper) }
    }
    if let before = row.before.first { write(before, now: row, to: &output) }
    output.append(UInt8(ascii: "}"))
  }

  private func write(_ before: Row, now row: Row, to output: inout [UInt8]) {
    output.append(contentsOf: #","previous":{"metrics":["#.utf8)
    for (index, metric) in request.metrics.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      write(metric, of: before, to: &output)
    }
    output.append(UInt8(ascii: "]"))
    let rates = RateLabels(declared)
    rates.write("intervals", to: &output) { metric in
      before.row.numbers.interval(metric).map { ($0.lower, $0.upper) }
    }
    let change = NumbersChange(row.row.numbers, before: before.row.numbers)
    output.append(contentsOf: #","changes":["#.utf8)
    for (index, metric) in request.metrics.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      if case .declared(let declared) = metric {
        change.write(declared, to: &output)
      } else {
        JSONText.append(interval: row.change(metric), to: &output)
      }
    }
    output.append(UInt8(ascii: "]"))
    rates.write("differences", to: &output) { change.difference($0) }
    output.append(UInt8(ascii: "}"))
  }

  private var declared: [Metric] {
    request.metrics.compactMap { if case .declared(let metric) = $0 { metric } else { nil } }
  }

  private func write(_ metric: ScanMetric, of row: Row, to output: inout [UInt8]) {
    switch metric {
    case .declared(let metric): row.row.numbers.write(metric, to: &output)
    case .events: output.append(contentsOf: "\(row.found.events)".utf8)
    case .uniques:
      let estimate = row.found.uniques?.estimate ?? 0
      output.append(contentsOf: "\(Int64(estimate.rounded()))".utf8)
    case .dwell, .scroll:
      // The sketch's error is 1 %: further digits would say nothing.
      let text = row.number(metric).map { AnswerWriter.text(Self.rounded($0)) }
      output.append(contentsOf: (text ?? "null").utf8)
    case .top(let dimension):
      // A row of nobody has no lists.
      let place = request.tops.firstIndex(of: dimension) ?? 0
      write(row.found.tops.dropFirst(place).first, to: &output)
    }
  }

  /// To four digits.
  private static func rounded(_ value: Double) -> Double {
    guard value > 0 else { return value }
    var unit = 1.0
    while value * unit < 1000 { unit *= 10 }
    return (value * unit).rounded() / unit
  }

  /// Such as `{"top":[{"value":"post-1","count":12,"error":0}],"certain":true}`.
  private func write(_ list: BreakdownRow.TopList?, to output: inout [UInt8]) {
    output.append(contentsOf: #"{"top":["#.utf8)
    for (index, entry) in (list?.entries ?? []).enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      output.append(contentsOf: #"{"value":"#.utf8)
      JSONText.append(entry.text, to: &output)
      output.append(contentsOf: #","count":\#(entry.count),"error":\#(entry.error)}"#.utf8)
    }
    output.append(contentsOf: #"],"certain":\#(list?.isCertain ?? true)}"#.utf8)
  }

  private func write(
    _ reach: ScanReach, asOf: Int64, otherShare: Double, currencies: [String], rowCount: Int,
    to output: inout [UInt8]
  ) {
    output.append(contentsOf: #"{"#.utf8)
    reach.write(asOf: asOf, rangeEnd: periods.range.to, to: &output)
    output.append(contentsOf: #","other_share":\#(AnswerWriter.text(otherShare))"#.utf8)
    output.append(contentsOf: #","currencies":"#.utf8)
    write(currencies, to: &output)
    output.append(contentsOf: #","row_count":\#(rowCount),"warnings":[]}"#.utf8)
  }

  /// The query as it was understood: in one form for each question.
  var query: [UInt8] {
    let base = request.base
    var output = Array(#"{"site_id":"#.utf8)
    JSONText.append(base.site, to: &output)
    output.append(contentsOf: #","pipeline":"#.utf8)
    JSONText.append(base.pipeline, to: &output)
    output.append(contentsOf: #","metrics":"#.utf8)
    write(request.metrics.map(\.name), to: &output)
    output.append(contentsOf: #","date_range":"#.utf8)
    write([time(periods.range.from), time(periods.range.to)], to: &output)
    if let before = periods.before {
      output.append(contentsOf: #","compare":"previous","previous_date_range":"#.utf8)
      write([time(before.from), time(before.to)], to: &output)
    }
    output.append(contentsOf: #","dimensions":"#.utf8)
    write(
      (base.granularity.map { [$0.dimensionName] } ?? []) + request.dimensions.map(\.name),
      to: &output)
    output.append(contentsOf: #","filters":"#.utf8)
    request.filters.write(to: &output)
    output.append(contentsOf: #","order_by":["#.utf8)
    for (index, step) in request.order.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      write([name(of: step.key), step.isDescending ? "desc" : "asc"], to: &output)
    }
    output.append(contentsOf: #"],"timezone":"#.utf8)
    JSONText.append(base.timezone, to: &output)
    output.append(contentsOf: #","traffic":"\#(base.traffic.rawValue)","as_known_at":"#.utf8)
    JSONText.append(instant: request.knownAt, to: &output)
    if !request.tops.isEmpty {
      output.append(contentsOf: #","top_limit":\#(request.topLength)"#.utf8)
    }
    output.append(
      contentsOf: #","scan":true,"limit":\#(base.limit),"offset":\#(base.offset)}"#.utf8)
    return output
  }

  private func name(of key: ScanRequest.Order.Key) -> String {
    switch key {
    case .time: "time"
    case .metric(let metric): metric.name
    case .dimension(let index): request.dimensions[index].name
    }
  }

  private func write(_ texts: [String], to output: inout [UInt8]) {
    output.append(UInt8(ascii: "["))
    for (index, text) in texts.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      JSONText.append(text, to: &output)
    }
    output.append(UInt8(ascii: "]"))
  }

  /// In the query's own zone.
  private func time(_ micros: Int64) -> String {
    CivilTime.text(
      micros: micros, offset: zone.offset(at: CivilTime.floorDivide(micros, 1_000_000)))
  }
}

extension ScanAnswer.Row {
  /// By which part of what it was a number is more; nil where it was nothing, or is no number.
  fileprivate func change(_ metric: ScanMetric) -> Double? {
    guard let now = number(metric), let before = before.first?.number(metric) else { return nil }
    return NumbersChange.change(now, before)
  }

  fileprivate func micros(_ currency: String) -> Int64 {
    row.revenue.first { $0.currency == currency }?.micros ?? 0
  }

  /// Nil of a ratio without a denominator, and of a quantile of nothing.
  fileprivate func number(_ metric: ScanMetric) -> Double? {
    switch metric {
    case .declared(let metric):
      switch row.value(metric) {
      case .count(let count): Double(count)
      case .ratio(let ratio): ratio
      case .money(let micros): Double(micros)
      }
    case .events: Double(found.events)
    case .uniques: found.uniques?.estimate
    case .dwell(let percent): found.dwell?.quantile(Double(percent) / 100)
    case .scroll(let percent): found.scroll?.quantile(Double(percent) / 100)
    case .top: nil
    }
  }
}

extension ScanReach {
  /// What a table has no place for: how complete it is, and how many rows there are, shown or not.
  func headers(rangeEnd: Int64, rowCount: Int) -> [(name: String, value: String)] {
    [
      (name: "SmartContent-Position", value: position?.description ?? ""),
      (name: "SmartContent-Final", value: "\(isFinal(rangeEnd: rangeEnd))"),
      (name: "SmartContent-Row-Count", value: "\(rowCount)"),
    ]
  }

  /// Whether no event on time can come before the end of a range.
  private func isFinal(rangeEnd: Int64) -> Bool { watermark.map { rangeEnd <= $0 } ?? false }

  /// Members of `meta` that say how complete the answer of a scan is.
  ///
  /// - Parameters:
  ///   - asOf: the server's clock, microseconds since the epoch.
  ///   - rangeEnd: of the question.
  func write(asOf: Int64, rangeEnd: Int64, to output: inout [UInt8]) {
    output.append(contentsOf: #""position":"#.utf8)
    JSONText.append(position?.description ?? "", to: &output)
    output.append(contentsOf: #","watermark":"#.utf8)
    JSONText.append(instant: watermark, to: &output)
    output.append(contentsOf: #","final":\#(isFinal(rangeEnd: rangeEnd)),"log_time":"#.utf8)
    JSONText.append(instant: logTime, to: &output)
    output.append(contentsOf: #","as_of":"#.utf8)
    JSONText.append(instant: asOf, to: &output)
    output.append(contentsOf: #","as_known_at":"#.utf8)
    JSONText.append(instant: knownAt, to: &output)
    output.append(
      contentsOf:
        #","scanned":true,"frames_read":\#(tally.frames),"events_read":\#(tally.events)"#.utf8)
    output.append(
      contentsOf:
        #","duplicates":\#(tally.duplicate),"too_late":\#(tally.tooLate),"erased":\#(tally.erased),"in_range":\#(tally.counted),"late":\#(tally.late),"revision":\#(tally.revision)"#
        .utf8)
  }
}
