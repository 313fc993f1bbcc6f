import Events
public import HTTPServer
public import Learning
import Statistics

/// When to post, over HTTP, from memory: `GET /v1/timing`, and why: `GET /v1/timing/why`.
///
///     ?channel=mail&audience=students&from=1-08&hours=72     the best hours from Monday 8 o'clock on, within 3 days
///     ?channel=mail&audience=students&hour=2-18              what speaks for Tuesday 18 o'clock, beside all others
public struct TimingRoutes: Sendable {
  private let models: @Sendable () -> TimingModels?
  private let forecasts: @Sendable () -> EngagementForecasts?
  private let check: @Sendable (HTTPRequest) throws(Problem) -> Void

  private static let parameters = ["site_id", "channel", "audience", "from", "hours", "limit"]

  /// - Parameters:
  ///   - models: the newest; nil where none were made yet.
  ///   - forecasts: the newest of the engagement to come; nil where there are none.
  ///   - check: refuses requests of those who may not read.
  public init(
    models: @escaping @Sendable () -> TimingModels?,
    forecasts: @escaping @Sendable () -> EngagementForecasts? = { nil },
    check: @escaping @Sendable (HTTPRequest) throws(Problem) -> Void
  ) {
    self.models = models
    self.forecasts = forecasts
    self.check = check
  }

  public func declare(on routes: inout Routes) {
    declareWhy(on: &routes)
    routes.on(.get, "/v1/timing") { request in
      try check(request)
      let fields = try LearnedQuery.fields(request, Self.parameters)
      let allowed = try Self.allowed(fields)
      let limit = try Self.number(fields, "limit", 1...WeekSlots.count) ?? 10
      let (models, site) = try site(fields)
      let channel = try Self.place(fields["channel"], site.channels, "channel")
      let audience = try Self.place(fields["audience"], site.audiences, "audience")
      return HTTPResponse.json(
        TimingWriter.json(
          models, site, channel: channel, audience: audience, allowed: allowed, limit: limit,
          coming: coming(fields)))
    }
  }

  private func declareWhy(on routes: inout Routes) {
    routes.on(.get, "/v1/timing/why") { request in
      try check(request)
      let fields = try LearnedQuery.fields(
        request, Self.parameters.filter { $0 != "limit" } + ["hour"])
      let allowed = try Self.allowed(fields)
      let slot = try Self.slot(fields, "hour")
      let (models, site) = try site(fields)
      guard let slot, allowed.contains(slot) else {
        throw LearnedQuery.problem(
          "?hour", "the hour that is asked about is needed, one of those that are allowed",
          allowed.prefix(3).map(WeekSlots.text) + ["…"])
      }
      return HTTPResponse.json(
        TimingReason.json(
          models, site,
          TimingReason.Question(
            channel: try Self.place(fields["channel"], site.channels, "channel"),
            audience: try Self.place(fields["audience"], site.audiences, "audience"), slot: slot,
            allowed: allowed)))
    }
  }

  private func site(
    _ fields: [String: String]
  ) throws(Problem) -> (models: TimingModels, site: TimingModels.Site) {
    guard let models = models() else { throw LearnedQuery.unread }
    guard let site = models.sites[fields["site_id"] ?? "default"] else {
      throw Problem(
        .notFound, code: "no_timed_posts",
        detail: "No post of this site whose time was drawn is a day old. "
          + "Send events with posted_at, window and propensity, or name a site with site_id.")
    }
    return (models, site)
  }

  /// What the site's next day is expected to bring.
  private func coming(_ fields: [String: String]) -> [EngagementForecasts.Hour] {
    let key = EngagementForecasts.Key(site: fields["site_id"] ?? "default")
    return forecasts()?.series.first { $0.key == key }?.next ?? []
  }

  private static func slot(_ fields: [String: String], _ name: String) throws(Problem) -> Int? {
    guard let text = fields[name] else { return nil }
    guard let slot = (0..<WeekSlots.count).first(where: { WeekSlots.text($0) == text }) else {
      throw LearnedQuery.problem(
        "?\(name)", "it is an hour of the week in UTC, such as 1-08 for Monday 8 o'clock", [])
    }
    return slot
  }

