/// What people look at next: a blend of popularity, topics, co-visitation and words, refreshed by every visit.
///
///     visit ─▶ counts, pairs with the person's last contents, the person's topics, steps from topic to topic
///           ─▶ weights of the blend: the content that was chosen against a sample of those that were not
///     list  ─▶ features of every content for this person now ─▶ scores ─▶ the best
///
/// Each feature is a logarithm of a share, or of how much more often something is than with everybody (shrunk to
/// none where little is known), so that their weighted sum is that of a chance. What is new has no counts, but
/// topics, format and words: it is in lists from its first visit, or its announcement, on.
///
/// Cost: some 20 µs a visit; a list some 80 ns a content. Sums hang on the order of visits only by what bounded tables let
/// go, and a person's visits are taken back from them without a trace (``unlearn(_:)``); the blend's weights are
/// those of the order in which visits came, and stay. Times in seconds.
public struct ContentRecommender: Sendable {
  public struct Content: Sendable, Equatable {
    /// The first is the main one; below ``topicsMax``.
    public var topics: [Int32] = []
    /// −1 where unknown.
    public var format: Int32 = -1
    /// When it appeared.
    public var since = 0.0
    /// Of ``HashedTextEmbedding``, or a ``BlendedEmbedding``; empty where it has no text.
    public var words: [SIMD16<Float>] = []
    public internal(set) var visits = 0
    public internal(set) var impressions = 0
    /// The number of its topics and format together.
    var facts: Int32 = -1
    public internal(set) var isThere = true

    public init(
      topics: [Int32] = [], format: Int32 = -1, since: Double = 0, words: [SIMD16<Float>] = []
    ) {
      self.topics = topics
      self.format = format
      self.since = since
      self.words = words
    }
  }

  public struct Visit: Sendable, Equatable {
    /// −1 where it is gone.
    public internal(set) var content: Int32
    public let time: Double
    var facts: Int32

    public init(content: Int32, time: Double) { self.init(content: content, time: time, facts: -1) }

    init(content: Int32, time: Double, facts: Int32) {
      self.content = content
      self.time = time
      self.facts = facts
    }
  }

  /// What is kept of a person.
  public struct Memory: Sendable, Equatable {
    public internal(set) var recent: [Visit] = []
    /// Contents that were visited, the latest last.
    public internal(set) var seen: [Int32] = []
    public internal(set) var topics = FadingProfile()
    var formats = FadingProfile()
    public internal(set) var lastTime = -Double.infinity
    /// What it has added to everybody's sums.
    public internal(set) var learned = LearnedVisits()

    public init() {}

    /// Notes when the person was last there.
    public mutating func touch(_ time: Double) { lastTime = max(lastTime, time) }

    /// Contents that were removed, whose numbers others may get.
    public mutating func forget(_ removed: Set<Int>) {
      // They keep their places: what comes later is as far from the others as it was.
      for place in recent.indices where removed.contains(Int(recent[place].content)) {
        recent[place].content = -1
      }
      seen.removeAll { removed.contains(Int($0)) }
      learned.forget(removed)
    }

    /// Takes over the visits of another name of the same person.
    public mutating func takeOver(_ other: Memory) { learned.take(other.learned) }
  }

  public static let topicsMax = 4_096
  public static let formatsMax = 256
  public static let recentMax = 20
  public static let seenMax = 1_024
  /// Visits of a person that can be taken back; fewer once those of all are too many.
  public static let learnedMax = 1_024
  private static let learnedOfAllMax = 4_000_000
  private static let factsMax = 1 << 20

  private static let hour = 3_600.0
  private static let day = 86_400.0
  /// Half-lives.
  static let tastes = 60 * day
  static let session = hour / 3
  static let near = 2 * day
  /// A later visit is of another session.
  static let pause = hour / 2
  /// Of a person's own visits that count as much as what everybody looks at.
  private static let strength = 15.0
  private static let sessionStrength = 1.0
  private static let stepStrength = 50.0
  /// Backwards pairs weigh less.
  private static let backwards = 0.7
  /// Of each content before, by how far it is back.
  private static let stepBack = 0.9
  private static let furtherTopic = 0.5
  private static let sampleCount = 32
  private static let latestMax = 512

