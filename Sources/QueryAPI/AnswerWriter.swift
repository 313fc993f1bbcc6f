import Events
import HTTPServer
import Ports
import Statistics
import Views

/// Writes answers as JSON. Integers print as integers, money as an exact decimal, ratios without
/// a denominator as null. Rates have intervals beside them (``RateInterval``), by name; what is compared has
/// the same of the period before, relative changes, and the intervals of the rates' differences.
///
///     {"results":[{"dimensions":["2026-11-01T00:00:00Z","spring"],"metrics":[10,0.2,{"USD":3.5}],
///                  "intervals":{"ctr":[0.0466,0.507]},
///                  "previous":{"metrics":[8,0.1,{"USD":7}],"intervals":{…},
///                              "changes":[0.25,1,{"USD":-0.5}],"differences":{"ctr":[-0.21,0.42]}}}],
///      "meta":{…},"query":{…}}
struct AnswerWriter {
  private let request: QueryRequest
  private let plan: QueryPlan
  private let zone: ZoneRules
  private let rates: RateLabels

  init(request: QueryRequest, plan: QueryPlan, zone: ZoneRules) {
    self.request = request
    self.plan = plan
    self.zone = zone
    rates = RateLabels(request.metrics)
  }

  /// - Parameter written: rows of earlier answers, to be copied; those of this one are kept there.
  func answer(_ answer: QueryAnswer, after written: WrittenRows? = nil) -> [UInt8] {
    let key = WrittenRows.Key(request)
    let before = written?.page(key) ?? WrittenRows.Page()
    var output: [UInt8] = []
    output.reserveCapacity(1_024 + max(before.bytes.count, answer.rows.count * Self.rowBytes))
    output.append(contentsOf: #"{"results":["#.utf8)
    var page = WrittenRows.Page(rows: answer.rows, begin: output.count)
    let isNew = write(&page, after: before, to: &output)
    finish(answer, &output)
    if let written, isNew {
      page.bytes = output
      written.keep(page, key)
    }
    return output
  }

  /// Writes the rows of a page, and where they end.
  ///
  /// - Returns: whether any of them was not there before.
  private func write(
    _ page: inout WrittenRows.Page, after before: WrittenRows.Page, to output: inout [UInt8]
  ) -> Bool {
    page.ends.reserveCapacity(page.rows.count)
    var isNew = false
    var next = 0
    var place = 0
    while next < page.rows.count {
      if next > 0 { output.append(UInt8(ascii: ",")) }
      guard let first = before.place(of: page.rows[next], from: place) else {
        write(page.rows[next], to: &output)
        page.ends.append(output.count)
        isNew = true
        next += 1
        continue
      }
      place = first
      let begin = before.begin(of: first)
      let moved = output.count - begin
      repeat {
        page.ends.append(before.ends[place] + moved)
        next += 1
        place += 1
      } while next < page.rows.count && place < before.rows.count
        && before.rows[place] == page.rows[next]
      output.append(contentsOf: before.bytes[begin..<before.ends[place - 1]])
    }
    return isNew
  }

  private func finish(_ answer: QueryAnswer, _ output: inout [UInt8]) {
    output.append(contentsOf: #"],"meta":"#.utf8)
    write(answer.meta, to: &output)
    output.append(contentsOf: #","query":"#.utf8)
    writeQuery(to: &output)
    output.append(UInt8(ascii: "}"))
  }

  /// What a row mostly takes at most.
  private static let rowBytes = 128

  /// Rows that are new or have other values, and the dimensions of those that are gone.
  func change(_ difference: AnswerDifference, meta: QueryAnswer.Meta) -> [UInt8] {
    var output = Array(#"{"results":["#.utf8)
    write(difference.changed, to: &output)
    output.append(contentsOf: #"],"removed":["#.utf8)
    for (index, identity) in difference.removed.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      write(identity.bucketStart, identity.dimensions, to: &output)
    }
    output.append(contentsOf: #"],"meta":"#.utf8)
    write(meta, to: &output)
    output.append(UInt8(ascii: "}"))
    return output
  }

  private func write(_ rows: [QueryAnswer.Row], to output: inout [UInt8]) {
    for (index, row) in rows.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      write(row, to: &output)
    }
  }

  private func write(_ row: QueryAnswer.Row, to output: inout [UInt8]) {
    output.append(contentsOf: #"{"dimensions":"#.utf8)
    write(row.bucketStart, row.dimensions, to: &output)
    output.append(contentsOf: #","metrics":["#.utf8)
    write(row.numbers, to: &output)
    if let before = row.before {
      output.append(contentsOf: #","previous":{"metrics":["#.utf8)
      write(before, to: &output)
      writeChanges(NumbersChange(row.numbers, before: before), to: &output)
      output.append(UInt8(ascii: "}"))
    }
    output.append(UInt8(ascii: "}"))
  }

  /// The rest of a list of metrics, and the intervals of those that are rates.
  private func write(_ numbers: QueryAnswer.Numbers, to output: inout [UInt8]) {
    for (index, metric) in request.metrics.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      numbers.write(metric, to: &output)
    }
    output.append(UInt8(ascii: "]"))
    rates.write("intervals", to: &output) { metric in
      numbers.interval(metric).map { ($0.lower, $0.upper) }
    }
  }

  private func writeChanges(_ change: NumbersChange, to output: inout [UInt8]) {
    output.append(contentsOf: #","changes":["#.utf8)
    for (index, metric) in request.metrics.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      change.write(metric, to: &output)
    }
    output.append(UInt8(ascii: "]"))
    rates.write("differences", to: &output) { change.difference($0) }
  }

  private func write(
    _ bucketStart: Int64?, _ dimensions: DimensionValues, to output: inout [UInt8]
  ) {
    output.append(UInt8(ascii: "["))
    var isFirst = true
    if let bucketStart {
      output.append(UInt8(ascii: "\""))
      CivilTime.append(micros: bucketStart, offset: offset(at: bucketStart), to: &output)
      output.append(UInt8(ascii: "\""))
      isFirst = false
    }
    for dimension in dimensions.texts {
      if !isFirst { output.append(UInt8(ascii: ",")) }
      JSONText.append(dimension, to: &output)
      isFirst = false
    }
    output.append(UInt8(ascii: "]"))
  }

  private func write(_ meta: QueryAnswer.Meta, to output: inout [UInt8]) {
    output.append(contentsOf: #"{"position":"#.utf8)
    JSONText.append(meta.position.description, to: &output)
    output.append(contentsOf: #","watermark":"#.utf8)
    JSONText.append(instant: meta.watermark, to: &output)
    output.append(contentsOf: #","final":\#(meta.isFinal),"log_time":"#.utf8)
    JSONText.append(instant: meta.logTime, to: &output)
    output.append(contentsOf: #","as_of":"#.utf8)
    JSONText.append(instant: meta.asOf, to: &output)
    output.append(contentsOf: #","revision":\#(meta.revision)"#.utf8)
    if let lag = meta.lagFrames { output.append(contentsOf: #","lag_frames":\#(lag)"#.utf8) }
    output.append(contentsOf: #","currencies":"#.utf8)
    write(meta.currencies, to: &output)
    output.append(contentsOf: #","row_count":\#(meta.rowCount),"warnings":"#.utf8)
    write(meta.warnings, to: &output)
    output.append(UInt8(ascii: "}"))
  }

  private func writeQuery(to output: inout [UInt8]) {
    output.append(contentsOf: #"{"site_id":"#.utf8)
    JSONText.append(request.site, to: &output)
    output.append(contentsOf: #","pipeline":"#.utf8)
    JSONText.append(request.pipeline, to: &output)
    output.append(contentsOf: #","metrics":"#.utf8)
    write(request.metrics.map(\.rawValue), to: &output)
    output.append(contentsOf: #","date_range":"#.utf8)
    write([time(plan.range.from), time(plan.range.to)], to: &output)
    if let before = plan.before?.range {
      output.append(contentsOf: #","compare":"previous","previous_date_range":"#.utf8)
      write([time(before.from), time(before.to)], to: &output)
    }
    output.append(contentsOf: #","dimensions":"#.utf8)
    let time = request.granularity.map { [$0.dimensionName] } ?? []
    write(time + request.dimensions.map(\.name), to: &output)
    output.append(contentsOf: #","filters":"#.utf8)
    FilterText.write(
      request.filters.map(\.text), request.alternatives.map { $0.map(\.text) }, to: &output)
    output.append(contentsOf: #","order_by":["#.utf8)
    for (index, step) in request.order.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      write([name(of: step.key), step.isDescending ? "desc" : "asc"], to: &output)
    }
    output.append(contentsOf: #"],"timezone":"#.utf8)
    JSONText.append(request.timezone, to: &output)
    if request.traffic != .people {
      output.append(contentsOf: #","traffic":"\#(request.traffic.rawValue)""#.utf8)
    }
    output.append(contentsOf: #","limit":\#(request.limit),"offset":\#(request.offset)}"#.utf8)
  }

  private func name(of key: QueryRequest.Order.Key) -> String {
    switch key {
    case .time: "time"
    case .metric(let metric): metric.rawValue
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
  func time(_ micros: Int64) -> String {
    CivilTime.text(micros: micros, offset: offset(at: micros))
  }

  private func offset(at micros: Int64) -> Int {
    zone.offset(at: CivilTime.floorDivide(micros, 1_000_000))
  }

  /// The shortest decimal that reads back as the same number; without a point where it is whole.
  static func text(_ ratio: Double) -> String {
    let text = ratio.description
    return text.utf8.suffix(2).elementsEqual(".0".utf8) ? String(text.dropLast(2)) : text
  }

  /// Six significant digits of an end of an interval or of a change: what lies beyond is noise.
  static func rounded(_ value: Double) -> Double {
    let size = value.magnitude
    guard size > 1e-15, size < 1e15 else { return size < 1 ? 0 : value }
    var scale = 1.0
    while size * scale < 100_000 { scale *= 10 }
    return (value * scale).rounded() / scale
  }

  /// Millionths as an exact decimal, such as 12500000 as 12.5.
  static func text(micros: Int64) -> String {
    let magnitude = micros.magnitude
    let sign = micros < 0 ? "-" : ""
    let fraction = magnitude % 1_000_000
    if fraction == 0 { return "\(sign)\(magnitude / 1_000_000)" }
    var digits = String(fraction + 1_000_000).dropFirst()
    while digits.last == "0" { digits.removeLast() }
    return "\(sign)\(magnitude / 1_000_000).\(digits)"
  }
}

extension QueryAnswer.Numbers {
  func write(_ metric: Metric, to output: inout [UInt8]) {
    switch value(metric) {
    case .count(let count): JSONText.append(integer: count, to: &output)
    case .ratio(let ratio):
      output.append(contentsOf: (ratio.map { AnswerWriter.text($0) } ?? "null").utf8)
    case .money:
      // By currency, such as `{"EUR":1,"USD":3.5}`.
      output.append(UInt8(ascii: "{"))
      for (index, money) in money(metric.measure).enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        JSONText.append(money.currency, to: &output)
        output.append(UInt8(ascii: ":"))
        output.append(contentsOf: AnswerWriter.text(micros: money.micros).utf8)
      }
      output.append(UInt8(ascii: "}"))
    }
  }
}

extension NumbersChange {
  /// By which part it is more, by currency where it is money.
  func write(_ metric: Metric, to output: inout [UInt8]) {
    switch relative(metric) {
    case .one(let change): JSONText.append(interval: change, to: &output)
    case .byCurrency(let changes):
      output.append(UInt8(ascii: "{"))
      for (index, change) in changes.enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        JSONText.append(change.currency, to: &output)
        output.append(UInt8(ascii: ":"))
        JSONText.append(interval: change.value, to: &output)
      }
      output.append(UInt8(ascii: "}"))
    }
  }
}

extension JSONText {
  static func append(integer value: Int64, to output: inout [UInt8]) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
      var place = digits.count
      var rest = value.magnitude
      repeat {
        place -= 1
        digits[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
      } while rest > 0
      if value < 0 { output.append(UInt8(ascii: "-")) }
      output.append(contentsOf: UnsafeBufferPointer(rebasing: digits[place...]))
    }
  }

  /// Both ends of an interval, or null.
  static func append(ends: (lower: Double, upper: Double)?, to output: inout [UInt8]) {
    guard let ends else {
      output.append(contentsOf: "null".utf8)
      return
    }
    output.append(UInt8(ascii: "["))
    append(interval: ends.lower, to: &output)
    output.append(UInt8(ascii: ","))
    append(interval: ends.upper, to: &output)
    output.append(UInt8(ascii: "]"))
  }

  /// An end of an interval or a change, rounded, or null.
  static func append(interval value: Double?, to output: inout [UInt8]) {
    output.append(
      contentsOf: (value.map { AnswerWriter.text(AnswerWriter.rounded($0)) } ?? "null").utf8)
  }

  /// A timestamp in UTC, or null.
  static func append(instant: Int64?, to output: inout [UInt8]) {
    guard let instant, instant != .min else {
      output.append(contentsOf: "null".utf8)
      return
    }
    append(CivilTime.text(micros: instant), to: &output)
  }
}
