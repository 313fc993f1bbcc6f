import Events
import Statistics
import Testing

@testable import Learning

@Suite("Timing learned from posts")
struct TimingLearnerTests {
  private static let hour = ProfileStory.hour
  /// Midnight of the Monday.
  private static let midnight = ProfileStory.start - 10 * hour

  private final class Desk {
    var models: TimingModels?
  }

  private static func post(
    _ content: String, at time: Int64, propensity: String = #""propensity":0.04,"#
  ) -> ProfileStory.Act {
    .init(
      kind: .custom, time: time, content: content, channel: "social",
      payload:
        #"{"properties":{"posted_at":"\#(Timestamp.format(time))",\#(propensity)"window":"any day"}}"#
    )
  }

  private static func clicks(_ count: Int, _ content: String, at time: Int64) -> [ProfileStory.Act]
  {
    (0..<count).map {
      .init(person: UInt64($0 + 1), time: time + Int64($0), content: content, channel: "social")
    }
  }

  @Test("hours in which drawn posts did better are found, whatever the order of events")
  func learns() throws {
    var acts: [ProfileStory.Act] = []
    for number in 0..<120 {
      let time = Self.midnight + Int64(number * 7) * Self.hour
      let isEvening = (18...21).contains(number * 7 % 24)
      acts.append(Self.post("post-\(number)", at: time))
      acts += Self.clicks(
        isEvening ? 30 : 10, "post-\(number)", at: time + 20 * 60 * ProfileStory.second)
    }
    let end = Self.midnight + 50 * 24 * Self.hour
    var answers: [[SlotPosterior.Slot]] = []
    for order in [acts, acts.reversed()] {
      let desk = Desk()
      let story = ProfileStory(TimingLearner(memory: 60 * ProfileStory.day) { desk.models = $0 })
      try story.store(order, at: end)
      story.publish()
      let models = try #require(desk.models)
      let site = try #require(models.sites["shop"])
      #expect(site.channels == ["social"] && site.audiences == [""])
      #expect(site.posts(channel: 0, audience: 0) == 120 && models.pending == 0)
      answers.append(site.posterior.slots(channel: 0, audience: 0, allowed: Array(0..<168)))
    }
    #expect(answers[0] == answers[1])
    let best = try #require(answers[0].max { $0.gain < $1.gain })
    #expect((18...21).contains(WeekSlots.hour(best.slot)) && best.gainLower > 0.2)
  }

  @Test(
    "a post counts once its day is over, with what came within it, and only if its time was drawn")
  func settled() throws {
    let desk = Desk()
    let story = ProfileStory(TimingLearner(memory: 60 * ProfileStory.day) { desk.models = $0 })
    let time = Self.midnight + 9 * Self.hour
    try story.store(
      [Self.post("a", at: time), Self.post("b", at: time, propensity: "")]
        + Self.clicks(3, "a", at: time + 23 * Self.hour)
        + Self.clicks(5, "b", at: time + Self.hour), at: time + 23 * Self.hour)
    story.publish()
    #expect(desk.models?.pending == 1 && desk.models?.undrawn == 1)
    #expect(desk.models?.sites.isEmpty == true)

    try story.store(Self.clicks(7, "a", at: time + 24 * Self.hour), at: time + 25 * Self.hour)
    story.publish()
    let site = try #require(desk.models?.sites["shop"])
    #expect(site.posts(channel: 0, audience: 0, slot: 9) == 1)
    #expect(site.engagements(channel: 0, audience: 0) == 3)
  }

  @Test("what comes after a content was posted again is the second post's")
  func again() throws {
    let desk = Desk()
    let story = ProfileStory(TimingLearner(memory: 60 * ProfileStory.day) { desk.models = $0 })
    let time = Self.midnight
    try story.store(
      [Self.post("a", at: time), Self.post("a", at: time + 5 * Self.hour)]
        + Self.clicks(2, "a", at: time + Self.hour)
        + Self.clicks(4, "a", at: time + 6 * Self.hour), at: time + 48 * Self.hour)
    story.publish()
    let site = try #require(desk.models?.sites["shop"])
    #expect(site.posts(channel: 0, audience: 0) == 2)
    #expect(site.engagements(channel: 0, audience: 0) == 6)
  }
}