  public private(set) var contents: [Content] = []
  public private(set) var contentCount = 0
  public private(set) var blend: RankingBlend
  private var free: [Int] = []
  private(set) var trending = FadingCounts(halfLife: 12 * hour)
  private(set) var popular = FadingCounts(halfLife: 2 * day)
  private(set) var topicCounts = FadingCounts(halfLife: 7 * day)
  private(set) var formatCounts = FadingCounts(halfLife: 7 * day)
  var pairs = CoVisitation(halfLife: 14 * day)
  var steps = CoVisitation(halfLife: 14 * day)
  private(set) var topicSteps = CoVisitation(halfLife: 30 * day)
  private var topicCount = 1
  private var formatCount = 1
  /// Topics and format of contents, as they are and were, each combination once.
  private var facts: [Facts] = []
  private var factNumbers: [Facts: Int32] = [:]
  /// Visits that can be taken back, of all, and how many a person may have of them.
  private var learnedCount = 0
  private var learnedLimit = learnedMax

  private struct Facts: Hashable, Sendable {
    var topics: [Int32]
    var format: Int32
  }

  /// The last visits of all, a ring, and how often each content is in it: what alternatives are drawn from.
  private var latest: [Int32] = []
  private var latestPlace = 0
  private var latestCounts: [Int32] = []
  private var draws = Draws(seed: 1)
  private var scratch = RankingContext()
  private var others: [(features: SIMD16<Float>, count: Float)] = []

  public init(_ weights: SIMD16<Float> = RankingFeature.weightsFirst) {
    blend = RankingBlend(weights)
  }

  // MARK: Contents

  /// - Returns: its number, which may have been another's that was removed.
  public mutating func add(_ content: Content) -> Int {
    contentCount += 1
    var content = content
    note(&content)
    if let number = free.popLast() {
      contents[number] = content
      return number
    }
    contents.append(content)
    latestCounts.append(0)
    return contents.count - 1
  }

  /// Changes what is known of a content, not its counts.
  public mutating func update(_ number: Int, _ change: (inout Content) -> Void) {
    change(&contents[number])
    var content = contents[number]
    note(&content)
    contents[number] = content
  }

  /// Counts impressions, or takes them back.
  public mutating func shown(_ number: Int, _ times: Int) { contents[number].impressions += times }

  private mutating func note(_ content: inout Content) {
    if content.facts < 0 || facts[Int(content.facts)].topics != content.topics
      || facts[Int(content.facts)].format != content.format
    {
      content.facts = number(of: Facts(topics: content.topics, format: content.format))
    }
    for topic in content.topics { topicCount = max(topicCount, Int(topic) + 1) }
    formatCount = max(formatCount, Int(content.format) + 1)
  }

  private mutating func number(of known: Facts) -> Int32 {
    if let number = factNumbers[known] { return number }
    guard facts.count < Self.factsMax else { return -1 }
    factNumbers[known] = Int32(facts.count)
    facts.append(known)
    return Int32(facts.count - 1)
  }

  /// Removes contents that nobody has looked at for longest, in a row of them: all tables are gone through once.
  ///
  /// - Returns: their numbers.
  public mutating func removeLeast(_ count: Int) -> [Int] {
    let there = contents.indices.filter { contents[$0].isThere }
    let least = there.sorted { popular.value($0) < popular.value($1) }.prefix(count)
    let removed = Set(least)
    for number in least {
      trending.remove(number)
      popular.remove(number)
      contents[number] = Content()
      contents[number].isThere = false
      free.append(number)
    }
    pairs.remove { removed.contains($0) }
    steps.remove { removed.contains($0) }
    latest.removeAll(keepingCapacity: true)
    latestPlace = 0
    for number in latestCounts.indices { latestCounts[number] = 0 }
    contentCount -= least.count
    return Array(least)
  }

