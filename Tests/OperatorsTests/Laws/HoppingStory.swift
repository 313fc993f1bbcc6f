import Oracles
import Views

@testable import Operators

/// Hopping windows under the laws.
final class HoppingSubject: LawSubject {
  struct Input {
    var history: HoppingHistory
    var index: Int
  }

  private var windows: HoppingWindows

  init(_ windows: consuming HoppingWindows) { self.windows = windows }

  func take(_ input: Input, isSilent: Bool, into said: inout Said) {
    var history = input.history
    history.frames[input.index].isSilent = isSilent
    history.feed(input.index, asPanes: input.index % 2 == 0, to: &windows)
    said.decisions.append([windows.tooLate])
  }

  func drain(into said: inout Said) {
    var rows: [TrendRow] = []
    var dimensions: [DimensionEntry] = []
    windows.drain(into: &rows, dimensions: &dimensions)
    for row in rows {
      said.set([row.end, row.dimensionID], row.counts.numbers, revision: row.revision)
    }
  }

  func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    windows.snapshot(isComplete: scope == .everything, into: &writer)
  }

  func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try windows.restore(from: &reader)
  }
}

struct HoppingStory: LawStory {
  private var history: HoppingHistory

  init(seed: UInt64, law: OperatorLaw) {
    history = HoppingHistory(seed: seed, frameCount: 30)
    if law == .permutation { history.lateness = 10_000 * hour }
    if law == .restart && seed % 3 == 0 { history.tupleCountMax = 3 }
  }

  func make() -> HoppingSubject { HoppingSubject(history.make()) }

  private func inputs(_ history: HoppingHistory) -> [HoppingSubject.Input] {
    history.frames.indices.map { HoppingSubject.Input(history: history, index: $0) }
  }

  var inputs: [HoppingSubject.Input] { inputs(history) }

  func inputs(of isIncluded: (Int) -> Bool) -> [HoppingSubject.Input] {
    var part = history
    for index in part.frames.indices {
      part.frames[index].events.removeAll { !isIncluded($0.person) }
    }
    return inputs(part)
  }

  func permuted(_ random: inout SeededGenerator) -> [HoppingSubject.Input] {
    var shuffled = history
    var events = history.frames.flatMap(\.events)
    events.shuffle(using: &random)
    for index in shuffled.frames.indices {
      let count = shuffled.frames[index].events.count
      shuffled.frames[index].events = Array(events.prefix(count))
      events.removeFirst(count)
    }
    // Windows before the first moment are of no order: all events come after it.
    shuffled.frames.insert(
      HoppingHistory.Frame(watermark: history.frames[0].watermark, events: []), at: 0)
    shuffled.frames.append(
      HoppingHistory.Frame(watermark: last + 50 * history.size, events: []))
    return inputs(shuffled)
  }

  private var last: Int64 { history.frames.map(\.watermark).max() ?? 0 }

  var ending: [HoppingSubject.Input] {
    var end = history
    // What is drained after the last window has gone is not in state any more either.
    end.frames = [10, 11].map {
      HoppingHistory.Frame(watermark: last + $0 * day, events: [])
    }
    return inputs(end)
  }
}
