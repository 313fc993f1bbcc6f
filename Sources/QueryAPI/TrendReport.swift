import Dataflow
import Events
import HTTPServer
import Ports
import Views

/// The answer to ``TrendRequest``: values that rise most first, and what they were a window earlier.
///
///     {"by":"campaign","metric":"clicks","window":{"from":…,"to":…},"before":{"from":…,"to":…},
///      "final":false,"trends":[{"campaign":"spring","current":{"impressions":9,…},
///      "before":{…},"change":4,"ratio":1.8}],"row_count":1,"position":…,"watermark":…,…}
///
/// `change` is what the metric has more than before, `ratio` how many times as much it is, null where
/// there was none before. Values with nothing in either window are not there.
struct TrendReport: Sendable {
  struct Row: Hashable, Sendable {
    var value: DimensionValues
    var current: QueryAnswer.Row
    var before: QueryAnswer.Row
    /// Of the request's metric.
    var change: Int64
  }

  let request: TrendRequest
  let rows: [Row]
  let rowCount: Int
  private let answer: TrendAnswer
  private let coverage: CoverageSum
  private let asOf: Int64

  /// - Parameter now: microseconds since the epoch.
  init(_ request: TrendRequest, _ answer: TrendAnswer, of view: ReadView, now: Int64) {
    self.request = request
    self.answer = answer
    asOf = now
    var coverage = CoverageSum(generation: view.generation, partitions: view.partitions)
    coverage.advance(to: answer.checkpoint.sources)
    self.coverage = coverage
    var table = GroupTable()
    for group in answer.groups { table.add(group, .activity) }
    var sums: [DimensionValues: [Int: GroupTable.Group]] = [:]
    for group in table.groups {
      sums[group.key.dimensions, default: [:]][group.key.bucket] = group
    }
    let all = sums.map { value, buckets in
      func row(_ bucket: Int) -> QueryAnswer.Row {
        QueryAnswer.Row(bucketStart: nil, dimensions: value, buckets[bucket])
      }
      let (before, current) = (row(0), row(1))
      let change =
        Self.count(request.metric, current) &- Self.count(request.metric, before)
      return Row(value: value, current: current, before: before, change: change)
    }.filter { !$0.current.sums.isZero || !$0.before.sums.isZero }
    let ordered = all.sorted { a, b in
      if a.change != b.change { return a.change > b.change }
      let (x, y) = (Self.count(request.metric, a.current), Self.count(request.metric, b.current))
      return x == y ? a.value < b.value : x > y
    }
    rowCount = ordered.count
    rows = Array(ordered.prefix(request.limit))
  }

  private static func count(_ metric: Metric, _ row: QueryAnswer.Row) -> Int64 {
    guard case .count(let count) = row.value(metric) else { return 0 }
    return count
  }

  var position: Position { coverage.position }

  var isFinal: Bool { answer.end.map { $0 <= answer.checkpoint.watermark } ?? false }

  /// A row for each value: its counts, the same of the window before as `_before`, `change` and `ratio`.
  var csv: [UInt8] {
    let metrics = TrendRequest.metrics + [.revenue]
    let money = rows.flatMap { $0.current.revenue + $0.before.revenue }
    let currencies = Set(money.map(\.currency)).sorted()
    let names = metrics.flatMap { CSVAnswer.names($0, currencies) }
    var table = CSVTable(
      header: [request.dimension.name] + names + names.map { "\($0)_before" }
        + ["change", "ratio"])
    for row in rows {
      var cells: [CSVTable.Cell] = [.text(row.value.texts[0])]
      for numbers in [row.current.numbers, row.before.numbers] {
        for metric in metrics { cells += CSVAnswer.cells(numbers, metric, currencies) }
      }
      cells.append(.number("\(row.change)"))
      cells.append(ratio(row).map { .number(AnswerWriter.text($0)) } ?? .empty)
      table.append(cells)
    }
    return table.bytes
  }

  /// Nil where nothing was counted before.
  private func ratio(_ row: Row) -> Double? {
    let before = Self.count(request.metric, row.before)
    return before == 0
      ? nil : Double(Self.count(request.metric, row.current)) / Double(before)
  }

  var json: [UInt8] {
    var output = Array(
      #"{"by":"\#(request.dimension.name)","metric":"\#(request.metric.rawValue)","window":"#.utf8)
    writeWindow(endingAt: answer.end, to: &output)
    output.append(contentsOf: #","before":"#.utf8)
    writeWindow(endingAt: answer.end.map { $0 - answer.size }, to: &output)
    output.append(contentsOf: #","final":\#(isFinal),"trends":["#.utf8)
    for (index, row) in rows.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      write(row, to: &output)
    }
    output.append(contentsOf: #"],"row_count":\#(rowCount),"position":"#.utf8)
    JSONText.append(coverage.position.description, to: &output)
    for (name, instant) in [
      ("watermark", answer.checkpoint.watermark), ("log_time", answer.checkpoint.logTime),
      ("as_of", asOf),
    ] {
      output.append(contentsOf: #","\#(name)":"#.utf8)
      JSONText.append(instant: instant, to: &output)
    }
    output.append(UInt8(ascii: "}"))
    return output
  }

  private func writeWindow(endingAt end: Int64?, to output: inout [UInt8]) {
    guard let end else {
      output.append(contentsOf: "null".utf8)
      return
    }
    output.append(contentsOf: #"{"from":"#.utf8)
    JSONText.append(instant: end - answer.size, to: &output)
    output.append(contentsOf: #","to":"#.utf8)
    JSONText.append(instant: end, to: &output)
    output.append(UInt8(ascii: "}"))
  }

  private func write(_ row: Row, to output: inout [UInt8]) {
    output.append(contentsOf: #"{"\#(request.dimension.name)":"#.utf8)
    JSONText.append(row.value.texts[0], to: &output)
    for (name, sums) in [("current", row.current), ("before", row.before)] {
      output.append(contentsOf: #","\#(name)":{"#.utf8)
      for (index, metric) in (TrendRequest.metrics + [.revenue]).enumerated() {
        if index > 0 { output.append(UInt8(ascii: ",")) }
        output.append(contentsOf: #""\#(metric.rawValue)":"#.utf8)
        sums.numbers.write(metric, to: &output)
      }
      output.append(UInt8(ascii: "}"))
    }
    let ratio = self.ratio(row).map { AnswerWriter.text($0) } ?? "null"
    output.append(contentsOf: #","change":\#(row.change),"ratio":\#(ratio)}"#.utf8)
  }
}
