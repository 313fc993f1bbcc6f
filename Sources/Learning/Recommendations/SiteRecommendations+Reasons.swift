import Events
import Statistics

extension SiteRecommendations {
  /// Why a content is in a list, or is not.
  ///
  /// - Parameter alternatives: how many of the others are named.
  /// - Returns: nil where there is no such content.
  func why(
    _ name: String, in question: RecommendationQuestion, alternatives: Int
  ) -> RecommendationReason? {
    guard let number = shelf.numbers[name] else { return nil }
    let time = Double(question.now) / 1e6
    let (memory, isKnown, shown) = subject(question.subject, at: time)
    var context = RankingContext()
    recommender.prepare(&context, for: memory, at: time)
    let seen = leftOut(question, memory)
    let passes = filter(question, shown: shown, at: time)
    var isOut = [Bool](repeating: false, count: recommender.contents.count)
    for number in seen { isOut[Int(number)] = true }
    func isCandidate(_ number: Int) -> Bool {
      recommender.contents[number].isThere && !isOut[number] && passes(number)
    }
    let features = recommender.features(of: number, context)
    let own = RankedContent(
      number: number, score: recommender.blend.score(features), features: features)
    // The scores are logarithms of chances, but for a number that is the same for all.
    var (candidates, above, sum) = (0, 0, 0.0)
    for other in recommender.contents.indices where isCandidate(other) {
      let score = recommender.blend.score(recommender.features(of: other, context))
      candidates += 1
      sum += Elementary.exp(Double(score - own.score))
      if score > own.score || (score == own.score && other < number) { above += 1 }
    }
    let isOwn = isCandidate(number)
    let best = recommender.list(
      context, count: alternatives, leavingOut: seen, isAllowed: { $0 != number && passes($0) })
    let means = recommender.meanFeatures(context)
    return RecommendationReason(
      entry: entry(own, means, memory, isExplored: false, at: time), isKnown: isKnown,
      isSeen: memory.seen.contains(Int32(number)), chance: isOwn ? 1 / sum : nil,
      rank: isOwn ? above + 1 : nil, candidates: candidates, parts: parts(features, means),
      alternatives: best.map { other in
        let known = shelf.entries[other.number]
        return RecommendationReason.Alternative(
          content: known.name, title: known.facts.title, score: Double(other.score),
          odds: Elementary.exp(Double(other.score - own.score)))
      }, visits: evidence(of: question.subject),
      sources: sources(of: number, memory, at: time))
  }

  private func parts(
    _ features: SIMD16<Float>, _ means: SIMD16<Float>
  ) -> [RecommendationReason.Part] {
    let weights = recommender.blend.weights
    return RankingFeature.allCases.map { feature in
      let place = feature.rawValue
      return RecommendationReason.Part(
        feature: feature, value: Double(features[place]), mean: Double(means[place]),
        weight: Double(weights[place]),
        contribution: Double(weights[place] * (features[place] - means[place])))
    }.filter { $0.contribution.magnitude > 0.001 }
      .sorted { $0.contribution.magnitude > $1.contribution.magnitude }
  }

  // MARK: Data

  private static let evidenceMax = 20

  private func evidence(
    of subject: RecommendationQuestion.Subject
  ) -> [RecommendationReason.Evidence] {
    let sightings: [Sighting]
    switch subject {
    case .person(let key): sightings = person(key)?.latest.all ?? []
    case .persons(let keys):
      sightings = keys.prefix(RecommendationQuestion.personsMax)
        .flatMap { person($0)?.latest.all ?? [] }
        .sorted { ($0.time, $0.content) < ($1.time, $1.content) }
    // Of these the contents are given, not the events.
    case .item, .session, .newcomer: sightings = []
    }
    return sightings.suffix(Self.evidenceMax).map(evidence)
  }

  private func evidence(_ sighting: Sighting) -> RecommendationReason.Evidence {
    RecommendationReason.Evidence(
      content: shelf.entries[Int(sighting.content)].name, at: Int64(sighting.time * 1e6),
      place: sighting.place)
  }

  /// The content, what it is near to, and what was looked at last.
  private func sources(
    of number: Int, _ memory: ContentRecommender.Memory, at time: Double
  ) -> [RecommendationReason.Source] {
    var numbers = [number]
    let near = recommender.source(of: number, in: memory, at: time)
    let last = memory.recent.last { $0.content >= 0 }.map { Int($0.content) }
    for other in [near, last].compactMap(\.self) where !numbers.contains(other) {
      numbers.append(other)
    }
    return numbers.map { number in
      let (known, content) = (shelf.entries[number], recommender.contents[number])
      return RecommendationReason.Source(
        content: known.name, visits: content.visits, impressions: content.impressions,
        first: known.first.map(evidence), facts: known.said.map(evidence),
        latest: known.latest.all.map(evidence))
    }
  }
}
