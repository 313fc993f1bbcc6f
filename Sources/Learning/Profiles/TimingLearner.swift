public import Analyses
public import Events
public import Operators

/// Learns when to post from what became of posts whose times were drawn.
///
/// A post is said by an event of any name whose properties have `posted_at`: the content and channel of the event went
/// out then. `window` names the hours from which its time was drawn, `propensity` is the chance that the
/// hour had, `audience` for whom it was, `reach` how many could see it. Clicks and engagements with the content on the
/// channel within a day after it are what became of it.
///
///     post ─── engagements by hour ─── a day over: settled ─▶ SlotModel ─▶ TimingModels
///
/// Posts without a propensity were not drawn: they are counted, and nothing is learned from them, since who posts the
/// best at prime time learns that prime time is best. Everything is a table of sums: the same in every order.
/// The model is worked out anew where posts have settled, every ten minutes of the log's time at most. Cost: some 0.2 µs
/// an event, and 0.2 s for a model of 2,000 posts.
public final class TimingLearner: Learner {
  private let hand: (TimingModels) -> Void
  private var contents: [ContentKey: Content] = [:]
  private var turnedAway: UInt64 = 0
  private var nextFit = Int64.min
  private var fitted: [SettledPost] = []
  private var latest: TimingModels?
  private var tuples: [ContentKey??] = []

  private static let hour: Int64 = 3_600_000_000
  private static let hoursOfPost: Int64 = 24
  private static let postsOfContentMax = 64
  /// What is of no post is forgotten when it is so old: its post may still come.
  private static let waits: Int64 = 72
  private static let contentsMax = 50_000
  static let postsMax = 2_000
  private static let fitEvery: Int64 = 600_000_000
  private static let mark = Array("\"posted_at\"".utf8)

  struct ContentKey: Hashable {
    let site: String
    let content: String
    let channel: String
  }

  private struct Content {
    var posts: [Said] = []
    /// Engagements by hour since the epoch.
    var hours: [Int64: Int] = [:]
  }

  /// A post, and the frame that says it.
  private struct Said {
    var post: TimedContent
    var position: Position
  }

  private struct TimedContent: Hashable {
    var at: Int64
    var audience: String
    var window: String
    var propensity: Double?
    var reach: Double
  }

  /// A post whose day is over.
  struct SettledPost: Hashable {
    var key: ContentKey
    var at: Int64
    var audience: String
    var window: String
    var reach: Double
    var engagements: Int
    /// The frame that says it.
    var position: Position
  }

  public let memory: Int64

  /// - Parameter hand: takes the models; called by ``publish(_:)`` where they changed.
  public init(memory: Int64, hand: @escaping (TimingModels) -> Void) {
    self.memory = memory
    self.hand = hand
  }