  // MARK: Visits

  /// Learns from a visit.
  ///
  /// - Parameters:
  ///   - weight: above 0; a click says more than a view.
  ///   - isTeaching: whether the blend learns from it too, which is half of the cost.
  public mutating func visit(
    _ number: Int, by memory: inout Memory, weight: Double, at time: Double,
    isTeaching: Bool = true
  ) {
    if isTeaching, contentCount > 1, latest.count > 1 {
      var context = scratch
      scratch = RankingContext()
      prepare(&context, for: memory, at: time)
      learn(chosen: number, context)
      scratch = context
    }
    learn(number, by: &memory, weight: weight, at: time, isFirst: true)
  }

  /// Takes in that a person came back to a content: it says what is popular and what the person likes, and nothing of
  /// what comes next.
  public mutating func revisit(
    _ number: Int, by memory: inout Memory, weight: Double, at time: Double
  ) {
    learn(number, by: &memory, weight: weight, at: time, isFirst: false)
  }

  private mutating func learn(
    _ number: Int, by memory: inout Memory, weight: Double, at time: Double, isFirst: Bool
  ) {
    let visit = LearnedVisits.Visit(
      content: Int32(number), facts: contents[number].facts, time: time, weight: Float(weight),
      isFirst: isFirst)
    count(visit, after: memory.recent, sign: 1)
    if isFirst { noteLatest(number) }
    learnedCount += memory.learned.append(
      visit, contextMax: Self.recentMax, countMax: learnedLimit)
    remember(number, in: &memory, weight: weight, at: time)
  }

  /// Whether visits that can be taken back are too many: then each person is to be told to ``cut(_:)``.
  public mutating func halvesLearned() -> Bool {
    guard learnedCount > Self.learnedOfAllMax, learnedLimit > 32 else { return false }
    learnedLimit /= 2
    return true
  }

  public mutating func cut(_ memory: inout Memory) {
    learnedCount -= memory.learned.cut(to: learnedLimit, contextMax: Self.recentMax)
  }

  /// Somebody's visits cannot be taken back any more, or have been.
  public mutating func letGo(_ memory: Memory) { learnedCount -= memory.learned.count }

  /// Takes back what somebody's visits have added to counts and to what comes near and next, as if they had never been; not from
  /// the weights of the blend. What bounded tables have let go since, and what came before the latest
  /// ``learnedMax``, stays.
  public mutating func unlearn(_ memory: Memory) {
    for sequence in memory.learned.sequences {
      var recent: [Visit] = []
      for (place, visit) in sequence.visits.enumerated() {
        if place >= sequence.contextCount { count(visit, after: recent, sign: -1) }
        Self.insert(
          Visit(content: visit.content, time: visit.time, facts: visit.facts), into: &recent)
      }
    }
    letGo(memory)
  }

  /// Adds what a visit says, or takes it back with the sign −1.
  private mutating func count(
    _ visit: LearnedVisits.Visit, after recent: [Visit], sign: Double
  ) {
    let (number, time) = (Int(visit.content), visit.time)
    if number >= 0 {
      trending.add(number, sign * Double(visit.weight), at: time)
      popular.add(number, sign * Double(visit.weight), at: time)
      contents[number].visits += Int(sign)
    }
    guard visit.isFirst else { return }
    let own = visit.facts >= 0 ? facts[Int(visit.facts)] : Facts(topics: [], format: -1)
    for (place, topic) in own.topics.enumerated() {
      topicCounts.add(Int(topic), sign * (place == 0 ? 1 : Self.furtherTopic), at: time)
    }
    if own.format >= 0 { formatCounts.add(Int(own.format), sign, at: time) }
    if let last = recent.last, (0...Self.pause).contains(time - last.time) {
      if number >= 0, last.content >= 0 {
        steps.add(Int(last.content), then: number, weight: sign, at: time)
      }
      if last.facts >= 0, let from = facts[Int(last.facts)].topics.first {
        for (place, topic) in own.topics.enumerated() {
          topicSteps.add(
            Int(from), then: Int(topic), weight: sign * (place == 0 ? 1 : Self.furtherTopic),
            at: time)
        }
      }
    }
    guard number >= 0 else { return }
    var weight = sign
    for before in recent.reversed() {
      let gap = time - before.time
      let worth = weight * Elementary.exp(-gap.magnitude / Self.near * Elementary.ln2)
      weight *= Self.stepBack
      guard worth.magnitude > 0.001 else { break }
      guard before.content >= 0, Int(before.content) != number else { continue }
      pairs.add(Int(before.content), then: number, weight: worth, at: time)
      pairs.add(number, then: Int(before.content), weight: Self.backwards * worth, at: time)
    }
  }

