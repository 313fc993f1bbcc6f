import Events
public import HTTPServer
public import Learning
import Statistics

/// What was learned from what, when, and how it did: a card for each model, told from the log alone. `GET /v1/models`.
///
///     {"models":[{"model":"decision","name":"hero","site":"default","learned_from":{"decisions":300,…},
///                 "memory_seconds":2592000,"as_of":"…","position":"1~0.12","complete":true,
///                 "did":{"rewards_per_decision":0.31,…},"sentences":["…"]}]}
public struct ModelCards: Sendable {
  private let plans: [DecisionPlan]
  private let decisions: @Sendable () -> DecisionModels?
  private let recommendations: RecommendationLearner?
  private let profiles: ProfileBoard?
  private let timing: @Sendable () -> TimingModels?
  private let forecasts: @Sendable () -> EngagementForecasts?
  private let check: @Sendable (HTTPRequest) throws(Problem) -> Void

  /// - Parameters:
  ///   - recommendations: nil where none are made here.
  ///   - profiles: nil where none are kept here.
  ///   - check: refuses requests of those who may not read.
  public init(
    plans: [DecisionPlan], decisions: @escaping @Sendable () -> DecisionModels?,
    recommendations: RecommendationLearner?, profiles: ProfileBoard?,
    timing: @escaping @Sendable () -> TimingModels?,
    forecasts: @escaping @Sendable () -> EngagementForecasts? = { nil },
    check: @escaping @Sendable (HTTPRequest) throws(Problem) -> Void
  ) {
    self.plans = plans
    self.decisions = decisions
    self.recommendations = recommendations
    self.profiles = profiles
    self.timing = timing
    self.forecasts = forecasts
    self.check = check
  }

  public func declare(on routes: inout Routes) {
    routes.on(.get, "/v1/models") { request in
      try check(request)
      _ = try LearnedQuery.fields(request, [])
      var json = JSONWriter(reserving: 8_192)
      json.beginObject()
      json.key("models")
      json.beginArray()
      for card in cards { card.write(to: &json) }
      json.endArray()
      json.endObject()
      return .json(json.bytes)
    }
  }

  private var cards: [Card] {
    let models = decisions()
    var cards = plans.map { Self.card($0, models) }
    if let found = recommendations?.summaries() {
      cards += found.summaries.map {
        Self.card($0, pendingErasures: found.pendingErasures, found.progress)
      }
    }
    if let profiles, let summary = profiles.summary {
      cards.append(Self.card(profiles.policy, summary))
    }
    if let models = timing() {
      cards += models.sites.sorted { $0.key < $1.key }.map { Self.card($0.key, $0.value, models) }
    }
    if let forecasts = forecasts() { cards.append(Self.card(forecasts)) }
    return cards
  }

  // MARK: Each kind

  private static func card(_ plan: DecisionPlan, _ models: DecisionModels?) -> Card {
    let (model, learning) = (models?.plans[plan.id], models?.learning[plan.id])
    let served = model?.plan ?? plan
    let report = DecisionReport(
      plan: served, model: model, progress: models?.progress, learning: learning, problem: nil)
    var card = Card(
      model: "decision", name: plan.id, site: plan.site,
      memory: plan.memory, progress: models?.progress)
    let trials = model?.arms.reduce(0) { $0 + $1.trials } ?? 0
    let rewards = model?.arms.reduce(0) { $0 + $1.rewards } ?? 0
    card.learnedFrom = [
      ("decisions", Double(trials)), ("pending_decisions", Double(learning?.pending ?? 0)),
      ("known_from_tokens_alone", Double(learning?.counts.rebuilt ?? 0)),
      ("taken_back", Double(learning?.counts.retracted ?? 0)),
      ("taken_back_too_late", Double(learning?.counts.retractedTooLate ?? 0)),
      ("retractions_pending", Double(learning?.pendingRetractions ?? 0)),
    ]
    card.did = [("rewards_per_decision", rewards / Double(max(1, trials)))]
    if let held = learning?.heldOut {
      let count = held.reduce(0) { $0 + $1.trials }
      if count > 0 {
        card.did.append(
          ("rewards_per_held_out_decision", held.reduce(0) { $0 + $1.rewards } / Double(count)))
      }
    }
    for (shadow, estimate) in zip(served.shadows, learning?.soFar ?? []) {
      card.did.append(("shadow_\(shadow.name)", estimate.selfNormalized))
    }
    card.sentences = report.sentences
    return card
  }

