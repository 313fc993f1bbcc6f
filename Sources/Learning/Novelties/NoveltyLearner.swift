public import Analyses
public import Events
public import Operators
import Statistics
import Views

/// Watches values that are no counts: what a conversion brings, and how long people look.
///
///     events ─▶ sums of the bins that are open ─ over, and a minute for what is late ─▶ mean ─▶ NoveltyDetector ─▶ ValueNovelties
///
/// How many events there are is the affair of incidents, whose model of counts knows what chance does to few of them. A mean
/// has no such model: ``NoveltyDetector`` takes it as a series of any unit, and marks values that are unlike all
/// before, as where a price is wrong, a page does not load, or a video does not play. Bins of fewer than ``eventsMin`` events
/// say nothing: a mean of few is new by chance.
///
/// A function of the frames: what comes a minute of the log's time after its bin is late, whenever bins are closed. Of large
/// frames the time in view of every eighth person is looked for. Cost: what it takes to look into the payload of a view or
/// engagement; 6 KB a series. Fails where a mean drifts slowly, and in the first 50 values.
public final class NoveltyLearner: Learner {
  /// Of sites and campaigns.
  static let seriesMax = 500
  /// Of series in a bin that is open, most of which may turn out to have too few events.
  static let openMax = 4 * seriesMax
  static let bin: Int64 = 300_000_000
  static let grace: Int64 = 60_000_000
  static let eventsMin = 20
  /// A series without a value for so many bins is forgotten: two weeks.
  private static let idleMax: Int64 = 14 * 288
  private static let largeFrame = 64
  private static let sampling: UInt64 = 8
  /// Of a value in what is usual, once there are a hundred.
  private static let gain = 0.01

  private struct Sum {
    var count: Int64 = 0
    /// Millionths of money, tenths of seconds.
    var total: Int64 = 0
  }

  private struct Model {
    var detector: NoveltyDetector
    var count = 0
    var mean = 0.0
    var last: ValueNovelties.Point
    var anomaly: ValueNovelties.Anomaly?
  }

  private let hand: (ValueNovelties) -> Void
  private var models: [ValueNovelties.Key: Model] = [:]
  private var open: [Int64: [ValueNovelties.Key: Sum]] = [:]
  /// The next to be closed, bins since the epoch; nil before the first event.
  private var next: Int64?
  private var turnedAway: UInt64 = 0
  private var facts = EventFacts()
  private var tuples: [DimensionTuple??] = []

  public let memory: Int64 = 30 * 86_400_000_000

  /// - Parameter hand: takes what there is; called by ``publish(_:)`` where a bin is over.
  public init(hand: @escaping (ValueNovelties) -> Void) { self.hand = hand }

  // MARK: Events

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    guard counted.count > 0, moment.logTime > .min else { return }
    if next == nil { next = Self.floor(moment.logTime) }
    tuples.removeAll(keepingCapacity: true)
    tuples.append(contentsOf: repeatElement(nil, count: frame.tupleCount))
    let isLarge = counted.count > Self.largeFrame
    for number in 0..<counted.count {
      let index = counted.index(number)
      var quantity = ValueNovelties.Quantity.dwell
      var value: Int64 = 0
      switch EventKind(rawValue: frame.kind(index)) {
      case .conversion:
        quantity = .revenue
        value = frame.revenueMicros(index)
      case .view, .engagement:
        guard !isLarge || frame.person(index).low % Self.sampling == 0,
          let seconds = facts.read(frame.payload(index)).dwellSeconds
        else { continue }
        value = Int64(min(max(0, seconds) * 10, 1e9).rounded())
      default: continue
      }
      guard value > 0, let tuple = tuple(frame, frame.tuple(index)) else { continue }
      let bin = Self.floor(counted.time(number))
      guard (bin + 1) * Self.bin + Self.grace > moment.logTime, let next, bin >= next else {
        turnedAway += 1
        continue
      }
      let currency = quantity == .revenue ? tuple.currency : ""
      for campaign in tuple.campaign.isEmpty ? [""] : ["", tuple.campaign] {
        let key = ValueNovelties.Key(
          site: tuple.site, campaign: campaign, quantity: quantity, currency: currency)
        let known = open[bin]?[key]
        guard known != nil || open[bin]?.count ?? 0 < Self.openMax else {
          turnedAway += 1
          continue
        }
        var sum = known ?? Sum()
        sum.count += 1
        sum.total = Counts.sum(sum.total, value)
        open[bin, default: [:]][key] = sum
      }
    }
  }

  /// - Returns: nil for bots.
  private func tuple(_ frame: FrameView, _ place: Int) -> DimensionTuple? {
    if let known = tuples[place] { return known }
    let tuple = DimensionTuple(encoded: frame.tupleBytes(place)).flatMap {
      $0.traffic.isEmpty ? $0 : nil
    }
    tuples[place] = .some(tuple)
    return tuple
  }

  private static func floor(_ time: Int64) -> Int64 {
    time >= 0 ? time / bin : (time - bin + 1) / bin
  }

  /// Sums name nobody.
  public func forget(_ person: Key128, erasedAt: Int64) {}

  // MARK: Bins

  public func publish(_ progress: LearningProgress) {
    guard let first = next, progress.logTime > .min else { return }
    let end = Self.floor(progress.logTime - Self.grace)
    guard end > first else { return }
    for bin in open.keys.sorted() where bin < end { close(bin) }
    next = end
    let oldest = (end - Self.idleMax) * Self.bin
    models = models.filter { $0.value.last.start >= oldest }
    hand(
      ValueNovelties(
        progress: progress,
        series: models.sorted { $0.key < $1.key }.map { key, model in
          ValueNovelties.Series(
            key: key, count: model.count, last: model.last, anomaly: model.anomaly)
        }, turnedAway: turnedAway))
  }

  private func close(_ bin: Int64) {
    let sums = open.removeValue(forKey: bin) ?? [:]
    for (key, sum) in sums.sorted(by: { $0.key < $1.key }) where sum.count >= Self.eventsMin {
      let unit = key.quantity == .revenue ? 1e6 : 10
      observe(Double(sum.total) / unit / Double(sum.count), of: key, at: bin * Self.bin)
    }
  }

  private func observe(_ value: Double, of key: ValueNovelties.Key, at start: Int64) {
    var point = ValueNovelties.Point(start: start, value: value, usual: nil, novelty: 0)
    guard var model = models.removeValue(forKey: key) ?? new(point) else {
      turnedAway += 1
      return
    }
    let verdict = model.detector.observe(value, at: start / 1_000_000)
    point.novelty = verdict.novelty
    if model.count > 0 { point.usual = model.mean }
    model.count += 1
    model.mean += (value - model.mean) * max(Self.gain, 1 / Double(model.count))
    model.last = point
    if verdict.isAnomaly {
      let regards = zip(NoveltyDetector.opinions, verdict.shares).map { (name: $0, share: $1) }
      model.anomaly = ValueNovelties.Anomaly(
        point: point, regards: regards.sorted { $0.share > $1.share })
    }
    models[key] = model
  }

  /// - Returns: nil where there are too many.
  private func new(_ point: ValueNovelties.Point) -> Model? {
    guard models.count < Self.seriesMax else { return nil }
    do throws(SketchError) {
      // Nothing keeps quiet after an anomaly: one by chance would hide a real one, and who is told is told for half an hour.
      return Model(detector: try NoveltyDetector(quietCount: 0), last: point)
    } catch {
      preconditionFailure("no quiet values are within their range: \(error)")
    }
  }
}
