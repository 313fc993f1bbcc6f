import Analyses
import Dataflow
import Events
import Learning
import Operators

/// Events of persons and contents, as frames that a book of recommendations is given.
struct ContentVisit {
  var person: String
  var content: String
  var kind = EventKind.view
  /// Seconds after ``ContentVisits/begin``.
  var second: Int64 = 0
  var user = ""
  var campaign = ""
  var channel = ""
  var site = "shop"
  var traffic = ""
  var payload = "{}"
}

final class ContentVisits: Analysis {
  /// 2026-11-01T00:00:00Z.
  static let begin: Int64 = 1_793_491_200_000_000
  let times = Int64.min..<Int64.max
  var book = RecommendationBook()
  private var judge = StreamJudge(PipelineSpec(name: "test"), groups: 0..<KeyGroup.count)
  private var sequence: UInt64 = 0
  private var number = 0

  func add(_ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment) {
    let middle = counted.count / 2
    let place = FramePlace(
      StreamPlace(generation: 1, partition: 0), sequence: moment.sequence)
    book.add(frame, counted, 0..<middle, at: place)
    book.add(frame, counted, middle..<counted.count, at: place)
  }

  func merge(_ other: ContentVisits) {}

  /// One frame, stored at the time of its last event.
  func take(_ visits: [ContentVisit]) throws {
    var encoder = FrameEncoder()
    let storedAt = Self.begin + (visits.map(\.second).max() ?? 0) * 1_000_000
    for visit in visits {
      number += 1
      let id = "e\(number)"
      encoder.append(
        IncomingEvent(
          kind: visit.kind,
          key: EventIdentity.dedupeKey(site: visit.site, source: "test", eventID: id),
          person: EventIdentity.personKey(site: visit.site, id: visit.person),
          user: visit.user.isEmpty
            ? .zero : EventIdentity.personKey(site: visit.site, id: visit.user),
          eventTime: Self.begin + visit.second * 1_000_000, receivedAt: storedAt,
          dimensions: DimensionTuple(
            site: visit.site, campaign: visit.campaign, content: visit.content,
            channel: visit.channel, traffic: visit.traffic
          ).encoded, revenueMicros: 0, id: id, name: visit.kind.name, source: "test",
          payload: Array(visit.payload.utf8)))
    }
    sequence += 1
    let bytes = encoder.seal(
      FrameHeader(
        kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 0,
        producerSequence: sequence))
    try bytes.withUnsafeBytes {
      try judge.add($0, sequence: sequence, storedAt: storedAt, to: self)
    }
  }

  func forget(_ person: String) {
    book.forget(EventIdentity.personKey(site: "shop", id: person))
  }

  func list(
    _ subject: RecommendationQuestion.Subject, second: Int64, site: String = "shop",
    _ change: (inout RecommendationQuestion) -> Void = { _ in }
  ) -> RecommendationAnswer? {
    var question = RecommendationQuestion(
      site: site, subject: subject, now: Self.begin + second * 1_000_000)
    question.exploration = 0
    change(&question)
    return book.answer(question)
  }

  static func person(_ id: String) -> RecommendationQuestion.Subject {
    .person(EventIdentity.personKey(site: "shop", id: id))
  }
}
