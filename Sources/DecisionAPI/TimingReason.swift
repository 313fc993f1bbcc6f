import Events
import HTTPServer
import Learning
import Statistics

/// Why an hour is said to be good or not, as `GET /v1/timing/why` says it: by what the model's rate is made up, how it was among
/// the alternatives, and the posts behind it with their places in the log.
///
/// The rate of an hour is the product of its contributions: the mean of channel and audience, how the hour of the day and the
/// day of the week differ from it each by itself, and what is left of both together.
enum TimingReason {
  struct Question {
    var channel: Int
    var audience: Int
    var slot: Int
    var allowed: [Int]
  }

  private static let postsMax = 100

  static func json(
    _ models: TimingModels, _ site: TimingModels.Site, _ question: Question
  ) -> [UInt8] {
    let slots = site.posterior.slots(
      channel: question.channel, audience: question.audience, allowed: question.allowed)
    guard let own = slots.first(where: { $0.slot == question.slot }) else {
      preconditionFailure("the hour is one of those that are allowed")
    }
    let posts = site.postsBehind(
      channel: question.channel, audience: question.audience, slot: question.slot)
    let factors = factors(site, question)
    var json = JSONWriter(reserving: 8_192)
    json.beginObject()
    json.key("channel")
    json.string(site.channels[question.channel])
    json.key("audience")
    json.string(site.audiences[question.audience])
    json.key("hour_of_week")
    json.string(WeekSlots.text(question.slot))
    write(own, to: &json)
    json.key("contributions")
    json.beginArray()
    for (feature, factor) in factors {
      json.beginObject()
      json.key("feature")
      json.string(feature)
      json.key("factor")
      json.double(factor)
      json.endObject()
    }
    json.endArray()
    json.key("alternatives")
    json.beginArray()
    for slot in slots.sorted(by: { $0.propensity > $1.propensity }) where slot != own {
      json.beginObject()
      json.key("hour_of_week")
      json.string(WeekSlots.text(slot.slot))
      json.key("gain")
      json.double(slot.gain)
      json.key("odds")
      json.double(Double(slot.propensity) / Double(max(1, own.propensity)))
      json.endObject()
    }
    json.endArray()
    json.key("posts")
    write(posts, to: &json)
    json.key("reasons")
    json.beginArray()
    for sentence in sentences(own, factors, posts.count) { json.string(sentence) }
    json.endArray()
    LearnedQuery.write(models.progress, to: &json)
    json.endObject()
    return json.bytes
  }

  private static func write(_ slot: SlotPosterior.Slot, to json: inout JSONWriter) {
    for (name, values) in [
      ("gain", (slot.gain, slot.gainLower, slot.gainUpper)),
      ("engagements", (slot.rate, slot.rateLower, slot.rateUpper)),
    ] {
      json.key(name)
      json.double(values.0)
      json.key("\(name)_interval")
      json.beginArray()
      json.double(values.1)
      json.double(values.2)
      json.endArray()
    }
    json.key("propensity")
    json.double(Double(slot.propensity) / 65_536)
  }

  private static func write(_ posts: [TimingModels.Post], to json: inout JSONWriter) {
    json.beginArray()
    for post in posts.suffix(postsMax) {
      json.beginObject()
      json.key("content")
      json.string(post.content)
      json.key("posted_at")
      json.string(Timestamp.format(post.at))
      json.key("engagements")
      json.integer(post.engagements)
      json.key("position")
      json.string(post.position.description)
      json.endObject()
    }
    json.endArray()
  }

  /// Their product is the mean rate of the hour.
  private static func factors(
    _ site: TimingModels.Site, _ question: Question
  ) -> [(feature: String, factor: Double)] {
    let rates = site.posterior.meanRates(channel: question.channel, audience: question.audience)
    func mean(_ slots: some Sequence<Int>) -> Double {
      let values = slots.map { rates[$0] }
      return values.reduce(0, +) / Double(max(1, values.count))
    }
    let level = mean(rates.indices)
    let (day, hour) = (WeekSlots.day(question.slot), WeekSlots.hour(question.slot))
    let ofHour = mean(rates.indices.filter { WeekSlots.hour($0) == hour }) / level
    let ofDay = mean(rates.indices.filter { WeekSlots.day($0) == day }) / level
    return [
      ("channel_and_audience", level), ("hour_of_day", ofHour), ("day_of_week", ofDay),
      ("hour_on_this_day", rates[question.slot] / (level * ofHour * ofDay)),
    ]
  }

  private static func sentences(
    _ slot: SlotPosterior.Slot, _ factors: [(feature: String, factor: Double)], _ posts: Int
  ) -> [String] {
    var sentences = [
      "A post in this hour is expected to get \(DecideAnswer.decimal(slot.rate)) engagements by exposure,"
        + " \(DecideAnswer.percent(slot.gain)) more than one at any allowed hour (90 of 100:"
        + " \(DecideAnswer.percent(slot.gainLower)) to \(DecideAnswer.percent(slot.gainUpper)))."
    ]
    let effects = factors.dropFirst().sorted {
      Elementary.log($0.factor).magnitude > Elementary.log($1.factor).magnitude
    }
    if let greatest = effects.first {
      sentences.append(
        "Of that, \(greatest.feature.replacing("_", with: " ")) says most: a factor of"
          + " \(DecideAnswer.decimal(greatest.factor)).")
    }
    sentences.append(
      posts == 0
        ? "No post went out in it yet: what is said comes from hours that are alike."
        : "\(posts) posts went out in it whose times were drawn.")
    return sentences
  }
}
