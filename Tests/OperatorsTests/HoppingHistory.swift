import Events
import Operators
import Oracles
import Views

/// A random input of hopping windows: on time, late, too late, of several tuples, with idle stretches.
struct HoppingHistory {
  struct Event {
    var time: Int64
    var tuple: Int
    var kind: UInt8
    var revenue: Int64
    var person = 0
  }

  struct Frame {
    var watermark: Int64
    var events: [Event]
    var isSilent = false
  }

  var size: Int64
  var slide: Int64
  var lateness: Int64
  var tupleCountMax = 1_000
  var tuples: [[UInt8]]
  var frames: [Frame] = []

  init(seed: UInt64, frameCount: Int) {
    var random = SeededGenerator(seed: seed)
    slide = random.pick([second, 7 * second, minute])
    size = slide * Int64(random.pick([1, 2, 5, 30]))
    lateness = random.pick([0, slide / 2, size, 3 * size + 1])
    tuples = (0..<(1 + random.below(12))).map {
      DimensionTuple(site: "s\($0 % 2)", campaign: "c\($0)", currency: $0 % 3 == 0 ? "EUR" : "")
        .encoded
    }
    var watermark = random.once(in: 6) ? -5 * minute : noon + random.time(upTo: hour)
    for _ in 0..<frameCount {
      switch random.below(20) {
      case 0: watermark += random.time(upTo: 20 * size)
      case 1...4: break
      default: watermark += random.time(upTo: slide * 2)
      }
      var events: [Event] = []
      for _ in 0..<random.below(8) {
        let time =
          switch random.below(6) {
          case 0: watermark - random.time(upTo: lateness + slide)
          case 1: watermark - random.time(upTo: 2 * (size + lateness))
          case 2: watermark + random.time(upTo: 3 * slide)
          default: watermark + random.time(upTo: slide)
          }
        events.append(
          Event(
            time: time, tuple: random.below(tuples.count), kind: UInt8(1 + random.below(7)),
            revenue: random.time(upTo: 5_000_000) - (random.once(in: 4) ? 3_000_000 : 0),
            person: frames.count * 8 + events.count))
      }
      frames.append(Frame(watermark: watermark, events: events))
    }
  }

  func make() -> HoppingWindows {
    HoppingWindows(size: size, slide: slide, lateness: lateness, tupleCountMax: tupleCountMax)
  }

  func start(_ time: Int64) -> Int64 {
    let rest = time % slide
    return rest < 0 ? time - rest - slide : time - rest
  }

  func moment(_ index: Int) -> FrameMoment {
    let frame = frames[index]
    return FrameMoment(
      sequence: UInt64(index + 1), logTime: frame.watermark + second, watermark: frame.watermark,
      isSilent: frame.isSilent)
  }

  /// Feeds one frame, event by event or summed into panes.
  func feed(_ index: Int, asPanes: Bool, to windows: inout HoppingWindows) {
    let moment = moment(index)
    windows.advance(to: moment)
    let tuples = tuples.map { bytes in
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
      copy.copyBytes(from: bytes)
      return copy
    }
    defer { tuples.forEach { $0.deallocate() } }
    windows.begin(tupleCount: tuples.count) { UnsafeRawBufferPointer(tuples[$0]) }
    for event in frames[index].events {
      if asPanes {
        var counts = Counts()
        counts.add(kind: event.kind, revenueMicros: event.revenue)
        windows.add(counts, tuple: event.tuple, start: start(event.time), at: moment)
      } else {
        windows.count(
          tuple: event.tuple, time: event.time, kind: event.kind, revenueMicros: event.revenue,
          at: moment)
      }
    }
  }
}

/// Rows of trends as a read model has them.
struct TrendView: Equatable {
  struct Key: Hashable {
    var end: Int64
    var id: Int64
  }

  var rows: [Key: RowValue] = [:]
  var dimensions: Set<Int64> = []

  mutating func drain(_ windows: inout HoppingWindows) -> String? {
    var rows: [TrendRow] = []
    var dimensions: [DimensionEntry] = []
    windows.drain(into: &rows, dimensions: &dimensions)
    for entry in dimensions { self.dimensions.insert(entry.id) }
    for row in rows {
      if !self.dimensions.contains(row.dimensionID) { return "a row without its tuple" }
      if !row.isFinal { return "a row that is not final" }
      self.rows[Key(end: row.end, id: row.dimensionID)] =
        RowValue(counts: row.counts, revision: row.revision)
    }
    for (a, b) in zip(rows, rows.dropFirst())
    where (a.end, a.dimensionID) >= (b.end, b.dimensionID) {
      return "rows out of order"
    }
    return nil
  }
}

/// The same by going through all events again for every window.
struct HoppingOracle {
  private let history: HoppingHistory
  private var accepted: [HoppingHistory.Event] = []
  private(set) var rows: [TrendView.Key: RowValue] = [:]
  private(set) var tooLate: Int64 = 0
  private var watermark: Int64?

  init(_ history: HoppingHistory) { self.history = history }

  mutating func feed(_ index: Int) {
    let frame = history.frames[index]
    let closed = history.start(frame.watermark)
    if let watermark {
      var end = history.start(watermark) + history.slide
      while end <= closed {
        for tuple in history.tuples.indices {
          let sum = sum(tuple, end)
          if sum != Counts() { rows[key(tuple, end)] = RowValue(counts: sum, revision: 0) }
        }
        end += history.slide
      }
    }
    watermark = frame.watermark
    var revised: Set<TrendView.Key> = []
    for event in frame.events where event.kind <= 5 {
      let start = history.start(event.time)
      guard start + history.slide > frame.watermark - history.lateness else {
        tooLate += 1
        continue
      }
      accepted.append(event)
      var end = start + history.slide
      while end <= min(start + history.size, closed) {
        let key = key(event.tuple, end)
        let isFirst = revised.insert(key).inserted
        rows[key, default: RowValue()].counts = sum(event.tuple, end)
        if isFirst { rows[key, default: RowValue()].revision += 1 }
        end += history.slide
      }
    }
  }

  private func key(_ tuple: Int, _ end: Int64) -> TrendView.Key {
    TrendView.Key(end: end, id: NaiveOracle.id(history.tuples[tuple]))
  }

  func sum(_ tuple: Int, _ end: Int64) -> Counts {
    var sum = Counts()
    for event in accepted
    where event.tuple == tuple && event.time >= end - history.size && event.time < end {
      sum.add(kind: event.kind, revenueMicros: event.revenue)
    }
    return sum
  }
}