  /// What alternatives are drawn from.
  private mutating func noteLatest(_ number: Int) {
    if latest.count < Self.latestMax {
      latest.append(Int32(number))
    } else {
      latestCounts[Int(latest[latestPlace])] -= 1
      latest[latestPlace] = Int32(number)
      latestPlace = (latestPlace + 1) % Self.latestMax
    }
    latestCounts[number] += 1
  }

  func remember(
    _ number: Int, in memory: inout Memory, weight: Double, at time: Double
  ) {
    let content = contents[number]
    for (place, topic) in content.topics.enumerated() {
      memory.topics.add(
        Int(topic), weight * (place == 0 ? 1 : Self.furtherTopic), at: time,
        halfLife: Self.tastes)
    }
    if content.format >= 0 {
      memory.formats.add(Int(content.format), weight, at: time, halfLife: Self.tastes)
    }
    Self.insert(
      Visit(content: Int32(number), time: time, facts: content.facts), into: &memory.recent)
    if let known = memory.seen.lastIndex(of: Int32(number)) { memory.seen.remove(at: known) }
    if memory.seen.count == Self.seenMax { memory.seen.removeFirst() }
    memory.seen.append(Int32(number))
    memory.lastTime = max(memory.lastTime, time)
  }

  /// What comes late goes to its place in time.
  private static func insert(_ visit: Visit, into recent: inout [Visit]) {
    if recent.count == recentMax { recent.removeFirst() }
    var place = recent.count
    while place > 0, recent[place - 1].time > visit.time { place -= 1 }
    recent.insert(visit, at: place)
  }

  // MARK: The blend

  private mutating func learn(chosen number: Int, _ context: RankingContext) {
    others.removeAll(keepingCapacity: true)
    // Half of the alternatives are any content, half are among the last visits: the chance of each is known.
    for place in 0..<Self.sampleCount {
      let other =
        place % 2 == 0
        ? Int(draws.next() % UInt64(contents.count))
        : Int(latest[Int(draws.next() % UInt64(latest.count))])
      guard other != number, contents[other].isThere else { continue }
      let chance =
        0.5 / Double(contents.count) + 0.5 * Double(latestCounts[other]) / Double(latest.count)
      others.append(
        (features(of: other, context), Float(1 / (chance * Double(Self.sampleCount)))))
    }
    guard !others.isEmpty else { return }
    blend.learn(chosen: features(of: number, context), others: others)
  }

  // MARK: Features

  /// Prepares what features of contents are worked out from.
  public func prepare(
    _ context: inout RankingContext, for memory: Memory, at time: Double
  ) {
    context.time = time
    context.isKnown = memory.recent.contains { $0.content >= 0 }
    context.trending = .init(trending, at: time, things: contentCount)
    context.popular = .init(popular, at: time, things: contentCount)
    let topicShare = RankingContext.Share(topicCounts, at: time, things: topicCount)
    let formatShare = RankingContext.Share(formatCounts, at: time, things: formatCount)
    memory.topics.lifts(
      at: time, halfLife: Self.tastes, strength: Self.strength, count: topicCount,
      share: { topicShare.share($0, of: topicCounts) }, to: &context.topics)
    memory.formats.lifts(
      at: time, halfLife: Self.tastes, strength: Self.strength, count: formatCount,
      share: { formatShare.share($0, of: formatCounts) }, to: &context.formats)
    var session = FadingProfile()
    for visit in memory.recent where visit.content >= 0 && time - visit.time < 3 * Self.session {
      guard let topic = contents[Int(visit.content)].topics.first else { continue }
      session.add(Int(topic), 1, at: visit.time, halfLife: Self.session)
    }
    session.lifts(
      at: time, halfLife: Self.session, strength: Self.sessionStrength, count: topicCount,
      share: { topicShare.share($0, of: topicCounts) }, to: &context.sessionTopics)
    prepareFollowers(&context, memory, topicShare)
    prepareWords(&context, memory)
  }