  /// Without the parameter the only one, or the one that has no name.
  private static func place(
    _ text: String?, _ names: [String], _ parameter: String
  ) throws(Problem) -> Int {
    if let place = names.firstIndex(of: text ?? "") { return place }
    if text == nil, names.count == 1 { return 0 }
    throw LearnedQuery.problem(
      "?\(parameter)", text == nil ? "there are several" : "no post of it is known", names)
  }

  private static func allowed(_ fields: [String: String]) throws(Problem) -> [Int] {
    let hours = try number(fields, "hours", 1...WeekSlots.count) ?? WeekSlots.count
    let from = try slot(fields, "from") ?? 0
    return (0..<hours).map { (from + $0) % WeekSlots.count }
  }

  private static func number(
    _ fields: [String: String], _ name: String, _ range: ClosedRange<Int>
  ) throws(Problem) -> Int? {
    guard let text = fields[name] else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw LearnedQuery.problem(
        "?\(name)", "it is a number from \(range.lowerBound) to \(range.upperBound)", [])
    }
    return number
  }
}

/// Answers about timing as JSON.
enum TimingWriter {
  static func json(
    _ models: TimingModels, _ site: TimingModels.Site, channel: Int, audience: Int,
    allowed: [Int], limit: Int, coming: [EngagementForecasts.Hour]
  ) -> [UInt8] {
    let slots = site.posterior.slots(channel: channel, audience: audience, allowed: allowed)
    let best = slots.sorted { a, b in a.gain != b.gain ? a.gain > b.gain : a.slot < b.slot }
    var json = JSONWriter(reserving: 8_192)
    json.beginObject()
    json.key("channel")
    json.string(site.channels[channel])
    json.key("audience")
    json.string(site.audiences[audience])
    json.key("slots")
    json.beginArray()
    for slot in best.prefix(limit) {
      json.beginObject()
      json.key("hour_of_week")
      json.string(WeekSlots.text(slot.slot))
      write("gain", slot.gain, slot.gainLower, slot.gainUpper, to: &json)
      write("engagements", slot.rate, slot.rateLower, slot.rateUpper, to: &json)
      json.key("posts")
      json.integer(site.posts(channel: channel, audience: audience, slot: slot.slot))
      json.endObject()
    }
    json.endArray()
    // What a time is to be drawn with, so that the next model is causal too.
    json.key("propensities")
    json.beginObject()
    for slot in slots {
      json.key(WeekSlots.text(slot.slot))
      json.double(Double(slot.propensity) / 65_536)
    }
    json.endObject()
    // Posts compete for who is there: what all of the site is expected to bring, hour by hour.
    json.key("coming")
    json.beginArray()
    for hour in coming {
      json.beginObject()
      json.key("start")
      json.string(Timestamp.format(hour.start))
      write(
        "engagements", hour.forecast.median, hour.forecast.lower, hour.forecast.upper, to: &json)
      json.endObject()
    }
    json.endArray()
    json.key("learned_from")
    json.beginObject()
    json.key("posts")
    json.integer(site.posts(channel: channel, audience: audience))
    json.key("engagements")
    json.integer(site.engagements(channel: channel, audience: audience))
    json.key("dispersion")
    json.double(site.posterior.dispersion)
    json.key("pending_posts")
    json.integer(models.pending)
    json.key("posts_not_drawn")
    json.integer(models.undrawn)
    json.key("turned_away")
    json.integer(models.turnedAway)
    json.endObject()
    LearnedQuery.write(models.progress, to: &json)
    json.endObject()
    return json.bytes
  }

  private static func write(
    _ name: String, _ mean: Double, _ lower: Double, _ upper: Double, to json: inout JSONWriter
  ) {
    json.key(name)
    json.double(mean)
    json.key("\(name)_interval")
    json.beginArray()
    json.double(lower)
    json.double(upper)
    json.endArray()
  }
}
