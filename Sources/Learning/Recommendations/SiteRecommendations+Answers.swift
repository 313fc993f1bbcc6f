import Events
import Statistics

extension SiteRecommendations {
  /// Contents that were looked at and shown less often than this are little known.
  private static let littleKnown = 50
  /// With diversity, the list is chosen from so many times as many.
  private static let poolFactor = 4
  private static let day = 86_400.0
  private static let reasonsMax = 3
  /// Parts of a score that say less than this are no reason.
  private static let reasonMin: Float = 0.05

  func answer(_ question: RecommendationQuestion) -> RecommendationAnswer {
    let time = Double(question.now) / 1e6
    let (memory, isKnown, shown) = subject(question.subject, at: time)
    var context = RankingContext()
    recommender.prepare(&context, for: memory, at: time)
    let passes = filter(question, shown: shown, at: time)
    let allowed = recommender.contents.indices.map { number in
      recommender.contents[number].isThere && passes(number)
    }
    let isAllowed = { (number: Int) in allowed[number] }
    let seen = leftOut(question, memory)
    var answer = RecommendationAnswer()
    answer.isKnown = isKnown
    answer.visits = figures.visits
    answer.candidates = allowed.count { $0 }
    let pool = recommender.list(
      context, count: question.count * (question.diversity > 0 ? Self.poolFactor : 1),
      leavingOut: seen, isAllowed: isAllowed)
    var chosen = diverse(pool, count: question.count, by: question.diversity)
    let explored = explore(question, context, seen: seen, chosen: chosen, isAllowed)
    chosen.removeLast(min(chosen.count, max(0, chosen.count + explored.count - question.count)))
    let means = recommender.meanFeatures(context)
    answer.entries =
      chosen.map { entry($0, means, memory, isExplored: false, at: time) }
      + explored.map { entry($0, means, memory, isExplored: true, at: time) }
    return answer
  }

  /// What a list does not have because it was seen, or is what the list is beside.
  func leftOut(
    _ question: RecommendationQuestion, _ memory: ContentRecommender.Memory
  ) -> [Int32] {
    var seen = question.includesSeen ? [] : memory.seen
    if case .item(let name) = question.subject, let own = shelf.numbers[name] {
      seen.append(Int32(own))
    }
    return seen
  }

  func subject(
    _ subject: RecommendationQuestion.Subject, at time: Double
  ) -> (memory: ContentRecommender.Memory, isKnown: Bool, shown: [ContentRecommender.Visit]) {
    switch subject {
    case .person(let key):
      let person = person(key)
      return (person?.memory ?? .init(), person != nil, person?.shown ?? [])
    case .item(let name):
      let session = [shelf.numbers[name]].compactMap(\.self)
      return (recommender.memory(session: session, at: time), !session.isEmpty, [])
    case .session(let names):
      let session = names.compactMap { shelf.numbers[$0] }
      return (recommender.memory(session: session, at: time), !session.isEmpty, [])
    case .newcomer: return (.init(), false, [])
    case .persons(let keys):
      let memories = keys.prefix(RecommendationQuestion.personsMax).compactMap {
        person($0)?.memory
      }
      return (recommender.memory(merging: memories, at: time), !memories.isEmpty, [])
    }
  }

  func filter(
    _ question: RecommendationQuestion, shown: [ContentRecommender.Visit], at time: Double
  ) -> (Int) -> Bool {
    var tooOften = Set<Int>()
    if let most = question.impressionsMax {
      var counts: [Int: Int] = [:]
      for visit in shown where visit.time > time - Self.day {
        counts[Int(visit.content), default: 0] += 1
      }
      tooOften = Set(counts.filter { $0.value >= most }.keys)
    }
    let excluded = Set(question.excluded.compactMap { shelf.numbers[$0] }).union(tooOften)
    let entries = shelf.entries
    return { number in
      guard !excluded.contains(number) else { return false }
      if let campaign = question.campaign, !entries[number].campaigns.contains(campaign) {
        return false
      }
      if let channel = question.channel, !entries[number].channels.contains(channel) {
        return false
      }
      return true
    }
  }

  /// Chooses one after the other what has a high score and is unlike what was chosen before (maximal marginal
  /// relevance, Carbonell and Goldstein 1998).
  private func diverse(
    _ pool: [RankedContent], count: Int, by diversity: Double
  ) -> [RankedContent] {
    guard diversity > 0, pool.count > 1, let best = pool.first, let last = pool.last else {
      return Array(pool.prefix(count))
    }
    let span = max(1e-6, Double(best.score - last.score))
    var rest = pool
    // Of each that is left, how alike it is to the chosen one that is most alike.
    var likeness = [Double](repeating: 0, count: rest.count)
    var chosen: [RankedContent] = []
    while chosen.count < count, !rest.isEmpty {
      var top = (place: 0, value: -Double.infinity)
      for place in rest.indices {
        let value =
          (1 - diversity) * Double(rest[place].score - last.score) / span
          - diversity * likeness[place]
        if value > top.value { top = (place, value) }
      }
      chosen.append(rest.remove(at: top.place))
      likeness.remove(at: top.place)
      for place in rest.indices {
        likeness[place] = max(
          likeness[place], recommender.likeness(rest[place].number, chosen[chosen.count - 1].number)
        )
      }
    }
    return chosen
  }

