import DecisionAPI
import Events
import Experiments
import Learning
import Ports
import QueryAPI
import Statistics
import Synchronization
import Views

/// The persons of experiments, as this process follows them through the log.
final class FollowedExperiments: ExperimentFollower {
  private let learner: ExposureLearner
  private let catalog: CatalogBox

  /// - Parameters:
  ///   - plans: whose tokens say chances.
  ///   - signer: of the tokens.
  init(_ plans: [DecisionPlan], signer: DecisionSigner?) {
    let catalog = CatalogBox()
    self.catalog = catalog
    learner = ExposureLearner(plans, signer: signer) { catalog.questions }
  }

  /// Follows the experiments of this catalog.
  func follow(_ experiments: ExperimentCatalog) { catalog.set(experiments) }

  /// For who begins to read the log.
  func begun() -> ExposureLearner { learner.begun() }

  /// Whether it is known which experiments there are.
  var isReady: Bool { catalog.isReady }

  func arrivals(of experiment: Experiment) -> [SampleRatioStep] {
    learner.arrivals(of: experiment.id, within: experiment.touchedRange)
  }

  func cohorts(
    of experiment: Experiment, outcomeWindow: Int64
  ) throws(ViewReadError) -> ExperimentCohorts {
    let plan = experiment.plan
    let window = plan.outcomeWindow ?? outcomeWindow
    guard
      let followed = learner.cohorts(
        of: experiment.id, level: plan.cohort, outcomeWindow: window, by: Self.facets(plan),
        dwellTenthsMax: CohortActions.dwellTenthsMax)
    else {
      throw .unavailable("the log is still being read for the persons of the experiment")
    }
    let begin = experiment.epochs.first?.since ?? .min
    // Other processes hear of one that begins a moment later.
    guard followed.since <= begin + Self.tolerance else {
      throw .refused(
        "persons are followed for \(ExposureBook.memory / 86_400_000_000) days, since"
          + " \(Timestamp.format(followed.since)) here, and the experiment began before, at"
          + " \(Timestamp.format(begin)): by an outcome window of its own, engagement, time in view, goals, devices,"
          + " browsers and countries there are results of shorter ones alone; one that this process came to know late"
          + " has them after a restart")
    }
    let logTime = followed.progress.logTime
    guard logTime == .min || begin >= logTime - ExposureBook.memory else {
      throw .refused(
        "persons are followed for \(ExposureBook.memory / 86_400_000_000) days, and the experiment began before;"
          + " decide it, and declare another one")
    }
    return ExperimentCohorts(
      cohorts: followed.cohorts.map(ExperimentCohort.init), watermark: followed.watermark,
      outcomeWindow: window, position: followed.progress.position,
      logTime: logTime == .min ? nil : logTime)
  }

  private static let tolerance: Int64 = 60_000_000

  private static func facets(_ plan: ExperimentPlan) -> Set<ExposureFacet> {
    Set(
      plan.segments.map { segment in
        switch segment {
        case .channel: .channel
        case .content: .content
        case .device: .device
        case .browser: .browser
        case .country: .country
        }
      })
  }
}

extension ExperimentCohort {
  fileprivate init(_ cohort: ExposureCohort) {
    var actions = CohortActions(goals: cohort.goals)
    actions.engagers = cohort.engagers
    actions.dwellers = cohort.dwellers
    actions.dwellTenths = cohort.dwellTenths
    actions.dwellTenthsSquared = cohort.dwellTenthsSquared
    let place = cohort.place
    self.init(
      start: place.start, variant: place.variant, channel: place.channel, content: place.content,
      device: place.device, browser: place.browser, country: place.country,
      currency: place.currency, exposures: cohort.exposures, actions: actions)
  }
}

/// The catalog of experiments, once there is one.
private final class CatalogBox: Sendable {
  private struct State {
    var catalog: ExperimentCatalog?
    /// Of a version of the catalog, and an hour.
    var questions: [ExposureQuestion] = []
    var version: UInt64?
    var hour: Int64 = 0
    /// How often they were made.
    var number: UInt64 = 0
  }

  private let state = Mutex(State())

  func set(_ experiments: ExperimentCatalog) {
    state.withLock { $0 = State(catalog: experiments) }
  }

  var isReady: Bool { state.withLock(\.catalog)?.isLoaded ?? true }

  /// Those that run or did within the memory.
  var questions: ExposureLearner.Questions {
    let now = QueryRoutes.systemClock()
    return state.withLock { state in
      guard let catalog = state.catalog else {
        return ExposureLearner.Questions(version: 0, all: [])
      }
      let version = catalog.version
      let hour = now / 3_600_000_000
      if state.version != version || state.hour != hour {
        state.questions = catalog.all.compactMap { Self.question($0.experiment, now: now) }
        (state.version, state.hour) = (version, hour)
        state.number += 1
      }
      return ExposureLearner.Questions(version: state.number, all: state.questions)
    }
  }

  private static func question(_ experiment: Experiment, now: Int64) -> ExposureQuestion? {
    let times = experiment.touchedRange
    if times.isEmpty { return nil }
    if case .stopped(let time, _) = experiment.status, time < now - ExposureBook.memory {
      return nil
    }
    let plan = experiment.plan
    return ExposureQuestion(
      id: experiment.id, site: plan.site, campaign: plan.campaign, variants: plan.variants,
      times: times, goals: plan.goals, wantsOutcomes: plan.isOfPersons)
  }
}
