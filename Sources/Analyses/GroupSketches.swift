import Events
import Statistics

/// The sketches of groups, by their numbers, as far as a question asks for them.
struct GroupSketches {
  let measures: BreakdownMeasures
  private(set) var uniques: [HyperLogLog] = []
  private(set) var dwell: [DDSketch] = []
  private(set) var scroll: [DDSketch] = []
  /// By place among the question's, then by group.
  private(set) var tops: [[SpaceSaving]]
  private let distinct: HyperLogLog
  private let quantiles: DDSketch
  private let top: SpaceSaving

  init(_ question: BreakdownQuestion) {
    measures = question.measures.intersection(.sketches)
    tops = question.tops.map { _ in [] }
    do throws(SketchError) {
      distinct = try HyperLogLog()
      quantiles = try DDSketch()
      top = try SpaceSaving(capacity: BreakdownQuestion.topLengthMax)
    } catch {
      preconditionFailure("the parameters of sketches are constants: \(error)")
    }
  }

  /// Whether there are any.
  var isNeeded: Bool { !measures.isEmpty || !tops.isEmpty }

  mutating func addGroup() {
    if measures.contains(.uniques) { uniques.append(distinct) }
    if measures.contains(.dwell) { dwell.append(quantiles) }
    if measures.contains(.scroll) { scroll.append(quantiles) }
    for place in tops.indices { tops[place].append(top) }
  }

  @inline(__always)
  mutating func insert(person: Key128, in group: Int) {
    uniques[group].insert(hash: HyperLogLog.mix(person.low ^ person.high))
  }

  mutating func insert(dwell seconds: Double, in group: Int) {
    Self.sketching { () throws(SketchError) in try dwell[group].insert(seconds) }
  }

  mutating func insert(scroll percent: Double, in group: Int) {
    Self.sketching { () throws(SketchError) in try scroll[group].insert(percent) }
  }

  mutating func insert(_ value: UInt64, top place: Int, in group: Int) {
    tops[place][group].insert(value)
  }

  /// Adds what another one's group has.
  mutating func merge(_ other: Self, _ theirs: Int, into mine: Int) {
    Self.sketching { () throws(SketchError) in
      if measures.contains(.uniques) { try uniques[mine].merge(other.uniques[theirs]) }
      if measures.contains(.dwell) { try dwell[mine].merge(other.dwell[theirs]) }
      if measures.contains(.scroll) { try scroll[mine].merge(other.scroll[theirs]) }
      for place in tops.indices { try tops[place][mine].merge(other.tops[place][theirs]) }
    }
  }

  /// What is put in is finite and not negative, and what is merged has the same parameters.
  private static func sketching(_ body: () throws(SketchError) -> Void) {
    do throws(SketchError) {
      try body()
    } catch {
      preconditionFailure("a sketch refuses what was checked before: \(error)")
    }
  }
}
