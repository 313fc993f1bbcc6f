import Events
public import Learning
import Synchronization

/// Says in the log which of a plan's policies decides from now on: when a model asks for it by the plan's own rule, and when
/// a person does.
///
///     model ─▶ due? ─▶ event ─▶ log ─▶ every process that learns, in the same place of the log
///     POST /v1/decisions/{plan}/promotion ─┘
///
/// Nothing is promoted before the event is read: a replay comes to the same. Processes that ask at the same time
/// say the same event, which counts once.
public final class PromotionDesk: Sendable {
  private let store: DecisionStore
  private let cleaned: @Sendable (String) -> String
  private let clock: @Sendable () -> Int64
  /// When something was said of each plan last, so that it is not said again before it can be read.
  private let said = Mutex<[String: Int64]>([:])

  private static let pause: Int64 = 10_000_000

  /// - Parameters:
  ///   - cleaned: a note without personal data.
  ///   - clock: microseconds since the epoch.
  public init(
    store: @escaping DecisionStore, cleaned: @escaping @Sendable (String) -> String,
    clock: @escaping @Sendable () -> Int64
  ) {
    self.store = store
    self.cleaned = cleaned
    self.clock = clock
  }

  /// Says what models ask for. Called whenever there are new ones; the answer of the log is not waited for.
  public func take(_ models: DecisionModels) {
    guard models.progress.isCaughtUp else { return }
    for (id, learning) in models.learning {
      guard let due = learning.due, let plan = models.plans[id]?.plan, isTime(for: id) else {
        continue
      }
      // Of those who ask for the same, whose models may be some milliseconds apart, one is heard; what is said anew
      // is another event each time.
      let isAnew = due == learning.promotion
      let name = isAnew ? "\(plan.version).\(clock() / Self.day)" : "\(plan.version).\(due.policy)"
      store([event(due, of: plan, id: "\(id).\(name)")]) { _ in }
    }
  }

  private static let day: Int64 = 86_400_000_000

  private func isTime(for plan: String) -> Bool {
    let now = clock()
    return said.withLock { said in
      guard now - (said[plan] ?? .min / 2) >= Self.pause else { return false }
      said[plan] = now
      return true
    }
  }

  /// A person's choice.
  ///
  /// - Parameters:
  ///   - present: the plan as it is served.
  ///   - declared: the version of the plan as it was declared.
  func promote(
    _ request: PromotionRequest, _ present: DecisionPlan, declared: UInt32,
    evidence: DecisionPromotion.Evidence?
  ) async -> (promotion: DecisionPromotion, storage: DecisionStorage) {
    let promotion = DecisionPromotion(
      plan: present.id, version: declared, policy: request.policy, since: clock(), cause: .person,
      note: cleaned(request.note), evidence: evidence)
    let event = event(promotion, of: present, id: "\(present.id).\(promotion.since)")
    let storage = await withCheckedContinuation { continuation in
      store([event]) { continuation.resume(returning: $0) }
    }
    return (promotion, storage)
  }

  private func event(
    _ promotion: DecisionPromotion, of plan: DecisionPlan, id: String
  ) -> IncomingEvent {
    let now = clock()
    return IncomingEvent(
      kind: .decision,
      key: EventIdentity.dedupeKey(
        site: plan.site, source: DecisionPromotion.source, eventID: id),
      person: EventIdentity.personKey(site: plan.site, id: id), eventTime: now, receivedAt: now,
      dimensions: DimensionTuple(site: plan.site).encoded, id: id,
      name: DecisionPromotion.eventName, source: DecisionPromotion.source,
      payload: promotion.payload)
  }
}