  // MARK: Events

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    tuples = [ContentKey??](repeating: nil, count: frame.tupleCount)
    for number in 0..<counted.count {
      let index = counted.index(number)
      let payload = frame.payload(index)
      if EventProperties.mentions(payload, Self.mark) {
        guard let key = key(frame.tuple(index), frame), let post = Self.post(payload) else {
          turnedAway += 1
          continue
        }
        let position = Position(
          generation: stream.generation, sequences: [stream.partition: moment.sequence])
        change(key) { content in
          if let known = content.posts.firstIndex(where: { $0.post == post }) {
            // Of the frames that say it, the same one wherever they are read in another order.
            if "\(position)" < "\(content.posts[known].position)" {
              content.posts[known].position = position
            }
            return
          }
          guard content.posts.count < Self.postsOfContentMax else {
            turnedAway += 1
            return
          }
          content.posts.append(Said(post: post, position: position))
        }
        continue
      }
      let kind = frame.kind(index)
      guard kind == EventKind.click.rawValue || kind == EventKind.engagement.rawValue,
        let key = key(frame.tuple(index), frame)
      else { continue }
      let time = counted.time(number)
      change(key) { $0.hours[Self.hours(time), default: 0] += 1 }
    }
  }

  private func change(_ key: ContentKey, _ body: (inout Content) -> Void) {
    guard contents[key] != nil || contents.count < Self.contentsMax else {
      turnedAway += 1
      return
    }
    body(&contents[key, default: Content()])
  }

  private func key(_ tuple: Int, _ frame: FrameView) -> ContentKey? {
    if let known = tuples[tuple] { return known }
    var key: ContentKey?
    if let dimensions = DimensionTuple(encoded: frame.tupleBytes(tuple)),
      !dimensions.content.isEmpty, dimensions.traffic.isEmpty
    {
      key = ContentKey(
        site: dimensions.site, content: dimensions.content, channel: dimensions.channel)
    }
    tuples[tuple] = .some(key)
    return key
  }

  private static func post(_ payload: UnsafeRawBufferPointer) -> TimedContent? {
    guard let properties = EventProperties(payload) else { return nil }
    func text(_ name: String) -> String? {
      guard case .string(let text)? = properties[name], text.utf8.count <= Dimension.bytesMax
      else { return nil }
      return text
    }
    func number(_ name: String) -> Double? {
      guard case .number(let number, _)? = properties[name], number.isFinite else { return nil }
      return number
    }
    guard let at = text("posted_at").flatMap({ Timestamp.parse($0) }) else { return nil }
    let propensity = number("propensity").flatMap { $0 > 0 && $0 <= 1 ? $0 : nil }
    return TimedContent(
      at: at, audience: text("audience") ?? "", window: text("window") ?? "",
      propensity: propensity, reach: number("reach").flatMap { $0 > 0 ? $0 : nil } ?? 1)
  }

  private static func hours(_ time: Int64) -> Int64 {
    let rest = time % hour
    return (time - rest) / hour - (rest < 0 ? 1 : 0)
  }

  /// Sums over all persons are all there is.
  public func forget(_ person: Key128, erasedAt: Int64) {}

  // MARK: Publishing

  public func publish(_ progress: LearningProgress) {
    let now = progress.logTime
    // While the past is read nobody waits for models in between.
    guard progress.isCaughtUp, now > .min, now >= nextFit else { return }
    nextFit = now - now % Self.fitEvery + Self.fitEvery
    let until = Self.hours(now)
    forget(until)
    let (settled, pending, undrawn) = posts(until: until)
    guard latest == nil || settled != fitted || pending != latest?.pending else { return }
    fitted = settled
    let models = TimingFit(
      settled, progress: progress, pending: pending, undrawn: undrawn, turnedAway: turnedAway
    ).models()
    latest = models
    hand(models)
  }

  private func forget(_ now: Int64) {
    for key in Array(contents.keys) {
      guard let content = contents[key] else { continue }
      let posts = content.posts.filter { Self.hours($0.post.at) > now - memory / Self.hour }
      let begins = posts.map { Self.hours($0.post.at) }
      let hours = content.hours.filter { hour, _ in
        hour > now - Self.waits
          || begins.contains { ($0..<$0 + Self.hoursOfPost).contains(hour) }
      }
      guard !posts.isEmpty || !hours.isEmpty else {
        contents[key] = nil
        continue
      }
      guard posts.count != content.posts.count || hours.count != content.hours.count else {
        continue
      }
      contents[key] = Content(posts: posts, hours: hours)
    }
  }

  /// In an order that does not depend on how they came; the latest ones where there are too many.
  private func posts(until now: Int64) -> (settled: [SettledPost], pending: Int, undrawn: Int) {
    var settled: [SettledPost] = []
    var (pending, undrawn) = (0, 0)
    for (key, content) in contents {
      let posts = content.posts.sorted {
        ($0.post.at, $0.post.window) < ($1.post.at, $1.post.window)
      }
      for (place, said) in posts.enumerated() {
        let post = said.post
        guard post.propensity != nil else {
          undrawn += 1
          continue
        }
        let begin = Self.hours(post.at)
        guard begin + Self.hoursOfPost <= now else {
          pending += 1
          continue
        }
        // What comes after the next post of the content is that one's.
        let next = place + 1 < posts.count ? Self.hours(posts[place + 1].post.at) : .max
        let end = min(begin + Self.hoursOfPost, next)
        let engagements = content.hours.reduce(0) {
          $1.key >= begin && $1.key < end ? $0 + $1.value : $0
        }
        settled.append(
          SettledPost(
            key: key, at: post.at, audience: post.audience, window: post.window,
            reach: post.reach, engagements: engagements, position: said.position))
      }
    }
    settled.sort { a, b in
      (a.at, a.key.site, a.key.channel, a.key.content, a.audience, a.window)
        < (b.at, b.key.site, b.key.channel, b.key.content, b.audience, b.window)
    }
    return (Array(settled.suffix(Self.postsMax)), pending, undrawn)
  }
}
