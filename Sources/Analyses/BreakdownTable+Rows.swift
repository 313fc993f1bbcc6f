import Statistics
import Views

extension BreakdownTable {
  /// See ``Breakdown/rows()``.
  func rows() -> [BreakdownRow] {
    let texts = tops.indices.map { names(of: sketches.tops[$0], tops[$0]) }
    var places: [GroupKey: Int] = [:]
    var rows: [BreakdownRow] = []
    var groupOf: [[Int]] = []
    for (group, key) in groups.keys.enumerated() {
      let currency =
        key.currency == GroupKey.otherCurrency
        ? "XXX" : String(decoding: currencies.text(Int(key.currency)), as: UTF8.self)
      let whole = GroupKey(key, currency: 0)
      let place: Int
      if let known = places[whole] {
        place = known
      } else {
        place = rows.count
        places[whole] = place
        rows.append(
          BreakdownRow(
            bucket: Int(key.bucket), values: values(key), isOther: key.isOfOthers))
        groupOf.append([])
      }
      rows[place].counts[currency, default: Counts()] += counts[group]
      rows[place].events += events[group]
      groupOf[place].append(group)
    }
    if sketches.isNeeded {
      for place in rows.indices {
        let sum = sketch(of: groupOf[place])
        let measures = question.measures
        if measures.contains(.uniques) { rows[place].uniques = sum.uniques[0] }
        if measures.contains(.dwell) { rows[place].dwell = sum.dwell[0] }
        if measures.contains(.scroll) { rows[place].scroll = sum.scroll[0] }
        rows[place].tops = tops.indices.map { list(sum.tops[$0][0], texts[$0]) }
      }
    }
    return rows.sorted(by: Self.precedes)
  }

  /// The sketches of some groups as one.
  private func sketch(of groups: [Int]) -> GroupSketches {
    var sum = GroupSketches(question)
    sum.addGroup()
    for group in groups { sum.merge(sketches, group, into: 0) }
    return sum
  }

  private func values(_ key: GroupKey) -> [String] {
    if key.isOfOthers { return question.dimensions.map { _ in BreakdownRow.other } }
    let byPart: [BreakdownDimension.Part: [String]] = [
      .tuple: tuples.dimensions.isEmpty ? [] : tuples.values(Int(key.tuple)),
      .agent: agents.dimensions.isEmpty ? [] : agents.values(Int(key.agent)),
      .name: names.dimensions.isEmpty ? [] : names.values(Int(key.name)),
      .payload: payloads.dimensions.isEmpty ? [] : payloads.values(Int(key.payload)),
      .segment: [key.segment == 0 ? "" : segments.segments[Int(key.segment) - 1]],
      .time: [HourOfWeek.text(Int(key.hour))],
    ]
    var used: [BreakdownDimension.Part: Int] = [:]
    return question.dimensions.map { dimension in
      let place = used[dimension.part, default: 0]
      used[dimension.part] = place + 1
      return byPart[dimension.part]?[place] ?? ""
    }
  }

  private func names(of sketches: [SpaceSaving], _ column: TopColumn) -> [UInt64: String] {
    var wanted: Set<UInt64> = []
    for sketch in sketches {
      for entry in sketch.top(BreakdownQuestion.topLengthMax) { wanted.insert(entry.key) }
    }
    return column.texts(of: wanted)
  }

  private func list(_ sketch: SpaceSaving, _ texts: [UInt64: String]) -> BreakdownRow.TopList {
    BreakdownRow.TopList(
      entries: sketch.top(question.topLength).map {
        BreakdownRow.TopList.Entry(
          text: texts[$0.key] ?? BreakdownRow.other, count: $0.count, error: $0.error)
      }, isCertain: sketch.isCertain(top: question.topLength))
  }

  private static func precedes(_ a: BreakdownRow, _ b: BreakdownRow) -> Bool {
    if a.bucket != b.bucket { return a.bucket < b.bucket }
    if a.isOther != b.isOther { return b.isOther }
    for (x, y) in zip(a.values, b.values) where !x.utf8.elementsEqual(y.utf8) {
      return x.utf8.lexicographicallyPrecedes(y.utf8)
    }
    return false
  }
}