  /// Draws contents of which little is known, each with the chance that its score gives it: the same ones in every process,
  /// for a person or a seed within an hour.
  private func explore(
    _ question: RecommendationQuestion, _ context: borrowing RankingContext, seen: [Int32],
    chosen: [RankedContent], _ isAllowed: (Int) -> Bool
  ) -> [RankedContent] {
    let count = Int(question.exploration * Double(question.count))
    guard count > 0 else { return [] }
    let taken = Set(chosen.prefix(question.count - count).map(\.number)).union(seen.map(Int.init))
    // The best of them, in order.
    var drawn: [(entry: RankedContent, value: Double)] = []
    drawn.reserveCapacity(count + 1)
    let seed = Self.seed(question)
    for number in recommender.contents.indices {
      guard isAllowed(number), !taken.contains(number),
        recommender.contents[number].visits + recommender.contents[number].impressions
          < Self.littleKnown
      else { continue }
      let features = recommender.features(of: number, context)
      let score = recommender.blend.score(features)
      // The largest of scores with Gumbel noise is a draw by e^score.
      var draws = Draws(seed: seed ^ shelf.entries[number].hash)
      let value = Double(score) - Elementary.log(-Elementary.log(draws.unit()))
      if drawn.count == count {
        guard let last = drawn.last, value > last.value else { continue }
        drawn.removeLast()
      }
      var place = drawn.count
      while place > 0, drawn[place - 1].value < value { place -= 1 }
      drawn.insert((.init(number: number, score: score, features: features), value), at: place)
    }
    return drawn.map(\.entry)
  }

  private static func seed(_ question: RecommendationQuestion) -> UInt64 {
    let hour = UInt64(bitPattern: question.now / 3_600_000_000)
    let subject: UInt64
    if let seed = question.seed {
      subject = HashedTextEmbedding.hash(seed)
    } else {
      switch question.subject {
      case .person(let key): subject = key.low
      case .item(let name): subject = HashedTextEmbedding.hash(name)
      case .session(let names): subject = HashedTextEmbedding.hash(names.last ?? "")
      case .newcomer, .persons: subject = 0
      }
    }
    return subject ^ hour &* 0x9e37_79b9_7f4a_7c15
  }

  // MARK: Reasons

  func entry(
    _ ranked: RankedContent, _ means: SIMD16<Float>, _ memory: ContentRecommender.Memory,
    isExplored: Bool, at time: Double
  ) -> RecommendationAnswer.Entry {
    let parts = recommender.blend.weights * (ranked.features - means)
    let contributions = RankingFeature.allCases.map { ($0, parts[$0.rawValue]) }
      .filter { $0.1.magnitude > 0.001 }
      .sorted { $0.1.magnitude > $1.1.magnitude }
    var reasons = isExplored ? ["little is known of it yet, and this is how more is learned"] : []
    for (feature, value) in contributions where value > Self.reasonMin {
      guard reasons.count < Self.reasonsMax,
        let reason = reason(feature, ranked, memory, at: time), !reasons.contains(reason)
      else { continue }
      reasons.append(reason)
    }
    let known = shelf.entries[ranked.number]
    return RecommendationAnswer.Entry(
      content: known.name, title: known.facts.title, topics: known.facts.topics,
      format: known.facts.format, score: Double(ranked.score), isExplored: isExplored,
      reasons: reasons, contributions: contributions.map { ($0.0, Double($0.1)) })
  }

  private func reason(
    _ feature: RankingFeature, _ ranked: RankedContent, _ memory: ContentRecommender.Memory,
    at time: Double
  ) -> String? {
    let facts = shelf.entries[ranked.number].facts
    let main = facts.topics.first ?? ""
    switch feature {
    case .trending: return "looked at much in the last hours"
    case .popular: return "looked at much in the last days"
    case .new, .age: return "newer than most"
    case .topic: return "its topic \(main) is looked at more here than elsewhere"
    case .furtherTopics:
      let further = facts.topics.dropFirst().joined(separator: ", ")
      return "its topics \(further) are looked at more here than elsewhere"
    case .format: return "its format \(facts.format) is looked at more here than elsewhere"
    case .sessionTopic: return "its topic \(main) was just looked at"
    case .nextTopic: return "its topic \(main) often comes next"
    case .nextFurtherTopics: return "its further topics often come next"
    case .next:
      return memory.recent.last { $0.content >= 0 }.map {
        "often comes next after \(name($0.content))"
      }
    case .coVisited:
      return recommender.source(of: ranked.number, in: memory, at: time).map {
        "those who looked at \(name(Int32($0))) looked at it too"
      }
    case .similar: return "its words are like those of what was looked at"
    }
  }

  private func name(_ number: Int32) -> String {
    let entry = shelf.entries[Int(number)]
    return entry.facts.title.isEmpty ? entry.name : entry.facts.title
  }
}