  private static func card(
    _ summary: RecommendationSummary, pendingErasures: Int, _ progress: LearningProgress
  ) -> Card {
    var card = Card(
      model: "recommendations", name: summary.site, site: summary.site,
      memory: RecommendationBook.memory, progress: progress)
    card.learnedFrom = [
      ("contents", Double(summary.contents)), ("persons", Double(summary.persons)),
      ("visits", Double(summary.figures.visits)),
      ("tested_visits", Double(summary.figures.tests)),
      ("erasures_pending", Double(pendingErasures)),
    ]
    card.did = [
      ("hit_ratio", summary.figures.hitRate),
      ("popular_hit_ratio", summary.figures.popularHitRate), ("coverage_ratio", summary.coverage),
    ]
    card.sentences = [
      "Before a visit was learned it was looked whether it was in the list of ten that the person would have been given:"
        + " \(DecideAnswer.percent(summary.figures.hitRate)) of the latest were, and"
        + " \(DecideAnswer.percent(summary.figures.popularHitRate)) were among the ten most visited."
    ]
    return card
  }

  private static func card(_ policy: ProfilePolicy, _ summary: ProfileBoard.Summary) -> Card {
    var card = Card(
      model: "profiles", name: "profiles", site: nil, memory: policy.memory,
      progress: summary.progress)
    card.learnedFrom = [
      ("persons", Double(summary.persons)), ("turned_away", Double(summary.turnedAway)),
    ]
    if let clusters = summary.clusters {
      card.learnedFrom.append(("clustered_persons", Double(clusters.sampled)))
      card.did = [
        ("clusters", Double(clusters.clusters.clusters.count)),
        ("kept_share", clusters.clusters.kept),
      ]
      card.sentences = [
        "\(clusters.clusters.clusters.count) clusters of \(clusters.sampled) persons; at the last refresh"
          + " \(DecideAnswer.percent(clusters.clusters.kept)) kept theirs."
      ]
    }
    return card
  }

  private static func card(
    _ name: String, _ site: TimingModels.Site, _ models: TimingModels
  ) -> Card {
    var card = Card(
      model: "timing", name: name, site: name, memory: nil, progress: models.progress)
    var (posts, engagements) = (0, 0)
    for channel in site.channels.indices {
      for audience in site.audiences.indices {
        posts += site.posts(channel: channel, audience: audience)
        engagements += site.engagements(channel: channel, audience: audience)
      }
    }
    card.learnedFrom = [
      ("posts", Double(posts)), ("engagements", Double(engagements)),
      ("pending_posts", Double(models.pending)), ("posts_not_drawn", Double(models.undrawn)),
    ]
    card.did = [("dispersion", site.posterior.dispersion)]
    card.sentences = [
      "Learned from \(posts) posts whose times were drawn, and \(engagements) engagements within a day after them;"
        + " \(models.undrawn) whose times nobody drew say nothing of what an hour does."
    ]
    return card
  }
}

extension ModelCards {
  fileprivate static func card(_ forecasts: EngagementForecasts) -> Card {
    var card = Card(
      model: "forecasts", name: "engagement", site: nil, memory: ForecastLearner.memory,
      progress: forecasts.progress)
    let told = forecasts.series.compactMap { series in
      series.lastForecast.map { (count: Double(series.lastCount), expected: $0) }
    }
    let within = told.count { ($0.expected.lower...$0.expected.upper).contains($0.count) }
    card.learnedFrom = [
      ("series", Double(forecasts.series.count)),
      ("hours", Double(forecasts.series.reduce(0) { $0 + $1.hours })),
      ("turned_away", Double(forecasts.turnedAway)),
    ]
    card.did = [
      ("last_hours_told", Double(told.count)), ("last_hours_within", Double(within)),
    ]
    card.sentences = [
      "Of the last hour of \(told.count) sites and campaigns, as it was expected an hour before, \(within) lay within what"
        + " 80 of 100 hours lie within."
    ]
    return card
  }
}

/// What is said of a model.
private struct Card {
  let model: String
  let name: String
  let site: String?
  /// Microseconds; nil where it is another's.
  let memory: Int64?
  let progress: LearningProgress?
  var learnedFrom: [(name: String, value: Double)] = []
  var did: [(name: String, value: Double)] = []
  var sentences: [String] = []

  init(
    model: String, name: String, site: String?, memory: Int64?, progress: LearningProgress?
  ) {
    self.model = model
    self.name = name
    self.site = site
    self.memory = memory
    self.progress = progress
  }

  func write(to json: inout JSONWriter) {
    json.beginObject()
    for (key, text) in [("model", model), ("name", name), ("site", site)] {
      json.key(key)
      if let text { json.string(text) } else { json.null() }
    }
    for (key, figures) in [("learned_from", learnedFrom), ("did", did)] {
      json.key(key)
      json.beginObject()
      for (name, value) in figures {
        json.key(name)
        json.double(value)
      }
      json.endObject()
    }
    json.key("memory_seconds")
    if let memory { json.double(Double(memory) / 1_000_000) } else { json.null() }
    if let progress {
      LearnedQuery.write(progress, to: &json)
    } else {
      for key in ["as_of", "position"] {
        json.key(key)
        json.null()
      }
      json.key("complete")
      json.bool(false)
    }
    json.key("sentences")
    json.beginArray()
    for sentence in sentences { json.string(sentence) }
    json.endArray()
    json.endObject()
  }
}