  private func prepareFollowers(
    _ context: inout RankingContext, _ memory: Memory, _ topicShare: RankingContext.Share
  ) {
    let time = context.time
    context.next.reset(count: contents.count)
    context.near.reset(count: contents.count)
    context.nextTopics.removeAll(keepingCapacity: true)
    if let last = memory.recent.last, last.content >= 0,
      (0...Self.pause).contains(time - last.time)
    {
      context.next.add(steps, of: Int(last.content), times: 1, at: time)
      if let from = contents[Int(last.content)].topics.first {
        topicSteps.lifts(
          from: Int(from), at: time, strength: Self.stepStrength, count: topicCount,
          share: { topicShare.share($0, of: topicCounts) }, to: &context.nextTopics)
      }
    }
    if context.nextTopics.isEmpty {
      context.nextTopics.append(contentsOf: repeatElement(0, count: topicCount))
    }
    var weight = 1.0
    for before in memory.recent.reversed() {
      let gap = max(0, time - before.time)
      let worth = weight * Elementary.exp(-gap / Self.near * Elementary.ln2)
      weight *= Self.stepBack
      guard worth > 0.001 else { break }
      guard before.content >= 0 else { continue }
      context.near.add(pairs, of: Int(before.content), times: worth, at: time)
    }
    context.next.finish()
    context.near.finish()
  }

  /// The parts of a content's score, by ``RankingFeature/rawValue``.
  public func features(of number: Int, _ context: borrowing RankingContext) -> SIMD16<Float> {
    let content = contents[number]
    var features = SIMD16<Float>(repeating: 0)
    let popularity = context.popular.share(number, of: popular)
    features[RankingFeature.trending.rawValue] = Float(
      Elementary.log(context.trending.share(number, of: trending)))
    features[RankingFeature.popular.rawValue] = Float(Elementary.log(popularity))
    let age = max(0, context.time - content.since)
    features[RankingFeature.new.rawValue] = Float(Elementary.exp(-age / (6 * Self.hour)))
    features[RankingFeature.age.rawValue] = -Float(min(age / (10 * Self.day), 6))
    if let main = content.topics.first {
      features[RankingFeature.topic.rawValue] = context.topics[Int(main)]
      features[RankingFeature.sessionTopic.rawValue] = context.sessionTopics[Int(main)]
      features[RankingFeature.nextTopic.rawValue] = context.nextTopics[Int(main)]
      let further = content.topics.count - 1
      if further > 0 {
        var (taste, step): (Float, Float) = (0, 0)
        for topic in content.topics.dropFirst() {
          taste += context.topics[Int(topic)]
          step += context.nextTopics[Int(topic)]
        }
        features[RankingFeature.furtherTopics.rawValue] = taste / Float(further)
        features[RankingFeature.nextFurtherTopics.rawValue] = step / Float(further)
      }
    }
    if content.format >= 0 {
      features[RankingFeature.format.rawValue] = context.formats[Int(content.format)]
    }
    features[RankingFeature.next.rawValue] = context.next.lift(number, share: popularity)
    features[RankingFeature.coVisited.rawValue] = context.near.lift(number, share: popularity)
    if !context.words.isEmpty, !content.words.isEmpty {
      features[RankingFeature.similar.rawValue] = HashedTextEmbedding.cosine(
        content.words, context.words)
    }
    return features
  }
}
