/// What one visitor will do, worked out when the visit begins.
struct DemoSession: Sendable {
  struct Step: Sendable {
    var action: DemoEvent.Action
    var place: DemoPlace
  }

  var person: DemoPerson
  /// Still to come, the next one last.
  private(set) var rest: [Step]

  init(person: DemoPerson, steps: [Step]) {
    self.person = person
    rest = steps.reversed()
  }

  mutating func next() -> Step? { rest.popLast() }
}

/// Invents sessions.
struct DemoSessionScript: Sendable {
  var catalog: DemoCatalog
  /// Appended to the names of campaigns, so that parallel runs don't share any; empty for none.
  var label: String

  /// - Parameter hour: of the day in UTC, 0 to 23; moves the channels' shares.
  func session(
    of person: DemoPerson, hour: Int, random: inout SplitMix64
  ) -> DemoSession {
    let campaign = catalog.campaigns[random.index(weights: catalog.campaigns.map(\.weight))]
    let channels = catalog.channels
    let channel = channels[random.index(weights: channels.map { $0.weight(hour: hour) })]
    if person.isBot { return crawl(of: person, campaign, channel, &random) }

    var steps: [DemoSession.Step] = []
    for _ in 0...random.index(below: 3) {
      let content = random.element(campaign.contents)
      let variant = variant(of: content, in: campaign, for: person, &random)
      let place = place(campaign, content, variant, channel)
      func add(_ action: DemoEvent.Action) { steps.append(.init(action: action, place: place)) }

      for _ in 0...random.index(below: 3) { add(.impression) }
      if random.happens(0.5) { add(.view) }
      guard random.happens(variant.clickRate * channel.clickFactor * 2) else { continue }
      add(.click)
      add(.view)
      if random.happens(0.4) { add(engagement(&random)) }
      if random.happens(0.1) { add(.custom) }
      if random.happens(campaign.conversionRate) { add(conversion(campaign, &random)) }
    }
    if person.userID != nil, random.happens(0.3) {
      steps.insert(.init(action: .identify, place: steps[0].place), at: 0)
    }
    return DemoSession(person: person, steps: steps)
  }

  /// A visit from the first impression to the order, so that the shortest run has every kind.
  func fullVisit(
    of person: DemoPerson, campaign index: Int, random: inout SplitMix64
  ) -> DemoSession {
    let campaign = catalog.campaigns[index]
    let content = campaign.contents[0]
    let place = place(campaign, content, content.variants[0], catalog.channels[0])
    let actions: [DemoEvent.Action] = [
      .identify, .impression, .view, .click, engagement(&random), .custom,
      conversion(campaign, &random),
    ]
    return DemoSession(person: person, steps: actions.map { .init(action: $0, place: place) })
  }

  /// Bots look at everything and click nothing.
  private func crawl(
    of person: DemoPerson, _ campaign: DemoCatalog.Campaign, _ channel: DemoCatalog.Channel,
    _ random: inout SplitMix64
  ) -> DemoSession {
    let steps = (0..<8 + random.index(below: 8)).map { _ in
      let content = random.element(campaign.contents)
      return DemoSession.Step(
        action: .impression,
        place: place(campaign, content, random.element(content.variants), channel))
    }
    return DemoSession(person: person, steps: steps)
  }

  /// The experiment's visitors get always the same one.
  private func variant(
    of content: DemoCatalog.Content, in campaign: DemoCatalog.Campaign, for person: DemoPerson,
    _ random: inout SplitMix64
  ) -> DemoCatalog.Variant {
    let drawn = random.element(content.variants)
    guard campaign.name == DemoExperiment.campaign else { return drawn }
    let name = DemoExperiment(label: label).variant(of: person.name)
    return content.variants.first { $0.name == name } ?? drawn
  }

  /// From 2 s to a minute in view.
  private func engagement(_ random: inout SplitMix64) -> DemoEvent.Action {
    .engagement(dwellMs: 2_000 + random.index(below: 58_000))
  }

  /// From 5.00 to 254.99 of the campaign's currency.
  private func conversion(
    _ campaign: DemoCatalog.Campaign, _ random: inout SplitMix64
  ) -> DemoEvent.Action {
    let cents = Int64(500 + random.index(below: 25_000))
    return .conversion(micros: cents * 10_000, currency: campaign.currency)
  }

  private func place(
    _ campaign: DemoCatalog.Campaign, _ content: DemoCatalog.Content,
    _ variant: DemoCatalog.Variant, _ channel: DemoCatalog.Channel
  ) -> DemoPlace {
    DemoPlace(
      campaign: name(of: campaign), content: content.name, variant: variant.name,
      channel: channel.name)
  }

  func name(of campaign: DemoCatalog.Campaign) -> String {
    label.isEmpty ? campaign.name : "\(campaign.name)-\(label)"
  }
}
