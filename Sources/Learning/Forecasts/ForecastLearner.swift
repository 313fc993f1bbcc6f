public import Analyses
public import Events
public import Operators
import Statistics

/// Forecasts what people do, clicks, engagements and conversions, by the hour, for sites and campaigns.
///
///     events ─▶ sums of the hours that are open ─ over, and ten minutes for what is late ─▶ HourlyForecaster ─▶ EngagementForecasts
///
/// Each hour is compared once with what was expected of it an hour before. Several in a row outside are what anomalies of five
/// minutes don't see: a little less all day. Whoever plans posts has the next day of the site. Hours in which the log has no event at all are
/// not known, so that a collector that was away is no silence.
///
/// A function of the frames: what comes ten minutes of the log's time after its hour is late, whenever hours are closed. Cost: two
/// look-ups an event; 4 KB a campaign, 100 KB a site.
public final class ForecastLearner: Learner {
  /// Sites and campaigns.
  static let seriesMax = 500
  static let hour: Int64 = 3_600_000_000
  static let grace: Int64 = 600_000_000
  /// Hours of the next day.
  private static let horizons = 24
  /// A campaign to which nothing happens for so many hours is forgotten.
  private static let idleMax = 14 * 24

  private struct Model {
    /// By hours ahead, from one on.
    var forecasters: [HourlyForecaster]
    /// By hours ahead, made at the last hour.
    var next: [HourlyForecaster.Forecast] = []
    var hours = 0
    var idle = 0
    var last = (count: 0, forecast: HourlyForecaster.Forecast?.none)
    var below = 0
    var above = 0
  }

  private let hand: (EngagementForecasts) -> Void
  private var models: [EngagementForecasts.Key: Model] = [:]
  private var open: [Int64: [EngagementForecasts.Key: Int]] = [:]
  /// Hours of the log's time with an event.
  private var known: Set<Int64> = []
  /// The next to be closed, hours since the epoch; nil before the first event.
  private var next: Int64?
  private var turnedAway: UInt64 = 0
  private var tuples: [EngagementForecasts.Key??] = []

  public static let memory: Int64 = 30 * 86_400_000_000
  public var memory: Int64 { Self.memory }

  /// - Parameter hand: takes the forecasts; called by ``publish(_:)`` where an hour is over.
  public init(hand: @escaping (EngagementForecasts) -> Void) { self.hand = hand }

  // MARK: Events

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    guard counted.count > 0, moment.logTime > .min else { return }
    let now = Self.floor(moment.logTime)
    known.insert(now)
    if next == nil { next = now }
    tuples.removeAll(keepingCapacity: true)
    tuples.append(contentsOf: repeatElement(nil, count: frame.tupleCount))
    for number in 0..<counted.count {
      let index = counted.index(number)
      switch EventKind(rawValue: frame.kind(index)) {
      case .click, .engagement, .conversion: break
      default: continue
      }
      guard let key = key(frame, frame.tuple(index)) else { continue }
      let hour = Self.floor(counted.time(number))
      guard (hour + 1) * Self.hour + Self.grace > moment.logTime, let next, hour >= next else {
        turnedAway += 1
        continue
      }
      open[hour, default: [:]][EngagementForecasts.Key(site: key.site), default: 0] += 1
      if !key.campaign.isEmpty { open[hour, default: [:]][key, default: 0] += 1 }
    }
  }

  /// - Returns: nil for bots.
  private func key(_ frame: FrameView, _ place: Int) -> EngagementForecasts.Key? {
    if let known = tuples[place] { return known }
    let tuple = DimensionTuple(encoded: frame.tupleBytes(place))
    let key = tuple.flatMap { tuple in
      tuple.traffic.isEmpty
        ? EngagementForecasts.Key(site: tuple.site, campaign: tuple.campaign) : nil
    }
    tuples[place] = .some(key)
    return key
  }

  private static func floor(_ time: Int64) -> Int64 {
    time >= 0 ? time / hour : (time - hour + 1) / hour
  }

  /// Sums name nobody.
  public func forget(_ person: Key128, erasedAt: Int64) {}

  // MARK: Hours

  public func publish(_ progress: LearningProgress) {
    guard let first = next, progress.logTime > .min else { return }
    var hour = first
    while (hour + 1) * Self.hour + Self.grace <= progress.logTime {
      close(hour)
      hour += 1
    }
    guard hour > first else { return }
    next = hour
    hand(forecasts(progress, next: hour))
  }

  private func close(_ hour: Int64) {
    let counts = open.removeValue(forKey: hour) ?? [:]
    let isKnown = known.remove(hour) != nil || !counts.isEmpty
    for key in counts.keys.sorted() where models[key] == nil {
      guard models.count < Self.seriesMax, let model = Self.model(key) else {
        turnedAway += UInt64(counts[key] ?? 0)
        continue
      }
      models[key] = model
    }
    for key in Array(models.keys) {
      guard var model = models.removeValue(forKey: key) else { continue }
      Self.observe(isKnown ? counts[key] ?? 0 : nil, &model)
      if model.idle < Self.idleMax { models[key] = model }
    }
  }

  private static func model(_ key: EngagementForecasts.Key) -> Model? {
    do throws(SketchError) {
      let count = key.campaign.isEmpty ? horizons : 1
      var forecasters: [HourlyForecaster] = []
      for horizon in 1...count { forecasters.append(try HourlyForecaster(horizon: horizon)) }
      return Model(forecasters: forecasters)
    } catch {
      preconditionFailure("horizons are within a day: \(error)")
    }
  }

  private static func observe(_ count: Int?, _ model: inout Model) {
    // The first day knows no hour of the day.
    let expected = model.hours > 24 ? model.next.first : nil
    if let count {
      model.last = (count, expected)
      model.idle = count == 0 ? model.idle + 1 : 0
      if let expected {
        model.below = Double(count) < expected.lower ? model.below + 1 : 0
        model.above = Double(count) > expected.upper ? model.above + 1 : 0
      }
    }
    model.hours += 1
    model.next = []
    for index in model.forecasters.indices {
      model.next.append(model.forecasters[index].observe(count.map(Double.init)))
    }
  }

  private func forecasts(_ progress: LearningProgress, next: Int64) -> EngagementForecasts {
    let series = models.sorted { $0.key < $1.key }.map { key, model in
      EngagementForecasts.Series(
        key: key, hours: model.hours, lastStart: (next - 1) * Self.hour,
        lastCount: model.last.count, lastForecast: model.last.forecast, hoursBelow: model.below,
        hoursAbove: model.above,
        next: model.next.enumerated().map {
          EngagementForecasts.Hour(start: (next + Int64($0)) * Self.hour, forecast: $1)
        })
    }
    return EngagementForecasts(progress: progress, series: series, turnedAway: turnedAway)
  }
}
